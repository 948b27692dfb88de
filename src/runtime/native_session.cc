// NativeRuntime's sessions: programs inside an instance, with their streams or their terminal.

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/child_program.h"
#include "runtime/native_instance.h"
#include "runtime/pipes.h"

namespace okibi::runtime {

namespace {

// For the exec; it waits for nothing but the instance's own cpu.
constexpr Duration kSessionStart = std::chrono::seconds(10);

enum class Direction { FromUs, ToUs };

// What a session begins with: ours and theirs.
struct SessionEnds {
  net::UniqueFd status, in, out, err, console;
  std::vector<net::UniqueFd> theirs;
};

Result<SessionEnds> makeEnds(bool terminal) {
  SessionEnds ends;
  const auto take = [&](net::UniqueFd& ours, Direction direction) -> Result<void> {
    Result<Pipe> pipe = makePipe();
    if (!pipe) return fail(std::move(pipe.error()));
    const bool fromUs = direction == Direction::FromUs;
    ours = std::move(fromUs ? pipe->writeEnd : pipe->readEnd);
    ends.theirs.push_back(std::move(fromUs ? pipe->readEnd : pipe->writeEnd));
    return {};
  };
  if (auto made = take(ends.status, Direction::ToUs); !made) return fail(made.error());
  if (terminal) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
      return failErrno("socketpair", errno, ErrorKind::Unavailable);
    }
    ends.console.reset(pair[0]);
    ends.theirs.emplace_back(pair[1]);
    return ends;
  }
  if (auto made = take(ends.in, Direction::FromUs); !made) return fail(made.error());
  for (net::UniqueFd* stream : {&ends.out, &ends.err}) {
    if (auto made = take(*stream, Direction::ToUs); !made) return fail(made.error());
  }
  return ends;
}

Error sessionGone() {
  return Error{ErrorKind::NotFound, "the instance is gone", ""};
}

}  // namespace

class NativeRuntime::Session final : public seams::ProgramSession {
 public:
  Session(NativeRuntime& runtime, Shared instance, std::uint64_t execution)
      : runtime_(runtime),
        runtimeAlive_(runtime.alive_),
        instance_(std::move(instance)),
        execution_(execution),
        end_(std::make_shared<net::OneShot<int>>(runtime.loop_)) {
    instance_->executions[execution_] = end_;
  }
  ~Session() override {
    if (!*runtimeAlive_) return;
    if (!end_->isSet()) {
      (void)runtime_.send(KillRequest{instance_->id.value(), execution_});
    }
    instance_->executions.erase(execution_);
    end_->cancel();
  }

  void resize(seams::TerminalSize size) override { setTerminalSize(terminal.get(), size); }

  net::Task<Result<int>> ended() override {
    const auto end = end_;  // this may be destroyed meanwhile
    Result<int> code = co_await end->wait();
    if (!code) co_return fail(sessionGone());
    co_return code;
  }

  net::UniqueFd terminal;  // its master, if it has one

 private:
  NativeRuntime& runtime_;
  std::shared_ptr<bool> runtimeAlive_;
  Shared instance_;
  std::uint64_t execution_;
  std::shared_ptr<net::OneShot<int>> end_;
};

// The program says first whether it got as far; its terminal lies in the socket by then.
net::Task<Result<net::UniqueFd>> NativeRuntime::receiveTerminal(net::UniqueFd console) {
  net::FdWatcher watcher(loop_, std::move(console));
  if (auto ready = co_await watcher.readable(loop_.now() + kSessionStart); !ready) {
    co_return fail(std::move(ready.error()));
  }
  Result<Packet> packet = receivePacket(watcher.fd());
  if (!packet) co_return fail(std::move(packet.error()));
  std::vector<net::UniqueFd> fds;
  for (int fd : packet->fds) fds.emplace_back(fd);
  int number = 0;
  // It comes from inside: what is not a terminal's master is nothing to work with.
  if (fds.size() != 1 || ioctl(fds[0].get(), TIOCGPTN, &number) != 0) {
    co_return fail(ErrorKind::Unavailable, "terminal: the instance has made none");
  }
  co_return std::move(fds[0]);
}

net::Task<Result<std::unique_ptr<seams::ProgramSession>>> NativeRuntime::run(
    InstanceId id, seams::Program program) {
  Shared instance = find(id);
  if (!instance || instance->exiting) co_return fail(sessionGone());
  const std::uint64_t execution = nextExecution_++;
  const bool terminal = program.terminal.has_value();
  const auto size = program.terminal.value_or(seams::TerminalSize{});
  Request request = SessionRequest{id.value(),
                                   execution,
                                   std::move(program.command),
                                   terminal,
                                   static_cast<std::uint32_t>(size.columns),
                                   static_cast<std::uint32_t>(size.rows)};
  if (Result<Request> valid = decodeRequest(encode(request)); !valid) {
    co_return fail(ErrorKind::Invalid, valid.error().message);
  }
  Result<SessionEnds> ends = makeEnds(terminal);
  if (!ends) co_return fail(std::move(ends.error()));
  auto session = std::make_unique<Session>(*this, instance, execution);
  if (Result<void> sent = send(request, std::move(ends->theirs)); !sent) {
    co_return fail(std::move(sent.error()));
  }
  const LaunchStatus started =
      co_await readStatus(std::move(ends->status), loop_.now() + kSessionStart);
  if (started.outcome == LaunchOutcome::Failed) {
    co_return fail(ErrorKind::Invalid, describe(started.failure));
  }
  if (started.outcome == LaunchOutcome::Vanished) {
    co_return fail(ErrorKind::Unavailable, "the program was not started: the instance is ending");
  }
  session->in = std::move(ends->in);
  session->out = std::move(ends->out);
  session->err = std::move(ends->err);
  if (terminal) {
    Result<net::UniqueFd> master = co_await receiveTerminal(std::move(ends->console));
    if (!master) co_return fail(std::move(master.error()));
    session->terminal = std::move(*master);
    for (net::UniqueFd* end : {&session->in, &session->out}) {
      end->reset(fcntl(session->terminal.get(), F_DUPFD_CLOEXEC, 3));
    }
  }
  co_return std::unique_ptr<seams::ProgramSession>(std::move(session));
}

}  // namespace okibi::runtime
