#pragma once

#include <optional>
#include <string>

#include "reply.h"

#include "common/json.h"

namespace echo {

Reply jsonReply(const JsonObject& object, int status = 200);

// The whole of a file (at most 8 MiB), or nothing with errno set.
std::optional<std::string> readFile(const std::string& path);

// Adds `errno` and `error`; 0 is "ok".
void addError(JsonObject& object, int error);

}  // namespace echo
