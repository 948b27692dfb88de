#pragma once
// Certificates for tests, made on the spot: self-signed, ECDSA P-256.

#include <memory>
#include <string>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/check.h"
#include "base/units.h"

namespace okibi::auth::testing {

struct Pair {
  std::string certificate, key;  // PEM
};

inline std::string textOf(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string text(data, static_cast<std::size_t>(size));
  BIO_free(bio);
  return text;
}

// For `name`, valid from a day before `now` for `days`. `rsaBits`: an RSA key instead.
inline Pair makePair(const std::string& name, WallTime now, int days = 30, unsigned rsaBits = 0) {
  EVP_PKEY* key = rsaBits > 0 ? EVP_RSA_gen(rsaBits) : EVP_EC_gen("P-256");
  X509* certificate = X509_new();
  OKIBI_CHECK(key != nullptr && certificate != nullptr);
  X509_set_version(certificate, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch());
  const auto begin = seconds.count() - 86400;
  ASN1_TIME_set(X509_getm_notBefore(certificate), begin);
  ASN1_TIME_set(X509_getm_notAfter(certificate), begin + std::int64_t{86400} * days);
  X509_set_pubkey(certificate, key);
  X509_NAME* subject = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  X509_set_issuer_name(certificate, subject);
  X509_EXTENSION* names =
      X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, ("DNS:" + name).c_str());
  X509_add_ext(certificate, names, -1);
  X509_EXTENSION_free(names);
  OKIBI_CHECK(X509_sign(certificate, key, EVP_sha256()) > 0);
  BIO* certificateOut = BIO_new(BIO_s_mem());
  BIO* keyOut = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(certificateOut, certificate);
  PEM_write_bio_PrivateKey(keyOut, key, nullptr, nullptr, 0, nullptr, nullptr);
  X509_free(certificate);
  EVP_PKEY_free(key);
  return {textOf(certificateOut), textOf(keyOut)};
}

}  // namespace okibi::auth::testing
