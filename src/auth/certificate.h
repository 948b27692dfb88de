#pragma once
// X.509 certificates with their private keys, as PEM text: is the pair one that a TLS server can
// use? Pure. Messages never contain key material.

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/units.h"

namespace okibi::auth {

struct CertificateFacts {
  WallTime notBefore{}, notAfter{};
  std::vector<std::string> names;  // DNS names, lower case; the common name where there are none
};

// Of the first certificate. Invalid: not a chain of certificates in PEM.
Result<CertificateFacts> readCertificate(std::string_view chainPem);

// Invalid, saying "certificate: …" or "privateKey: …": not PEM, another's key, a key that needs a
// passphrase, over, not yet begun, too weak (RSA under 2048 bits).
Result<CertificateFacts> checkCertificate(std::string_view chainPem, std::string_view keyPem,
                                          WallTime now);

}  // namespace okibi::auth
