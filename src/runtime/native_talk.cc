// NativeRuntime's talk with the launcher: sending, receiving, losing it and getting a new one.

#include <algorithm>

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/log.h"
#include "runtime/native_instance.h"

namespace okibi::runtime {

namespace {

constexpr Duration kDeathWait = std::chrono::seconds(5);
constexpr Duration kBackoffMax = std::chrono::seconds(10);
constexpr int kSendBuffer = 4 << 20;

std::vector<int> numbersOf(const std::vector<net::UniqueFd>& fds) {
  std::vector<int> numbers;
  for (const net::UniqueFd& fd : fds) numbers.push_back(fd.get());
  return numbers;
}

net::UniqueFd duplicate(const net::UniqueFd& fd) {
  return net::UniqueFd(fcntl(fd.get(), F_DUPFD_CLOEXEC, 3));
}

}  // namespace

void NativeRuntime::adopt(LauncherProcess launcher) {
  launcherPid_ = launcher.pid;
  // A burst of starts fits; where this is refused the queue below takes the rest.
  setsockopt(launcher.socket.get(), SOL_SOCKET, SO_SNDBUFFORCE, &kSendBuffer, sizeof(kSendBuffer));
  fcntl(launcher.socket.get(), F_SETFL, O_NONBLOCK);
  net::UniqueFd receiving = duplicate(launcher.socket);
  launcher_ = std::move(launcher.socket);
  loop_.spawn(receive(std::move(receiving)));
}

Result<void> NativeRuntime::send(const Request& request, Fds fds) {
  if (!launcher_) return fail(ErrorKind::Unavailable, "launcher: it is being restarted");
  Outgoing message{encode(request), std::move(fds)};
  if (message.bytes.size() > kPacketMax) {
    return fail(ErrorKind::Invalid, "arguments, environment and layers are too large together");
  }
  if (outgoing_.empty()) {
    Result<void> sent = sendPacket(launcher_.get(), message.bytes, numbersOf(message.fds));
    // A launcher that is gone is noticed by receive(), which ends everything in order.
    if (sent || sent.error().kind != ErrorKind::Exhausted) return sent;
  }
  outgoing_.push_back(std::move(message));
  if (!flushing_) {
    flushing_ = true;
    loop_.spawn(flush());
  }
  return {};
}

net::Task<void> NativeRuntime::flush() {
  net::FdWatcher launcher(loop_, duplicate(launcher_));
  while (launcher_ && !outgoing_.empty()) {
    if (Result<void> ready = co_await launcher.writable(); !ready) break;
    if (outgoing_.empty()) break;
    const Outgoing& first = outgoing_.front();
    Result<void> sent = sendPacket(launcher.fd(), first.bytes, numbersOf(first.fds));
    if (!sent && sent.error().kind == ErrorKind::Exhausted) continue;
    if (!sent) break;
    outgoing_.pop_front();
  }
  flushing_ = false;
}

net::Task<void> NativeRuntime::receive(net::UniqueFd socket) {
  net::FdWatcher launcher(loop_, std::move(socket));
  std::string reason = "the launcher ended";
  for (;;) {
    if (Result<void> ready = co_await launcher.readable(); !ready) {
      reason = ready.error().message;
      break;
    }
    Result<Packet> packet = receivePacket(launcher.fd());
    if (!packet && packet.error().message.empty()) continue;
    if (!packet) {
      reason = packet.error().message;
      break;
    }
    if (packet->endOfStream) break;
    onPacket(std::move(*packet));
  }
  co_await loseLauncher(reason);
}

void NativeRuntime::onPacket(Packet packet) {
  Fds fds;
  for (int fd : packet.fds) fds.emplace_back(fd);
  Result<Reply> reply = decodeReply(packet.bytes);
  if (!reply) {
    log::error("launcher sent nonsense", "reason={}", reply.error().message);
    return;
  }
  std::visit([&](auto& message) { on(message, fds); }, *reply);
}

void NativeRuntime::on(Launched& message, Fds& fds) {
  Shared instance = find(InstanceId(message.id));
  if (!instance || instance->launched.isSet()) return;
  if (fds.size() < kLaunchedFds) {
    instance->launched.set(fail(ErrorKind::Internal, "launcher: descriptors are missing"));
    return;
  }
  instance->pid = message.pid;
  instance->freezer = message.freezer;
  auto sockets = fds.begin() + kLaunchedFds;
  instance->sockets.assign(std::move_iterator(sockets), std::move_iterator(fds.end()));
  fds.resize(kLaunchedFds);
  instance->files = std::move(fds);
  instance->launched.set({});
}

void NativeRuntime::on(StartFailed& message, Fds&) {
  Shared instance = find(InstanceId(message.id));
  if (!instance || instance->launched.isSet()) return;
  instance->launched.set(fail(ErrorKind::Unavailable, describe(message.failure)));
  forget(instance);
}

void NativeRuntime::on(SocketReply& message, Fds& fds) {
  Shared instance = find(InstanceId(message.id));
  if (!instance || instance->socketWaiters.empty()) return;
  auto waiter = std::move(instance->socketWaiters.front());
  instance->socketWaiters.pop_front();
  if (fds.empty()) {
    ErrorKind kind = message.error == ENOENT ? ErrorKind::NotFound : ErrorKind::Unavailable;
    waiter->set(failErrno("socket in the instance", message.error, kind));
  } else {
    waiter->set(std::move(fds[0]));
  }
}

void NativeRuntime::on(ExecutionEnded& message, Fds&) {
  Shared instance = find(InstanceId(message.id));
  if (!instance) return;
  auto found = instance->executions.find(message.execution);
  if (found == instance->executions.end() || found->second->isSet()) return;
  bool killed = message.signal != 0;
  found->second->set(static_cast<int>(killed ? 128 + message.signal : message.exitCode));
}

void NativeRuntime::on(Exited& message, Fds&) {
  Shared instance = find(InstanceId(message.id));
  if (!instance || instance->exiting) return;
  loop_.spawn(finish(instance, {instance->id, static_cast<int>(message.exitCode),
                                static_cast<int>(message.signal), message.outOfMemory}));
}

// The instances die with the launcher (parent-death signal); this waits until they have, and tells.
net::Task<void> NativeRuntime::loseLauncher(std::string reason) {
  log::error("launcher lost", "pid={} reason=\"{}\" instances={}", launcherPid_, reason,
             instances_.size());
  launcher_.reset();
  outgoing_.clear();
  if (launcherPid_ > 0) {
    pid_t pid = std::exchange(launcherPid_, 0);
    kill(pid, SIGKILL);
    co_await loop_.offload([pid] { waitpid(pid, nullptr, 0); });
  }
  std::map<InstanceId, std::weak_ptr<Instance>> all = instances_;
  for (auto& [id, weak] : all) {
    Shared instance = weak.lock();
    if (!instance) continue;
    if (!instance->files.empty()) {
      net::FdWatcher init(loop_, std::move(instance->files[kInitPidfd]));
      (void)co_await init.readable(loop_.now() + kDeathWait);
    }
    if (!instance->launched.isSet()) {
      instance->launched.set(fail(ErrorKind::Unavailable, "launcher: " + reason));
      forget(instance);
    } else if (!instance->exiting) {
      co_await finish(instance, {id, 0, SIGKILL, false});
    } else {
      co_await awaitGone(instance);
    }
  }
  if (listener_ != nullptr) listener_->onRuntimeLost(reason);
  loop_.spawn(restartLauncher());
}

net::Task<void> NativeRuntime::restartLauncher() {
  Duration backoff = options_.restartBackoff;
  for (;;) {
    co_await loop_.sleep(backoff);
    Options options = options_;
    Result<LauncherProcess> launcher =
        co_await loop_.offload([options] { return spawnLauncher(options); });
    if (launcher) {
      adopt(std::move(*launcher));
      break;
    }
    log::error("launcher cannot be restarted", "reason=\"{}\"", launcher.error().message);
    backoff = std::min(backoff * 2, kBackoffMax);
  }
  log::info("launcher restored", "pid={}", launcherPid_);
  if (listener_ != nullptr) listener_->onRuntimeRestored();
}

}  // namespace okibi::runtime
