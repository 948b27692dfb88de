#include "runtime/native_runtime.h"

#include <array>
#include <cstdlib>

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "runtime/native_instance.h"
#include "runtime/pipes.h"

namespace okibi::runtime {

namespace {

using seams::InstanceSpec;
using seams::OutputStream;

constexpr std::size_t kOutputPiece = 16 * 1024;
constexpr std::size_t kPipe = 64 * 1024;  // what a pipe holds (pipe(7))
constexpr std::size_t kStatusMax = 64 * 1024;
constexpr Duration kOutputDrain = std::chrono::seconds(2);
constexpr int kFreezeAttempts = 2'000;

struct Pipes {
  Pipe status, out, err;
  std::vector<net::UniqueFd> takeWriteEnds() {
    std::vector<net::UniqueFd> ends;
    for (Pipe* pipe : {&status, &out, &err}) ends.push_back(std::move(pipe->writeEnd));
    return ends;
  }
};
Result<Pipes> makePipes() {
  Pipes pipes;
  for (Pipe* pipe : {&pipes.status, &pipes.out, &pipes.err}) {
    Result<Pipe> made = makePipe();
    if (!made) return fail(std::move(made.error()));
    *pipe = std::move(*made);
  }
  return pipes;
}

Devices toDevices(const seams::DeviceEdits& edits) {
  Devices devices;
  devices.hidden = edits.hidden;
  devices.directories = edits.directories;
  for (const seams::HostMount& mount : edits.mounts) {
    devices.mounts.push_back({mount.hostPath, mount.path,
                              mount.access == seams::MountAccess::ReadWrite,
                              mount.ifAbsent == seams::IfAbsent::LeaveOut});
  }
  for (const seams::Link& link : edits.links) devices.links.push_back({link.path, link.target});
  for (const seams::DeviceNode& node : edits.nodes) {
    devices.nodes.push_back({node.hostPath, node.path});
  }
  devices.groups = edits.groups;
  return devices;
}

StartRequest toRequest(const InstanceSpec& spec) {
  StartRequest request;
  request.id = spec.id.value();
  request.name = spec.name;
  for (const std::filesystem::path& layer : spec.layers) {
    request.layers.push_back(std::filesystem::absolute(layer).string());
  }
  request.arguments = spec.arguments;
  request.environment = spec.environment;
  request.workingDirectory = spec.workingDirectory;
  request.user = spec.user;
  request.milliCpu = static_cast<std::uint32_t>(std::max(spec.cpu.count, 0));
  request.memory = static_cast<std::uint64_t>(spec.memory.count());
  request.disk = static_cast<std::uint64_t>(spec.disk.count());
  request.sharedMemory = static_cast<std::uint64_t>(spec.sharedMemory.count());
  request.pids = static_cast<std::uint32_t>(std::max(spec.pids, 0));
  request.devices = toDevices(spec.devices);
  for (const okibi::ModelDirectory& model : spec.models) {
    request.models.push_back({model.root, model.subdirectory, model.mountDir});
  }
  return request;
}

Error goneError() {
  return Error{ErrorKind::NotFound, "the instance is gone", ""};
}

Result<std::string> readControl(int fd) {
  std::array<char, 1024> buffer;
  ssize_t size = pread(fd, buffer.data(), buffer.size(), 0);
  if (size < 0) return failErrno("read cgroup file", errno, ErrorKind::NotFound);
  return std::string(buffer.data(), static_cast<std::size_t>(size));
}

// Runs `undo` unless dismissed: for a coroutine that may be cancelled at any wait.
template <typename F>
class Rollback {
 public:
  explicit Rollback(F undo) : undo_(std::move(undo)) {}
  Rollback(const Rollback&) = delete;
  Rollback& operator=(const Rollback&) = delete;
  ~Rollback() {
    if (armed_) undo_();
  }
  void dismiss() { armed_ = false; }

