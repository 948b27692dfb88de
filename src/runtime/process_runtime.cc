#include "runtime/process_runtime.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <optional>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/child_program.h"

namespace okibi::runtime {

struct ProcessRuntime::Instance {
  seams::InstanceSpec spec;
  std::uint16_t port = 0;
  pid_t pid = 0;
  bool gone = false;
  Bytes memoryPeak;
  net::UniqueFd out, err;  // the same pipes that readOutput() waits on, for readOutputNow()
  std::vector<std::shared_ptr<net::Event>> outputEnds;
  std::vector<std::shared_ptr<net::Event>> goneWaiters;
  std::vector<std::weak_ptr<Program>> programs;  // of sessions
};

struct ProcessRuntime::Program {
  explicit Program(net::Loop& loop) : ended(loop) {}
  void end() const {
    if (!ended.isSet()) kill(-pid, SIGKILL);
  }

  pid_t pid = 0;
  net::OneShot<int> ended;  // exit code, 128 + signal
};

// Its group goes with it; what has left the group stays, as everything does here that nobody holds.
class ProcessRuntime::Session final : public seams::ProgramSession {
 public:
  explicit Session(std::shared_ptr<Program> program) : program_(std::move(program)) {}
  ~Session() override { program_->end(); }

  void resize(seams::TerminalSize size) override { setTerminalSize(terminal.get(), size); }
  net::Task<Result<int>> ended() override {
    const auto program = program_;  // this may be destroyed meanwhile
    co_return co_await program->ended.wait();
  }

  net::UniqueFd terminal;  // its master, if it has one

