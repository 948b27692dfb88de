#pragma once
// Following a log of which only the last lines can be asked for.

#include <cstddef>
#include <string>
#include <vector>

namespace okibi::cli {

// How many lines at the start of `now` were at the end of `before`.
std::size_t countKnown(const std::vector<std::string>& before, const std::vector<std::string>& now);

}  // namespace okibi::cli
