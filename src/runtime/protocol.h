#pragma once
// What the daemon and okibi-launcher say to each other over one SOCK_SEQPACKET socket pair: one
// message per packet, descriptors beside it by SCM_RIGHTS. The launcher is privileged and the
// daemon need not be, so both decoders take hostile bytes: every length is checked, trailing bytes
// are refused.
//
// This file is all that the launcher includes of the daemon's sources besides base.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"

namespace okibi::runtime {

// A packet never exceeds this; the kernel's default socket buffer takes it whole.
inline constexpr std::size_t kPacketMax = 128 * 1024;
inline constexpr std::size_t kPacketFdsMax = 32;
// Overlay options must fit a page: "/proc/self/fd/123:" each.
inline constexpr std::size_t kLayersMax = 128;

// A step of a launch that failed: its name, errno (0: none) and what was being done.
struct Failure {
  std::string step;
  int error = 0;
  std::string detail;
  bool operator==(const Failure&) const = default;
};
// "overlay: mount: No space left on device"
std::string describe(const Failure& failure);

// ---- daemon to launcher

// What the instance is given of the host; seams/device_edits.h says what each is for. At most
// kDevicesMax of a kind.
inline constexpr std::size_t kDevicesMax = 256;
struct DeviceNode {
  std::string hostPath, path;
  bool operator==(const DeviceNode&) const = default;
};
struct HostMount {
  std::string hostPath, path;
  bool writable = false, onlyIfThere = false;
  bool operator==(const HostMount&) const = default;
};
struct SymbolicLink {
  std::string path, target;
  bool operator==(const SymbolicLink&) const = default;
};
struct Devices {
  std::vector<std::string> hidden, directories;
  std::vector<HostMount> mounts;
  std::vector<SymbolicLink> links;
  std::vector<DeviceNode> nodes;
  std::vector<std::uint32_t> groups;
  bool operator==(const Devices&) const = default;
};

// A folder below a root that the launcher was told of at its start, to be read at `path`.
inline constexpr std::size_t kModelDirectoriesMax = 32;
struct ModelDirectory {
  std::string root, subdirectory, path;
  bool operator==(const ModelDirectory&) const = default;
};

// Descriptors: write ends of status (see StatusReader), stdout, stderr.
struct StartRequest {
  std::uint64_t id = 0;
  std::string name;
  std::vector<std::string> layers;  // lowest first, absolute
  std::vector<std::string> arguments, environment;
  std::string workingDirectory, user;
  std::uint32_t milliCpu = 0;
  std::uint64_t memory = 0, disk = 0, sharedMemory = 0;  // bytes
  std::uint32_t pids = 0;
  Devices devices;
  std::vector<ModelDirectory> models;
  bool operator==(const StartRequest&) const = default;
};
struct StopRequest {
  std::uint64_t id = 0;
  std::uint64_t graceMilliseconds = 0;
  bool operator==(const StopRequest&) const = default;
};
struct SocketRequest {
  std::uint64_t id = 0;
  bool operator==(const SocketRequest&) const = default;
};
// Descriptors: write ends of status, stdout, stderr.
struct ExecuteRequest {
  std::uint64_t id = 0, execution = 0;
  std::vector<std::string> command;
  bool operator==(const ExecuteRequest&) const = default;
};
// A program for somebody who talks with it. Descriptors: the write end of status; then, for a
// terminal, a socket on which its master is sent with one byte; else the program's stdin, stdout
// and stderr. It ends as an execution does; what it has started ends with it.
inline constexpr std::uint32_t kTerminalMost = 10'000;  // columns, rows
struct SessionRequest {
  std::uint64_t id = 0, execution = 0;
  std::vector<std::string> command;
  bool terminal = false;
  std::uint32_t columns = 0, rows = 0;  // of a terminal
  bool operator==(const SessionRequest&) const = default;
};
inline constexpr std::size_t kTerminalFds = 2, kStreamFds = 4;
// Kills the process group of an execution; of a session, everything it has started.
struct KillRequest {
  std::uint64_t id = 0, execution = 0;
  bool operator==(const KillRequest&) const = default;
};
using Request = std::variant<StartRequest, StopRequest, SocketRequest, ExecuteRequest, KillRequest,
                             SessionRequest>;

// ---- launcher to daemon

// First message: remnants are gone, the pools are being filled.
struct Ready {
  bool operator==(const Ready&) const = default;
};
// First message instead of Ready: this machine cannot run sandboxes; the launcher ends.
struct Unable {
  Failure failure;
  bool operator==(const Unable&) const = default;
};
enum class FreezerKind : std::uint8_t { V2 = 0, V1 = 1 };
// The init exists. Descriptors: LaunchedFds in order, then unconnected sockets.
struct Launched {
  std::uint64_t id = 0;
  std::uint32_t pid = 0;
  FreezerKind freezer = FreezerKind::V2;
  bool operator==(const Launched&) const = default;
};
enum LaunchedFd {
  kFreezeControl,
  kFreezeState,
  kMemoryNow,
  kMemoryPeak,
  kCpuUse,
  kInitPidfd,
  kLaunchedFds
};
// The launch failed before an init existed. Nothing is left of it.
struct StartFailed {
  std::uint64_t id = 0;
  Failure failure;
  bool operator==(const StartFailed&) const = default;
};
// Answers a SocketRequest, in order. Descriptor: the socket, none when the instance is gone.
struct SocketReply {
  std::uint64_t id = 0;
  int error = 0;
  bool operator==(const SocketReply&) const = default;
};
struct ExecutionEnded {
  std::uint64_t id = 0, execution = 0;
  std::uint32_t exitCode = 0, signal = 0;
  bool operator==(const ExecutionEnded&) const = default;
};
// After Launched, once: nothing of the instance is left.
struct Exited {
  std::uint64_t id = 0;
  std::uint32_t exitCode = 0, signal = 0;
  bool outOfMemory = false;
  bool operator==(const Exited&) const = default;
};
using Reply =
    std::variant<Ready, Unable, Launched, StartFailed, SocketReply, ExecutionEnded, Exited>;

std::string encode(const Request& request);
std::string encode(const Reply& reply);
std::string encode(const Failure& failure);
// Errors: Invalid, with the reason.
Result<Request> decodeRequest(std::string_view bytes);
Result<Reply> decodeReply(std::string_view bytes);
Result<Failure> decodeFailure(std::string_view bytes);

// ---- packets

struct Packet {
  std::string bytes;
  std::vector<int> fds;  // CLOEXEC; the receiver owns them
  bool endOfStream = false;
};
// One packet, descriptors duplicated into it. Errors: Unavailable when the peer is gone, Exhausted
// when the socket's buffer is full.
Result<void> sendPacket(int socket, std::string_view bytes, std::span<const int> fds = {});
// The next packet. Unavailable (empty message) when a non-blocking socket has none. A packet that
// was cut short is Invalid and its descriptors are closed.
Result<Packet> receivePacket(int socket);

// ---- the status pipe of a start or execution

// The new process writes kAboutToExec directly before execve and a Failure when a step fails. End
// of file after kAboutToExec alone is success, because the descriptor is close-on-exec; end of file
// after nothing means that the process was killed on the way.
inline constexpr char kAboutToExec = 'E';
inline constexpr char kStepFailed = 'F';
enum class LaunchOutcome { Running, Failed, Vanished };
struct LaunchStatus {
  LaunchOutcome outcome = LaunchOutcome::Vanished;
  Failure failure;  // when Failed
};
// `bytes`: everything read until end of file.
LaunchStatus readLaunchStatus(std::string_view bytes);

}  // namespace okibi::runtime
