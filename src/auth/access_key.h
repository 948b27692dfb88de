#pragma once
// Access keys: who signs, and with what secret.

#include <string>

#include "auth/digest.h"

namespace okibi::auth {

struct AccessKey {
  std::string id;       // public: "OKBI" and 20 letters or digits
  std::string secret;   // 40 letters or digits, about 238 bits
  std::string account;  // whom it acts for
  bool operator==(const AccessKey&) const = default;
};

AccessKey makeAccessKey(std::string account, const RandomSource& random);

// `bytes` random bytes as lower-case hex: nonces, ids.
std::string randomHex(std::size_t bytes, const RandomSource& random);

}  // namespace okibi::auth