 private:
  F undo_;
  bool armed_ = true;
};

}  // namespace

Result<std::unique_ptr<NativeRuntime>> NativeRuntime::create(net::Loop& loop, Options options) {
  Result<LauncherProcess> launcher = spawnLauncher(options);
  if (!launcher) return fail(std::move(launcher.error()));
  return std::make_unique<NativeRuntime>(loop, std::move(*launcher), std::move(options));
}

NativeRuntime::NativeRuntime(net::Loop& loop, LauncherProcess launcher, Options options)
    : loop_(loop), options_(std::move(options)) {
  adopt(std::move(launcher));
}

NativeRuntime::~NativeRuntime() {
  *alive_ = false;
  // A task of ours may hold a copy of the descriptor; the launcher must see the end all the same.
  if (launcher_) shutdown(launcher_.get(), SHUT_RDWR);
  // It ends after the last instance; whoever restarts on this state directory must find it gone.
  if (launcherPid_ > 0) waitpid(launcherPid_, nullptr, 0);
}

NativeRuntime::Shared NativeRuntime::find(InstanceId id) const {
  auto found = instances_.find(id);
  return found == instances_.end() ? nullptr : found->second.lock();
}

// Owns the instance until it is gone.
net::Task<void> NativeRuntime::keep(Shared instance) {
  co_await awaitGone(instance);
}

net::Task<Result<void>> NativeRuntime::start(const InstanceSpec& spec) {
  if (find(spec.id)) co_return fail(ErrorKind::AlreadyExists, "the instance exists already");
  Request request = toRequest(spec);
  // The launcher judges by the same rules; here the reason reaches the caller.
  if (Result<Request> valid = decodeRequest(encode(request)); !valid) {
    co_return fail(ErrorKind::Invalid, valid.error().message);
  }
  Result<Pipes> pipes = makePipes();
  if (!pipes) co_return fail(std::move(pipes.error()));
  if (Result<void> sent = send(request, pipes->takeWriteEnds()); !sent) {
    co_return fail(std::move(sent.error()));
  }
  auto instance = std::make_shared<Instance>(loop_, spec.id);
  instances_[spec.id] = instance;
  loop_.spawn(keep(instance));
  Pipe* outputs[] = {&pipes->out, &pipes->err};
  for (OutputStream stream : {OutputStream::Stdout, OutputStream::Stderr}) {
    auto ended = std::make_shared<net::Event>(loop_);
    instance->outputEnds.push_back(ended);
    net::UniqueFd pipe = std::move(outputs[static_cast<int>(stream)]->readEnd);
    loop_.spawn(readOutput(instance, stream, std::move(pipe), ended));
  }
  Rollback abandon([this, instance, alive = alive_] {
    if (!*alive) return;
    instance->settled.set();
    (void)send(StopRequest{instance->id.value(), 0});
  });
  Result<void> result = co_await awaitLaunch(instance, std::move(pipes->status.readEnd));
  abandon.dismiss();
  instance->started = result.has_value();
  instance->settled.set();
  // A failed start is reported when nothing of it is left.
  if (!result) co_await awaitGone(instance);
  co_return result;
}

net::Task<Result<void>> NativeRuntime::awaitLaunch(Shared instance, net::UniqueFd status) {
  LaunchStatus end = co_await readStatus(std::move(status));
  Result<Result<void>> launched = co_await instance->launched.wait();
  if (!launched) co_return fail(std::move(launched.error()));
  if (!*launched) co_return *launched;
  if (end.outcome == LaunchOutcome::Running) co_return Result<void>();
  if (end.outcome == LaunchOutcome::Failed) {
    co_return fail(ErrorKind::Unavailable, describe(end.failure));
  }
  co_return fail(ErrorKind::Unavailable, "launch: killed before the program ran");
}

net::Task<LaunchStatus> NativeRuntime::readStatus(net::UniqueFd status, Instant deadline) {
  net::FdWatcher watcher(loop_, std::move(status));
  std::string bytes;
  while (bytes.size() < kStatusMax) {
    if (Result<void> ready = co_await watcher.readable(deadline); !ready) break;
    std::array<char, 1024> piece;
    ssize_t size = read(watcher.fd(), piece.data(), piece.size());
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (size <= 0) break;
    bytes.append(piece.data(), static_cast<std::size_t>(size));
  }
  co_return readLaunchStatus(bytes);
}

net::Task<void> NativeRuntime::readOutput(Shared instance, OutputStream stream, net::UniqueFd pipe,
                                          std::shared_ptr<net::Event> ended) {
  net::FdWatcher watcher(loop_, std::move(pipe));
  instance->outputs.push_back({stream, watcher.fd()});
  std::array<char, kOutputPiece> piece;
  for (;;) {
    // One piece per turn: an instance that never stops talking does not hold up the others, and
    // what it says waits in its pipe, not in our memory.
    if (Result<void> ready = co_await watcher.readable(); !ready) break;
    ssize_t size = read(watcher.fd(), piece.data(), piece.size());
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (size <= 0) break;
    if (listener_ == nullptr || instance->gone) continue;
    listener_->onOutput(instance->id, stream, {piece.data(), static_cast<std::size_t>(size)});
  }
  std::erase_if(instance->outputs,
                [&](const Instance::Output& output) { return output.fd == watcher.fd(); });
  ended->set();
}

void NativeRuntime::readOutputNow(InstanceId id) {
  Shared instance = find(id);
  if (!instance || listener_ == nullptr || instance->gone) return;
  std::array<char, kOutputPiece> piece;
  for (const Instance::Output& output : instance->outputs) {
    for (std::size_t taken = 0; taken < kPipe;) {
      const ssize_t size = read(output.fd, piece.data(), piece.size());
      if (size <= 0) break;  // empty, or its end, which readOutput() sees by itself
      listener_->onOutput(id, output.stream, {piece.data(), static_cast<std::size_t>(size)});
      taken += static_cast<std::size_t>(size);
    }
  }
}

net::Task<void> NativeRuntime::stop(InstanceId id, Duration grace) {
  Shared instance = find(id);
  if (!instance) co_return;
  auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(std::max(grace, Duration{}));
  (void)send(StopRequest{id.value(), static_cast<std::uint64_t>(milliseconds.count())});
  co_await awaitGone(instance);
}

net::Task<void> NativeRuntime::awaitGone(Shared instance) {
  if (instance->gone) co_return;
  auto gone = std::make_shared<net::Event>(loop_);
  instance->goneWaiters.push_back(gone);
  (void)co_await gone->wait();
}

net::Task<Result<net::UniqueFd>> NativeRuntime::socket(InstanceId id) {
  Shared instance = find(id);
  if (!instance || instance->exiting) co_return fail(goneError());
  if (!instance->sockets.empty()) {
    net::UniqueFd spare = std::move(instance->sockets.back());
    instance->sockets.pop_back();
    co_return spare;
  }
  auto answer = std::make_shared<net::OneShot<Result<net::UniqueFd>>>(loop_);
  if (Result<void> sent = send(SocketRequest{id.value()}); !sent) co_return fail(goneError());
  instance->socketWaiters.push_back(answer);
  Result<Result<net::UniqueFd>> given = co_await answer->wait();
  if (!given) co_return fail(std::move(given.error()));
  co_return std::move(*given);
}

Result<void> NativeRuntime::freeze(InstanceId id) {
  return setFrozen(id, Frozen::Yes);
}
Result<void> NativeRuntime::thaw(InstanceId id) {
  return setFrozen(id, Frozen::No);
}

Result<void> NativeRuntime::setFrozen(InstanceId id, Frozen wanted) {
  Shared instance = find(id);
  if (!instance || instance->exiting || instance->files.empty()) return fail(goneError());
  bool v2 = instance->freezer == FreezerKind::V2;
  bool freeze = wanted == Frozen::Yes;
  std::string_view order = v2 ? (freeze ? "1" : "0") : (freeze ? "FROZEN" : "THAWED");
  std::string_view confirmation = v2 ? (freeze ? "frozen 1" : "frozen 0") : order;
  if (write(instance->files[kFreezeControl].get(), order.data(), order.size()) < 0) {
    return failErrno("freezer", errno, errno == ENODEV ? ErrorKind::NotFound : ErrorKind::Internal);
  }
  // Reading again beats waiting: the kernel delays its notification by up to 10 ms.
  for (int attempt = 0; attempt < kFreezeAttempts; ++attempt) {
    Result<std::string> state = readControl(instance->files[kFreezeState].get());
    if (!state) return fail(std::move(state.error()));
    if (state->find(confirmation) != std::string::npos) return {};
    if (attempt > 20) usleep(50);
  }
  return fail(ErrorKind::Internal, "freezer: the instance did not change state within 0.1 s");
}

net::Task<Result<int>> NativeRuntime::execute(InstanceId id, std::vector<std::string> command,
                                              Duration timeout) {
  Instant deadline = loop_.now() + timeout;
  Shared instance = find(id);
  if (!instance || instance->exiting) co_return fail(goneError());
  std::uint64_t execution = nextExecution_++;
  Request request = ExecuteRequest{id.value(), execution, std::move(command)};
  if (Result<Request> valid = decodeRequest(encode(request)); !valid) {
    co_return fail(ErrorKind::Invalid, valid.error().message);
  }
  Result<Pipes> pipes = makePipes();
  if (!pipes) co_return fail(std::move(pipes.error()));
  if (Result<void> sent = send(request, pipes->takeWriteEnds()); !sent) {
    co_return fail(std::move(sent.error()));
  }
  instance->executions[execution] = std::make_shared<net::OneShot<int>>(loop_);
  auto ended = std::make_shared<net::Event>(loop_);
  loop_.spawn(readOutput(instance, OutputStream::Stdout, std::move(pipes->out.readEnd), ended));
  auto errEnded = std::make_shared<net::Event>(loop_);
  loop_.spawn(readOutput(instance, OutputStream::Stderr, std::move(pipes->err.readEnd), errEnded));
  Rollback kill([this, id, instance, execution, alive = alive_] {
    if (!*alive) return;
    (void)send(KillRequest{id.value(), execution});
    instance->executions.erase(execution);
  });
  Result<int> result =
      co_await awaitExecution(instance, execution, std::move(pipes->status.readEnd), deadline);
  // What the command said comes before its end; a child it left behind may hold the pipe open.
  if (result) {
    Instant drained = loop_.now() + std::chrono::milliseconds(200);
    (void)co_await ended->wait(drained);
    (void)co_await errEnded->wait(drained);
  }
  kill.dismiss();
  instance->executions.erase(execution);
  co_return result;
}

net::Task<Result<int>> NativeRuntime::awaitExecution(Shared instance, std::uint64_t execution,
                                                     net::UniqueFd status, Instant deadline) {
  auto end = instance->executions[execution];
  // The pipe ends with the exec, or at once when the instance cannot run it. A frozen instance
  // answers only to the deadline, so the code is awaited first and the status read when it is
  // there.
  Result<int> code = co_await end->wait(deadline);
  if (!code && code.error().kind == ErrorKind::TimedOut) {
    (void)send(KillRequest{instance->id.value(), execution});
    co_return fail(ErrorKind::TimedOut, "execute: the command did not end in time and was killed");
  }
  if (!code) co_return fail(goneError());
  LaunchStatus started = co_await readStatus(std::move(status));
  if (started.outcome == LaunchOutcome::Failed) {
    co_return fail(ErrorKind::Unavailable, describe(started.failure));
  }
  co_return code;
}

Result<seams::ResourceUse> NativeRuntime::resourceUse(InstanceId id) {
  Shared instance = find(id);
  if (!instance || instance->files.empty()) return fail(goneError());
  std::string text[3];
  const LaunchedFd files[] = {kMemoryNow, kMemoryPeak, kCpuUse};
  for (int i = 0; i < 3; ++i) {
    Result<std::string> read = readControl(instance->files[files[i]].get());
    if (!read) return fail(std::move(read.error()));
    text[i] = std::move(*read);
  }
  seams::ResourceUse use;
  use.memory = Bytes(std::atoll(text[0].c_str()));
  use.memoryPeak = std::max(use.memory, Bytes(std::atoll(text[1].c_str())));
  constexpr std::string_view kUsage = "usage_usec ";  // v2; v1 gives bare nanoseconds
  std::size_t v2 = text[2].find(kUsage);
  use.cpu = v2 == std::string::npos
                ? Duration(std::atoll(text[2].c_str()))
                : std::chrono::microseconds(std::atoll(text[2].c_str() + v2 + kUsage.size()));
  return use;
}

Result<int> NativeRuntime::pidOf(InstanceId id) {
  Shared instance = find(id);
  if (!instance || instance->pid == 0) return fail(goneError());
  return static_cast<int>(instance->pid);
}

void NativeRuntime::forget(const Shared& instance) {
  instance->gone = true;
  instance->exiting = true;
  instances_.erase(instance->id);
  for (auto& waiter : instance->socketWaiters) waiter->set(fail(goneError()));
  instance->socketWaiters.clear();
  for (auto& [execution, end] : instance->executions) end->cancel();
  for (auto& waiter : instance->goneWaiters) waiter->set();
  instance->goneWaiters.clear();
}

// Everything it said, then its end.
net::Task<void> NativeRuntime::finish(Shared instance, seams::InstanceExit exit) {
  instance->exiting = true;
  instance->sockets.clear();
  (void)co_await instance->settled.wait();
  Instant drained = loop_.now() + kOutputDrain;
  for (auto& ended : instance->outputEnds) (void)co_await ended->wait(drained);
  bool tell = instance->started && listener_ != nullptr;
  forget(instance);
  if (tell) listener_->onExit(exit);
}

}  // namespace okibi::runtime
