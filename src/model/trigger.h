#pragma once
// A trigger: how requests reach a function from outside (Function Compute: API, HTTP triggers). The
// config text is kept as the client sent it; what acts is read out of it.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/units.h"
#include "model/function.h"

namespace okibi {

enum class HttpAuth { Anonymous, Function, Bearer, Basic, Jwt };

struct BearerToken {
  std::string name, data;
  bool enabled = true;
  bool operator==(const BearerToken&) const = default;
};

struct BasicUser {
  std::string user, password;
  bool operator==(const BasicUser&) const = default;
};

// Where in a request something is found or put: "header", "query" or "cookie" (found only).
struct RequestPlace {
  std::string kind, name;
  bool operator==(const RequestPlace&) const = default;
};
struct TokenPlace {
  RequestPlace place;
  std::string prefix;  // "Bearer"; empty: the bare token
  bool operator==(const TokenPlace&) const = default;
};
struct PassedClaim {
  RequestPlace place;
  std::string claim;
  bool operator==(const PassedClaim&) const = default;
};
struct JwtRule {
  std::string key;  // one JSON Web Key (RFC 7517), as JSON text
  std::vector<TokenPlace> lookup;
  std::vector<PassedClaim> claims;
  // Paths, exact or ending in '*': `open` ones need no token; if `closed` names any, only those do.
  std::vector<std::string> open, closed;
  bool operator==(const JwtRule&) const = default;
};

struct CorsRule {
  std::vector<std::string> origins, methods, headers, exposed;  // "*": all
  bool credentials = false;
  Seconds maxAge{3600};
  bool operator==(const CorsRule&) const = default;
};

struct HttpTriggerConfig {
  HttpAuth auth = HttpAuth::Anonymous;
  std::vector<std::string> methods;  // upper case
  bool internetDisabled = false;     // disableURLInternet
  std::vector<BearerToken> bearer;
  std::vector<BasicUser> basic;
  std::optional<JwtRule> jwt;
  std::optional<CorsRule> cors;  // absent: every origin is let in
  bool operator==(const HttpTriggerConfig&) const = default;
};

struct TimerConfig {
  std::string expression;  // "@every 4m", "0 0 4 * * *", "CRON_TZ=Asia/Tokyo 0 0 4 * * *"
  std::string payload;
  bool enabled = false;
  bool operator==(const TimerConfig&) const = default;
};

struct Trigger {
  FunctionRef function;
  std::string name;
  std::string id;
  std::string label;  // random; the address begins with it
  std::string type;   // "http", "timer"
  std::string configText;
  HttpTriggerConfig http;
  TimerConfig timer;
  std::string qualifier = "LATEST";
  std::string description;
  std::string invocationRole, sourceArn;  // kept for clients; they do not act
  WallTime created{}, modified{};
};

}  // namespace okibi
