#pragma once
// A trigger: how requests reach a function from outside. HTTP triggers act; the config text is kept
// as the client sent it (fact sheet 1.5, 3.7).

#include <cstdint>
#include <string>
#include <vector>

#include "base/units.h"
#include "model/function.h"

namespace okibi {

enum class HttpAuth { Anonymous, Function };

struct HttpTriggerConfig {
  HttpAuth auth = HttpAuth::Anonymous;
  std::vector<std::string> methods;  // upper case
  bool internetDisabled = false;     // disableURLInternet
  bool operator==(const HttpTriggerConfig&) const = default;
};

struct Trigger {
  FunctionRef function;
  std::string name;
  std::string id;    // random; the public host name begins with it
  std::string type;  // "http"
  std::string configText;
  HttpTriggerConfig http;
  std::string qualifier = "LATEST";
  std::string description;
  WallTime created{}, modified{};
};

}  // namespace okibi
