#pragma once
// InstanceRuntime: the hands that start and stop what the planner decided. Implemented by runtime/
// (the native sandbox through okibi-launcher); the fake for tests is seams/fake_instance_runtime.h.
// Loop thread only.

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/units.h"
#include "model/function.h"
#include "net/fd.h"
#include "net/task.h"
#include "seams/device_edits.h"

namespace okibi::seams {

// Everything a sandbox needs, resolved: no image names, no defaults left.
struct InstanceSpec {
  InstanceId id;
  std::string name;                           // "c-…": hostname, cgroup and journal name
  std::vector<std::filesystem::path> layers;  // lowest first
  std::vector<std::string> arguments;         // entrypoint + command
  std::vector<std::string> environment;       // "KEY=value"
  std::string workingDirectory = "/";
  std::string user;  // as in the image config; resolved inside the root
  MilliCpu cpu;
  Bytes memory, disk, sharedMemory;
  int pids = limits::kPidsPerInstance;
  std::vector<ModelDirectory> models;  // each root one that the runtime was told of
  DeviceEdits devices;  // its environment and library path are in `environment` already
};

// How the instance's first process ended.
struct InstanceExit {
  InstanceId id;
  int exitCode = 0;  // valid when signal == 0
  int signal = 0;
  bool outOfMemory = false;  // the memory limit killed something in it
};

enum class OutputStream { Stdout, Stderr };

// News of instances. All calls on the loop thread; they must not block.
class InstanceListener {
 public:
  virtual ~InstanceListener() = default;
  virtual void onOutput(InstanceId id, OutputStream stream, std::string_view bytes) = 0;
  // Once per started instance, also after stop(). When it is called nothing of the instance is
  // left: processes, mounts, cgroups (its network namespace and disk may go back to a pool).
  virtual void onExit(const InstanceExit& exit) = 0;
  // The launcher ended: every instance is gone (onExit was called for each). start() fails from now
  // on until `onRuntimeRestored`.
  virtual void onRuntimeLost(const std::string& reason) = 0;
  virtual void onRuntimeRestored() = 0;
};

// A program to be run inside an instance for somebody who talks with it.
struct TerminalSize {
  static constexpr int kMost = 10'000;
  int columns = 80, rows = 24;
  bool operator==(const TerminalSize&) const = default;
};
struct Program {
  std::vector<std::string> command;
  std::optional<TerminalSize> terminal;  // nullopt: pipes
};

// That program. Destroying this kills it and whatever it has started.
class ProgramSession {
 public:
  virtual ~ProgramSession() = default;

  // Our ends, to be taken: what is written to `in` it reads, and closing that is its end of input.
  // With a terminal `in` and `out` are both its master, and `err` is empty; reading fails with EIO
  // once nobody has the terminal open.
  net::UniqueFd in, out, err;

  virtual void resize(TerminalSize size) = 0;  // of a terminal
  // Its exit code, 128 + signal when it was killed. NotFound: the instance is gone. Awaited once.
  virtual net::Task<Result<int>> ended() = 0;
};

struct ResourceUse {
  Bytes memory;  // now
  Bytes memoryPeak;
  Duration cpu{};  // since start
};

class InstanceRuntime {
 public:
  virtual ~InstanceRuntime() = default;

  virtual void setListener(InstanceListener* listener) = 0;  // must outlive the runtime's last call

  // Creates the sandbox and starts the process. Returns when exec has succeeded. Errors name the
  // step
  // ("overlay: …", "exec: '/app/run': No such file or directory").
  virtual net::Task<Result<void>> start(const InstanceSpec& spec) = 0;

  // SIGTERM, then SIGKILL after `grace` (0: at once). Idempotent; returns when nothing is left.
  virtual net::Task<void> stop(InstanceId id, Duration grace) = 0;

  // An unconnected TCP socket inside the instance's network namespace. NotFound after it is gone.
  virtual net::Task<Result<net::UniqueFd>> socket(InstanceId id) = 0;

  // Where in that namespace the program listens that was told to listen on `declared`. Another port
  // only where instances share one network (runtime/process_runtime.h).
  virtual std::uint16_t portOf(InstanceId, std::uint16_t declared) { return declared; }

  // cgroup freezer, confirmed. NotFound after it is gone. Synchronous: 0.06 ms.
  virtual Result<void> freeze(InstanceId id) = 0;
  virtual Result<void> thaw(InstanceId id) = 0;

  // Runs a command inside the running instance with its identity, limits and environment; its exit
  // code (128 + signal when killed). TimedOut kills it.
  virtual net::Task<Result<int>> execute(InstanceId id, std::vector<std::string> command,
                                         Duration timeout) = 0;

  // Runs a program inside the running instance, as execute() does, and returns when its exec has
  // succeeded. It ends with the instance at the latest. Errors name the step.
  virtual net::Task<Result<std::unique_ptr<ProgramSession>>> run(InstanceId id,
                                                                 Program program) = 0;

  virtual Result<ResourceUse> resourceUse(InstanceId id) = 0;

  // What the instance has printed so far, and was not read yet, reaches the listener before this
  // returns: at most a pipe full per stream. An answer and the lines printed before it come by
  // different ways, and either may be first.
  virtual void readOutputNow(InstanceId id) = 0;

  // Processes of live instances, for `ps` and tests: pid on the host of the instance's init.
  virtual Result<int> pidOf(InstanceId id) = 0;
};

}  // namespace okibi::seams