 private:
  std::shared_ptr<Program> program_;
};

namespace {

constexpr std::size_t kOutputPiece = 16 * 1024;
constexpr int kPiecesInAPipe = 4;  // 64 KiB, a pipe's default
constexpr Duration kOutputDrain = std::chrono::seconds(2);

Error goneError() {
  return Error{ErrorKind::NotFound, "the instance is gone", ""};
}

ChildProgram programOf(const seams::InstanceSpec& spec, const std::vector<std::string>& command,
                       std::uint16_t port) {
  constexpr std::string_view kPort = "FC_CUSTOM_LISTEN_PORT=";
  ChildProgram program;
  for (const std::string& argument : command)
    program.arguments.push_back(inLayers(spec.layers, argument));
  for (const std::string& entry : spec.environment) {
    if (!entry.starts_with(kPort)) program.environment.push_back(entry);
  }
  program.environment.push_back(std::string(kPort) + std::to_string(port));
  program.directory = inLayers(spec.layers, spec.workingDirectory);
  return program;
}

seams::InstanceExit exitOf(InstanceId id, const siginfo_t& ended) {
  seams::InstanceExit exit;
  exit.id = id;
  if (ended.si_code == CLD_EXITED)
    exit.exitCode = ended.si_status;
  else
    exit.signal = ended.si_status;
  return exit;
}

}  // namespace

ProcessRuntime::~ProcessRuntime() {
  *alive_ = false;
  for (const auto& [id, instance] : instances_) {
    for (const auto& program : instance->programs) {
      if (const auto running = program.lock()) running->end();
    }
    kill(-instance->pid, SIGKILL);
    waitpid(instance->pid, nullptr, 0);
  }
}

ProcessRuntime::Shared ProcessRuntime::find(InstanceId id) const {
  const auto found = instances_.find(id);
  return found == instances_.end() ? nullptr : found->second;
}

net::Task<Result<void>> ProcessRuntime::start(const seams::InstanceSpec& spec) {
  if (find(spec.id)) co_return fail(ErrorKind::AlreadyExists, "the instance exists already");
  if (spec.arguments.empty())
    co_return fail(ErrorKind::Invalid, "arguments: none, must name a program");
  if (!spec.models.empty())
    co_return fail(ErrorKind::Invalid, "model directories: a process cannot be given any");
  const Result<std::uint16_t> port = freePort();
  if (!port) co_return fail(port.error());
  auto child = startChild(programOf(spec, spec.arguments, *port));
  if (!child) co_return fail(std::move(child.error()));
  auto instance = std::make_shared<Instance>();
  instance->spec = spec;
  instance->port = *port;
  instance->pid = child->pid;
  instances_[spec.id] = instance;
  for (const auto stream : {seams::OutputStream::Stdout, seams::OutputStream::Stderr}) {
    auto ended = std::make_shared<net::Event>(loop_);
    instance->outputEnds.push_back(ended);
    const bool isOut = stream == seams::OutputStream::Stdout;
    net::UniqueFd pipe = std::move(isOut ? child->out : child->err);
    fcntl(pipe.get(), F_SETFL, O_NONBLOCK);
    (isOut ? instance->out : instance->err).reset(fcntl(pipe.get(), F_DUPFD_CLOEXEC, 0));
    loop_.spawn(readOutput(instance, stream, std::move(pipe), ended));
  }
  loop_.spawn(awaitEnd(instance, std::move(child->pidfd)));
  co_return Result<void>{};
}

net::Task<void> ProcessRuntime::readOutput(Shared instance, seams::OutputStream stream,
                                           net::UniqueFd pipe, std::shared_ptr<net::Event> ended) {
  net::FdWatcher watcher(loop_, std::move(pipe));
  std::array<char, kOutputPiece> piece;
  for (;;) {
    const Result<void> ready = co_await watcher.readable();
    if (!ready) break;
    const ssize_t size = read(watcher.fd(), piece.data(), piece.size());
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (size <= 0) break;
    if (listener_ == nullptr || instance->gone) continue;
    listener_->onOutput(instance->spec.id, stream, {piece.data(), static_cast<std::size_t>(size)});
  }
  ended->set();
}

// The leader's end is the instance's: what it left of its group goes, too.
net::Task<void> ProcessRuntime::awaitEnd(Shared instance, net::UniqueFd pidfd) {
  net::FdWatcher watcher(loop_, std::move(pidfd));
  (void)co_await watcher.readable();
  kill(-instance->pid, SIGKILL);
  for (const auto& program : instance->programs) {
    if (const auto running = program.lock()) running->end();
  }
  siginfo_t ended{};
  waitid(P_PID, static_cast<id_t>(instance->pid), &ended, WEXITED);
  const Instant drained = loop_.now() + kOutputDrain;
  for (auto& end : instance->outputEnds) (void)co_await end->wait(drained);
  instance->gone = true;
  instances_.erase(instance->spec.id);
  for (auto& waiter : instance->goneWaiters) waiter->set();
  if (listener_) listener_->onExit(exitOf(instance->spec.id, ended));
}

net::Task<bool> ProcessRuntime::awaitGone(Shared instance, Instant deadline) {
  if (instance->gone) co_return true;
  auto gone = std::make_shared<net::Event>(loop_);
  instance->goneWaiters.push_back(gone);
  const Result<void> woken = co_await gone->wait(deadline);
  co_return woken.has_value();
}

net::Task<void> ProcessRuntime::stop(InstanceId id, Duration grace) {
  const Shared instance = find(id);
  if (!instance) co_return;
  kill(-instance->pid, grace > Duration{} ? SIGTERM : SIGKILL);
  kill(-instance->pid, SIGCONT);
  const bool ended = co_await awaitGone(instance, loop_.now() + std::max(grace, Duration{}));
  if (ended) co_return;
  kill(-instance->pid, SIGKILL);
  (void)co_await awaitGone(instance, Instant::max());
}

net::Task<Result<net::UniqueFd>> ProcessRuntime::socket(InstanceId id) {
  if (!find(id)) co_return fail(goneError());
  net::UniqueFd made(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!made) co_return failErrno("socket", errno, ErrorKind::Unavailable);
  co_return made;
}

std::uint16_t ProcessRuntime::portOf(InstanceId id, std::uint16_t declared) {
  const Shared instance = find(id);
  return instance ? instance->port : declared;
}

Result<void> ProcessRuntime::signalGroup(InstanceId id, int signal) {
  const Shared instance = find(id);
  if (!instance || kill(-instance->pid, signal) != 0) return fail(goneError());
  return {};
}

Result<void> ProcessRuntime::freeze(InstanceId id) {
  return signalGroup(id, SIGSTOP);
}

Result<void> ProcessRuntime::thaw(InstanceId id) {
  return signalGroup(id, SIGCONT);
}

net::Task<Result<int>> ProcessRuntime::execute(InstanceId id, std::vector<std::string> command,
                                               Duration timeout) {
  const Shared instance = find(id);
  if (!instance) co_return fail(goneError());
  if (command.empty()) co_return fail(ErrorKind::Invalid, "command: empty");
  auto child = startChild(programOf(instance->spec, command, instance->port));
  if (!child) co_return fail(std::move(child.error()));
  for (net::UniqueFd* pipe : {&child->out, &child->err}) {
    const auto stream =
        pipe == &child->out ? seams::OutputStream::Stdout : seams::OutputStream::Stderr;
    loop_.spawn(
        readOutput(instance, stream, std::move(*pipe), std::make_shared<net::Event>(loop_)));
  }
  net::FdWatcher watcher(loop_, std::move(child->pidfd));
  const Result<void> done = co_await watcher.readable(loop_.now() + timeout);
  kill(-child->pid, SIGKILL);
  siginfo_t ended{};
  waitid(P_PID, static_cast<id_t>(child->pid), &ended, WEXITED);
  if (!done)
    co_return fail(ErrorKind::TimedOut, "execute: the command did not end in time and was killed");
  co_return ended.si_code == CLD_EXITED ? ended.si_status : 128 + ended.si_status;
}

net::Task<Result<std::unique_ptr<seams::ProgramSession>>> ProcessRuntime::run(
    InstanceId id, seams::Program program) {
  const Shared instance = find(id);
  if (!instance) co_return fail(goneError());
  if (program.command.empty()) co_return fail(ErrorKind::Invalid, "command: is empty");
  ChildProgram wanted = programOf(instance->spec, program.command, instance->port);
  wanted.input = program.terminal ? ChildInput::Terminal : ChildInput::Pipe;
  wanted.terminal = program.terminal.value_or(seams::TerminalSize{});
  auto child = startChild(wanted);
  if (!child) co_return fail(ErrorKind::Invalid, child.error().message);
  auto running = std::make_shared<Program>(loop_);
  running->pid = child->pid;
  std::erase_if(instance->programs, [](const auto& one) { return one.expired(); });
  instance->programs.push_back(running);
  auto session = std::make_unique<Session>(running);
  session->in = std::move(child->in);
  session->out = std::move(child->out);
  session->err = std::move(child->err);
  if (program.terminal) session->terminal.reset(fcntl(session->in.get(), F_DUPFD_CLOEXEC, 3));
  loop_.spawn(awaitProgram(std::move(running), std::move(child->pidfd)));
  co_return std::unique_ptr<seams::ProgramSession>(std::move(session));
}

net::Task<void> ProcessRuntime::awaitProgram(std::shared_ptr<Program> running,
                                             net::UniqueFd pidfd) {
  net::FdWatcher watcher(loop_, std::move(pidfd));
  (void)co_await watcher.readable();
  kill(-running->pid, SIGKILL);  // what it left of its group
  siginfo_t ended{};
  waitid(P_PID, static_cast<id_t>(running->pid), &ended, WEXITED);
  running->ended.set(ended.si_code == CLD_EXITED ? ended.si_status : 128 + ended.si_status);
}

Result<seams::ResourceUse> ProcessRuntime::resourceUse(InstanceId id) {
  const Shared instance = find(id);
  if (!instance) return fail(goneError());
  const GroupUse group = groupUse(instance->pid);
  instance->memoryPeak = std::max(instance->memoryPeak, Bytes(group.residentBytes));
  seams::ResourceUse use;
  use.memory = Bytes(group.residentBytes);
  use.memoryPeak = instance->memoryPeak;
  use.cpu = std::chrono::seconds(1) * group.cpuTicks / sysconf(_SC_CLK_TCK);
  return use;
}

void ProcessRuntime::readOutputNow(InstanceId id) {
  const Shared instance = find(id);
  if (!instance || listener_ == nullptr) return;
  std::array<char, kOutputPiece> piece;
  for (const auto stream : {seams::OutputStream::Stdout, seams::OutputStream::Stderr}) {
    const int fd = (stream == seams::OutputStream::Stdout ? instance->out : instance->err).get();
    for (int i = 0; i < kPiecesInAPipe; ++i) {
      const ssize_t size = read(fd, piece.data(), piece.size());
      if (size <= 0) break;
      listener_->onOutput(id, stream, {piece.data(), static_cast<std::size_t>(size)});
    }
  }
}

Result<int> ProcessRuntime::pidOf(InstanceId id) {
  const Shared instance = find(id);
  if (!instance) return fail(goneError());
  return instance->pid;
}

}  // namespace okibi::runtime
