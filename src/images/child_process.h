#pragma once
// A program run to its end, with its output collected. Blocking: for worker threads.

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/units.h"

namespace okibi::images {

struct ChildResult {
  int exitCode = 0;  // 128 + signal if a signal ended it
  std::string output;
  std::string errors;  // the last kToolErrorMax of standard error
};

struct ChildOptions {
  Duration timeout{};
  Bytes outputMax;
  std::vector<std::string> environment;  // all of it
  // Called about five times a second while it runs; false ends the child (Cancelled).
  std::function<bool()> tick;
};

// `command[0]` is looked up in PATH. The child is killed when the calling thread ends, so it never
// outlives the daemon. Errors: NotFound (no such program), TimedOut, Cancelled, Invalid (more
// output than allowed).
Result<ChildResult> runChild(const std::vector<std::string>& command, const ChildOptions& options);

}  // namespace okibi::images
