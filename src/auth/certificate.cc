#include "auth/certificate.h"

#include <memory>

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/encoding.h"
#include "base/limits.h"
#include "base/owned.h"

namespace okibi::auth {
namespace {

constexpr int kRsaBitsLeast = 2048;
constexpr std::size_t kChainMost = 10;

using Bio = Owned<BIO, BIO_free_all>;
using Certificate = Owned<X509, X509_free>;
using Key = Owned<EVP_PKEY, EVP_PKEY_free>;

std::unexpected<Error> bad(std::string_view field, std::string_view what) {
  ERR_clear_error();
  return fail(ErrorKind::Invalid, fmt::format("{}: {}", field, what), "InvalidArgument");
}

Bio readerOf(std::string_view text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

int noPassphrase(char*, int, int, void*) {
  return 0;
}

Result<std::vector<Certificate>> readChain(std::string_view pem) {
  if (pem.empty() || std::cmp_greater(pem.size(), limits::kCertificate.count())) {
    return bad("certificate",
               fmt::format("has {} bytes, allowed 1–{}", pem.size(), limits::kCertificate.count()));
  }
  const Bio in = readerOf(pem);
  std::vector<Certificate> chain;
  while (X509* one = PEM_read_bio_X509(in.get(), nullptr, noPassphrase, nullptr)) {
    chain.emplace_back(one);
  }
  // What follows the last block may be anything but another, broken one.
  const unsigned long error = ERR_peek_last_error();
  const bool ended =
      ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  if (chain.empty()) return bad("certificate", "is no certificate in PEM");
  if (!ended) {
    return bad("certificate", fmt::format("its part {} is broken", chain.size() + 1));
  }
  if (chain.size() > kChainMost) {
    return bad("certificate",
               fmt::format("has {} certificates, allowed {}", chain.size(), kChainMost));
  }
  return chain;
}

Result<WallTime> timeOf(const ASN1_TIME* time) {
  tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return bad("certificate", "has a broken date");
  return WallTime(std::chrono::seconds(::timegm(&parts)));
}

std::string textOf(const ASN1_STRING* text) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
          static_cast<std::size_t>(ASN1_STRING_length(text))};
}

std::vector<std::string> namesOf(X509* certificate) {
  std::vector<std::string> out;
  const Owned<GENERAL_NAMES, GENERAL_NAMES_free> names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type == GEN_DNS) out.push_back(toLower(textOf(name->d.dNSName)));
  }
  const X509_NAME* subject = X509_get_subject_name(certificate);
  const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (out.empty() && at >= 0) {
    out.push_back(toLower(textOf(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)))));
  }
  return out;
}

Result<CertificateFacts> factsOf(X509* certificate) {
  CertificateFacts facts;
  const auto begin = timeOf(X509_get0_notBefore(certificate));
  const auto end = timeOf(X509_get0_notAfter(certificate));
  if (!begin || !end) return bad("certificate", "has a broken date");
  facts.notBefore = *begin;
  facts.notAfter = *end;
  facts.names = namesOf(certificate);
  return facts;
}

Result<Key> readKey(std::string_view pem) {
  if (pem.empty() || std::cmp_greater(pem.size(), limits::kPrivateKey.count())) {
    return bad("privateKey",
               fmt::format("has {} bytes, allowed 1–{}", pem.size(), limits::kPrivateKey.count()));
  }
  const Bio in = readerOf(pem);
  Key key(PEM_read_bio_PrivateKey(in.get(), nullptr, noPassphrase, nullptr));
  if (!key) return bad("privateKey", "is no private key in PEM without passphrase");
  return key;
}

}  // namespace

Result<CertificateFacts> readCertificate(std::string_view chainPem) {
  auto chain = readChain(chainPem);
  if (!chain) return fail(chain.error());
  return factsOf(chain->front().get());
}

Result<CertificateFacts> checkCertificate(std::string_view chainPem, std::string_view keyPem,
                                          WallTime now) {
  auto chain = readChain(chainPem);
  if (!chain) return fail(chain.error());
  X509* own = chain->front().get();
  auto key = readKey(keyPem);
  if (!key) return fail(key.error());
  if (X509_check_private_key(own, key->get()) != 1) {
    return bad("privateKey", "does not belong to the certificate (its own one comes first)");
  }
  if (EVP_PKEY_is_a(key->get(), "RSA") == 1 && EVP_PKEY_get_bits(key->get()) < kRsaBitsLeast) {
    return bad("privateKey", fmt::format("is an RSA key of {} bits, {} are the least",
                                         EVP_PKEY_get_bits(key->get()), kRsaBitsLeast));
  }
  auto facts = factsOf(own);
  if (!facts) return facts;
  if (now >= facts->notAfter) {
    return bad("certificate", "expired at " + formatIso8601(facts->notAfter));
  }
  if (now < facts->notBefore) {
    return bad("certificate", "is not valid before " + formatIso8601(facts->notBefore));
  }
  return facts;
}

}  // namespace okibi::auth
