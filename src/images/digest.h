#pragma once
// SHA-256 digests in the form of the OCI image-spec ("sha256:" and 64 lower-case hex digits).

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

struct evp_md_ctx_st;

namespace okibi::images {

class Digest {
 public:
  // nullopt unless it is exactly "sha256:" + 64 lower-case hex digits, so that hex() is always safe
  // as a file name.
  static std::optional<Digest> parse(std::string_view text);
  static Digest of(std::string_view content);

  const std::string& text() const { return text_; }
  std::string hex() const { return text_.substr(7); }
  auto operator<=>(const Digest&) const = default;

 private:
  explicit Digest(std::string text) : text_(std::move(text)) {}
  friend class Hasher;
  std::string text_;
};

// Running SHA-256. OpenSSL uses the CPU's SHA instructions where there are any.
class Hasher {
 public:
  Hasher();
  ~Hasher();
  Hasher(const Hasher&) = delete;
  Hasher& operator=(const Hasher&) = delete;
  void update(std::span<const std::byte> bytes);
  // REQUIRES: called once, last.
  Digest finish();

 private:
  evp_md_ctx_st* context_;
};

}  // namespace okibi::images
