#pragma once
// What the daemon recorded of one call, in lines for people: how it started and why, what it took,
// what it cost.

#include <string>
#include <vector>

#include "cli/json_read.h"

namespace okibi::cli {

std::vector<std::string> recordLines(const Json& invocation);

}  // namespace okibi::cli
