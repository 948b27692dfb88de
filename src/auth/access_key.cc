#include "auth/access_key.h"

#include <array>
#include <vector>

#include "base/encoding.h"

namespace okibi::auth {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

// Every letter is equally likely: bytes beyond the last whole multiple of the alphabet are thrown
// away.
std::string randomText(std::size_t length, const RandomSource& random) {
  constexpr std::size_t kFair = 256 / kAlphabet.size() * kAlphabet.size();
  std::string text;
  std::array<std::uint8_t, 64> bytes{};
  while (text.size() < length) {
    random(bytes);
    for (const std::uint8_t byte : bytes) {
      if (byte < kFair && text.size() < length) text += kAlphabet[byte % kAlphabet.size()];
    }
  }
  return text;
}

}  // namespace

AccessKey makeAccessKey(std::string account, const RandomSource& random) {
  std::string id = "OKBI" + randomText(20, random);
  return {std::move(id), randomText(40, random), std::move(account)};
}

std::string randomHex(std::size_t bytes, const RandomSource& random) {
  std::vector<std::uint8_t> raw(bytes);
  random(raw);
  return toHex(raw);
}

}  // namespace okibi::auth
