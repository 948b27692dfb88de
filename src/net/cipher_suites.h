#pragma once
// The TLS cipher suites that may be asked for, by their IANA names as Function Compute and Go write
// them. Pure.

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace okibi::net {

// In OpenSSL's words, as its two settings take them; empty: its default.
struct CipherSuites {
  std::string upTo12, from13;
};

// Suites that are known but broken (RC4, 3DES) or without forward secrecy are left out. Invalid: a
// name that is unknown, or none is left; the message begins with the place in the list: "[2]: …".
Result<CipherSuites> chooseSuites(const std::vector<std::string>& names);

}  // namespace okibi::net
