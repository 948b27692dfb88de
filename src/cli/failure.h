#pragma once
// Failure: why a command ends without its result, with the exit code that programs see.

#include <expected>
#include <string>

#include "base/result.h"

namespace okibi::cli {

enum class Exit { Ok = 0, Failed = 1, Usage = 2, Unreachable = 3, Denied = 4 };

struct Failure {
  Exit exit = Exit::Failed;
  std::string code, message, requestId, remedy;  // all but message may be empty
};

template <typename T>
using Outcome = std::expected<T, Failure>;

Failure usageFailure(std::string message);
// Of something that happened on this side; Denied and Invalid keep their exit codes.
Failure localFailure(const Error& error);
// "okibi: CODE: message (request id …)" and, on a second line, the remedy.
std::string describe(const Failure& failure);
// The same for programs, one line: {"error":{"Code","Message","RequestId","Remedy"}}.
std::string describeJson(const Failure& failure);

}  // namespace okibi::cli
