#include "images/digest.h"

#include <array>

#include <openssl/evp.h>

#include "base/check.h"
#include "base/encoding.h"

namespace okibi::images {

std::optional<Digest> Digest::parse(std::string_view text) {
  constexpr std::string_view kPrefix = "sha256:";
  if (!text.starts_with(kPrefix) || text.size() != kPrefix.size() + 64) return std::nullopt;
  for (char c : text.substr(kPrefix.size())) {
    if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return std::nullopt;
  }
  return Digest(std::string(text));
}

Digest Digest::of(std::string_view content) {
  Hasher hasher;
  hasher.update(std::as_bytes(std::span(content)));
  return hasher.finish();
}

Hasher::Hasher() : context_(EVP_MD_CTX_new()) {
  OKIBI_CHECK(context_ != nullptr && EVP_DigestInit_ex(context_, EVP_sha256(), nullptr) == 1,
              "SHA-256 is not available");
}

Hasher::~Hasher() {
  EVP_MD_CTX_free(context_);
}

void Hasher::update(std::span<const std::byte> bytes) {
  OKIBI_CHECK(EVP_DigestUpdate(context_, bytes.data(), bytes.size()) == 1, "SHA-256 failed");
}

Digest Hasher::finish() {
  std::array<std::uint8_t, 32> raw{};
  OKIBI_CHECK(EVP_DigestFinal_ex(context_, raw.data(), nullptr) == 1, "SHA-256 failed");
  return Digest("sha256:" + toHex(raw));
}

}  // namespace okibi::images
