#pragma once
// Reading and writing whole files for commands; "-" is standard input or output.

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/units.h"

namespace okibi::cli {

// Invalid with kBodyTooLarge's meaning when over `limit`.
Result<std::string> readFile(const std::string& path, Bytes limit);
Result<void> writeFile(const std::string& path, std::string_view bytes);
bool inputIsPiped();  // standard input is neither a terminal nor /dev/null

}  // namespace okibi::cli
