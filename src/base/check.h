#pragma once
// OKIBI_CHECK: a broken law ends the process, in release too, with the values printed. It is for
// programmer errors and impossible states only; what the network, a disk or a user can cause is a
// Result (docs/errors.md).

#include <string>

#include <fmt/core.h>

namespace okibi {

[[noreturn]] void checkFailed(const char* file, int line, const char* condition,
                              const std::string& message);

}  // namespace okibi

#define OKIBI_CHECK(condition, ...)                                                        \
  do {                                                                                     \
    if (!(condition)) [[unlikely]] {                                                       \
      ::okibi::checkFailed(__FILE__, __LINE__, #condition, ::fmt::format("" __VA_ARGS__)); \
    }                                                                                      \
  } while (false)
