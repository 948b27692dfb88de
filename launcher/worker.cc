#include "launcher/worker.h"

#include <memory>

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

namespace okibi::launcher {

namespace {

[[noreturn]] void runJob(const Fd& socket, const std::function<Outcome<Fd>()>& job) {
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  Outcome<Fd> result = job();
  if (result) {
    int fd = result->get();
    std::span<const int> fds(&fd, fd >= 0 ? 1 : 0);
    (void)runtime::sendPacket(socket.get(), "ok", fds);
  } else {
    (void)runtime::sendPacket(socket.get(), "no" + runtime::encode(result.error()));
  }
  _exit(0);
}

Outcome<Fd> readResult(int socket) {
  Result<runtime::Packet> packet = runtime::receivePacket(socket);
  if (!packet || packet->endOfStream) return refused("the worker ended early");
  Fd fd(packet->fds.empty() ? -1 : packet->fds[0]);
  if (packet->bytes == "ok") return fd;
  Result<Failure> failure = runtime::decodeFailure(packet->bytes.substr(2));
  return std::unexpected(failure ? *failure : Failure{"", 0, "the worker's answer is malformed"});
}

}  // namespace

Outcome<int> runWorker(Reactor& reactor, const std::function<Outcome<Fd>()>& job,
                       std::function<void(Outcome<Fd>)> done) {
  Outcome<SocketPair> pair = makeSocketPair();
  if (!pair) return std::unexpected(pair.error());
  int pid = fork();
  if (pid < 0) return failed("fork");
  if (pid == 0) runJob(pair->theirs, job);
  auto socket = std::make_shared<Fd>(std::move(pair->ours));
  reactor.watch(socket->get(), [&reactor, socket, done = std::move(done)]() mutable {
    Outcome<Fd> result = readResult(socket->get());
    reactor.unwatch(socket->get());
    socket->reset();
    done(std::move(result));
  });
  reactor.onChildEnd(pid, [](int) {});
  return pid;
}

}  // namespace okibi::launcher
