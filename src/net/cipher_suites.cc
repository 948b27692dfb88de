#include "net/cipher_suites.h"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace okibi::net {
namespace {

struct Suite {
  std::string_view name, openssl;  // openssl empty: never offered
  bool from13 = false;
};
// IANA's registry of TLS cipher suites; the two CHACHA20 names without a hash are Go's.
constexpr Suite kSuites[] = {
    {"TLS_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256", true},
    {"TLS_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384", true},
    {"TLS_CHACHA20_POLY1305_SHA256", "TLS_CHACHA20_POLY1305_SHA256", true},
    {"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256"},
    {"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"},
    {"TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "ECDHE-RSA-AES256-GCM-SHA384"},
    {"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384"},
    {"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305", "ECDHE-RSA-CHACHA20-POLY1305"},
    {"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-CHACHA20-POLY1305"},
    {"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305", "ECDHE-ECDSA-CHACHA20-POLY1305"},
    {"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"},
    {"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", "ECDHE-RSA-AES128-SHA"},
    {"TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", "ECDHE-RSA-AES256-SHA"},
    {"TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", "ECDHE-ECDSA-AES128-SHA"},
    {"TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", "ECDHE-ECDSA-AES256-SHA"},
    {"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256", "ECDHE-RSA-AES128-SHA256"},
    {"TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256", "ECDHE-ECDSA-AES128-SHA256"},
    {"TLS_RSA_WITH_RC4_128_SHA", ""},
    {"TLS_RSA_WITH_3DES_EDE_CBC_SHA", ""},
    {"TLS_RSA_WITH_AES_128_CBC_SHA", ""},
    {"TLS_RSA_WITH_AES_256_CBC_SHA", ""},
    {"TLS_RSA_WITH_AES_128_CBC_SHA256", ""},
    {"TLS_RSA_WITH_AES_128_GCM_SHA256", ""},
    {"TLS_RSA_WITH_AES_256_GCM_SHA384", ""},
    {"TLS_ECDHE_ECDSA_WITH_RC4_128_SHA", ""},
    {"TLS_ECDHE_RSA_WITH_RC4_128_SHA", ""},
    {"TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA", ""},
};

}  // namespace

Result<CipherSuites> chooseSuites(const std::vector<std::string>& names) {
  CipherSuites out;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto* const suite = std::ranges::find(kSuites, names[i], &Suite::name);
    if (suite == std::end(kSuites)) {
      return fail(ErrorKind::Invalid, fmt::format("[{}]: '{}' is no known suite", i, names[i]),
                  "InvalidArgument");
    }
    if (suite->openssl.empty()) continue;
    std::string& list = suite->from13 ? out.from13 : out.upTo12;
    if (!list.empty()) list += ':';
    list += suite->openssl;
  }
  if (names.empty() || !out.upTo12.empty() || !out.from13.empty()) return out;
  return fail(ErrorKind::Invalid,
              fmt::format(": none of {} is offered: all are broken or lack forward secrecy",
                          fmt::join(names, ", ")),
              "InvalidArgument");
}

}  // namespace okibi::net
