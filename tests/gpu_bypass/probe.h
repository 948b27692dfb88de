#pragma once

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "gpu_bypass/probe_api.h"

namespace okibi::bypass {

// One line to standard output, at once: another process may kill this one.
__attribute__((format(printf, 1, 2))) inline void say(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vprintf(format, arguments);
  va_end(arguments);
  putchar('\n');
  fflush(stdout);
}

// cuInit and a context, or the end of the program with "status S".
void startDriver();

// probe_paths.cc
int fillPath(const std::string& path, std::size_t block);
int churn(unsigned long long rounds);

// probe_resolve.cc
int checkResolving();

}  // namespace okibi::bypass
