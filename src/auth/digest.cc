#include "auth/digest.h"

#include <cerrno>
#include <utility>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sys/random.h>

#include "base/check.h"
#include "base/encoding.h"

namespace okibi::auth {

struct Sha256::Context {
  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  std::unique_ptr<EVP_MD_CTX, Free> evp{EVP_MD_CTX_new()};

  void start() { OKIBI_CHECK(evp && EVP_DigestInit_ex(evp.get(), EVP_sha256(), nullptr) == 1); }
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {
  context_->start();
}
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;
Sha256::~Sha256() = default;

void Sha256::update(std::string_view bytes) {
  OKIBI_CHECK(EVP_DigestUpdate(context_->evp.get(), bytes.data(), bytes.size()) == 1);
}

Digest Sha256::finish() {
  Digest digest;
  unsigned int size = 0;
  OKIBI_CHECK(EVP_DigestFinal_ex(context_->evp.get(), digest.data(), &size) == 1);
  OKIBI_CHECK(size == digest.size());
  context_->start();
  return digest;
}

std::string Sha256::finishHex() {
  return toHex(finish());
}

std::string sha256Hex(std::string_view bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.finishHex();
}

Digest hmacSha256(std::string_view key, std::string_view bytes) {
  Digest digest;
  unsigned int size = 0;
  const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
  OKIBI_CHECK(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), data, bytes.size(),
                   digest.data(), &size) != nullptr);
  OKIBI_CHECK(size == digest.size());
  return digest;
}

bool constantTimeEqual(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

RandomSource systemRandom() {
  return [](std::span<std::uint8_t> out) {
    while (!out.empty()) {
      const ssize_t got = ::getrandom(out.data(), out.size(), 0);
      OKIBI_CHECK(got > 0 || errno == EINTR, "getrandom: errno {}", errno);
      if (got > 0) out = out.subspan(static_cast<std::size_t>(got));
    }
  };
}

}  // namespace okibi::auth
