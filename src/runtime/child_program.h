#pragma once
// Starting a program of an unpacked image as a child of this process, without a sandbox. For
// ProcessRuntime.

#include <filesystem>
#include <string>
#include <vector>

#include <sys/types.h>

#include "base/result.h"
#include "net/fd.h"
#include "seams/instance_runtime.h"

namespace okibi::runtime {

enum class ChildInput { Nothing, Pipe, Terminal };

struct ChildProgram {
  std::vector<std::string> arguments;    // [0] is what is executed; without a slash, by PATH
  std::vector<std::string> environment;  // "KEY=value"
  std::string directory = "/";
  ChildInput input = ChildInput::Nothing;
  seams::TerminalSize terminal;  // with one
};

struct Child {
  pid_t pid = 0;  // leader of a process group of its own
  // With a terminal `in` and `out` are its master, and `err` is empty.
  net::UniqueFd pidfd, in, out, err;
};

// Blocks for the moment until exec. The error names the program and why it cannot run. The child
// dies with the calling thread.
Result<Child> startChild(const ChildProgram& program);

// `terminal`: a master.
void setTerminalSize(int terminal, const seams::TerminalSize& size);

// An absolute path as the image means it: in the topmost layer that has it, else as it is.
std::string inLayers(const std::vector<std::filesystem::path>& layers, const std::string& path);

// A loopback port that nobody listens on now.
Result<std::uint16_t> freePort();

// CPU time and resident memory of all processes of a group, from /proc.
struct GroupUse {
  std::int64_t residentBytes = 0;
  std::int64_t cpuTicks = 0;
};
GroupUse groupUse(pid_t group);

}  // namespace okibi::runtime
