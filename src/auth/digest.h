#pragma once
// SHA-256 and HMAC-SHA-256 (OpenSSL), and the comparison that takes the same time wherever texts
// differ.

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace okibi::auth {

using Digest = std::array<std::uint8_t, 32>;

// Hash of bytes that arrive in pieces. After finish() the object is empty again and may be reused.
class Sha256 {
 public:
  Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  ~Sha256();

  void update(std::string_view bytes);
  Digest finish();
  std::string finishHex();  // 64 lower-case digits

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

std::string sha256Hex(std::string_view bytes);
Digest hmacSha256(std::string_view key, std::string_view bytes);

// True if equal; time depends on the lengths only.
bool constantTimeEqual(std::string_view a, std::string_view b);

// Fills the span with unpredictable bytes. Tests pass their own.
using RandomSource = std::function<void(std::span<std::uint8_t>)>;
RandomSource systemRandom();  // getrandom(2)

}  // namespace okibi::auth
