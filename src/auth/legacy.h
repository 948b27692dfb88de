#pragma once
// The signature of Function Compute's older SDKs (Function Compute: signatures), which the command
// line tool `s` still speaks for instance exec. Pure. Neither the query nor the body nor the host
// is signed, and there is no nonce: for that one operation only. Inside auth.
//
//   authorization: FC KEYID:base64(HMAC-SHA256(secret, S))
//   S = METHOD \n content-md5 \n content-type \n date \n { x-fc-name:value \n, sorted } path

#include <optional>
#include <string>
#include <string_view>

#include "auth/request.h"
#include "base/units.h"

namespace okibi::auth {

struct LegacyAuthorization {
  std::string keyId, signature;
};
// nullopt: anything but "FC KEYID:SIGNATURE".
std::optional<LegacyAuthorization> parseLegacyAuthorization(std::string_view text);

std::string legacySignatureOf(const RequestHead& request, std::string_view secret);

// "Tue, 24 Nov 2026 08:34:58 GMT" (RFC 9110, 5.6.7, the preferred form).
std::optional<WallTime> parseHttpDate(std::string_view text);

}  // namespace okibi::auth
