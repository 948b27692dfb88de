#include "runtime/child_program.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/pipes.h"

namespace okibi::runtime {
namespace {

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> all;
  for (const std::string& text : texts) all.push_back(const_cast<char*>(text.c_str()));
  all.push_back(nullptr);
  return all;
}

// What the child is given; of a terminal, all three are its slave.
struct Given {
  int in, out, err, status;
  bool terminal;
};

// Between fork and exec only what is safe in a child of a process with threads.
[[noreturn]] void become(char* const* argv, char* const* envp, const char* directory,
                         const Given& given) {
  if (given.terminal) {
    setsid();
    ioctl(given.in, TIOCSCTTY, 0);
  } else {
    setpgid(0, 0);
  }
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  for (const int signal : {SIGPIPE, SIGINT, SIGTERM, SIGHUP}) ::signal(signal, SIG_DFL);
  dup2(given.in, STDIN_FILENO);
  dup2(given.out, STDOUT_FILENO);
  dup2(given.err, STDERR_FILENO);
  if (chdir(directory) == 0) execvpe(argv[0], argv, envp);
  const int error = errno;
  [[maybe_unused]] const ssize_t written = write(given.status, &error, sizeof error);
  _exit(127);
}

// 0 when exec has succeeded: the pipe then closes without a word.
int execError(int status) {
  int error = 0;
  ssize_t got = 0;
  do got = read(status, &error, sizeof error);
  while (got < 0 && errno == EINTR);
  return got == sizeof error ? error : 0;
}

// Both ends of what a child's streams are.
struct Streams {
  Pipe in, out, err;
};

Result<Streams> makeStreams(const ChildProgram& program) {
  Streams streams;
  std::vector<Pipe*> pipes{&streams.out, &streams.err};
  if (program.input == ChildInput::Pipe) pipes.push_back(&streams.in);
  for (Pipe* pipe : pipes) {
    Result<Pipe> made = makePipe();
    if (!made) return fail(std::move(made.error()));
    *pipe = std::move(*made);
  }
  if (program.input == ChildInput::Nothing) {
    streams.in.readEnd.reset(open("/dev/null", O_RDONLY | O_CLOEXEC));
  }
  return streams;
}

// The terminal's master to write to and to read from; the slave is what the child reads.
Result<Streams> makeTerminal(const seams::TerminalSize& size) {
  net::UniqueFd master(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!master || unlockpt(master.get()) != 0) {
    return failErrno("terminal", errno, ErrorKind::Unavailable);
  }
  Streams streams;
  streams.in.readEnd.reset(ioctl(master.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!streams.in.readEnd) return failErrno("terminal", errno, ErrorKind::Unavailable);
  setTerminalSize(master.get(), size);
  streams.in.writeEnd.reset(fcntl(master.get(), F_DUPFD_CLOEXEC, 3));
  streams.out.readEnd = std::move(master);
  return streams;
}

Given givenOf(const ChildProgram& program, const Streams& streams, int status) {
  const int in = streams.in.readEnd.get();
  if (program.input == ChildInput::Terminal) return {in, in, in, status, true};
  return {in, streams.out.writeEnd.get(), streams.err.writeEnd.get(), status, false};
}

}  // namespace

Result<Child> startChild(const ChildProgram& program) {
  auto status = makePipe();
  if (!status) return fail(std::move(status.error()));
  const bool terminal = program.input == ChildInput::Terminal;
  auto streams = terminal ? makeTerminal(program.terminal) : makeStreams(program);
  if (!streams) return fail(std::move(streams.error()));
  const std::vector<char*> argv = pointers(program.arguments), envp = pointers(program.environment);
  const Given given = givenOf(program, *streams, status->writeEnd.get());
  const pid_t pid = fork();
  if (pid < 0) return failErrno("fork", errno, ErrorKind::Unavailable);
  if (pid == 0) become(argv.data(), envp.data(), program.directory.c_str(), given);
  // The leader of a session leads a group already, and must not before.
  if (!terminal) setpgid(pid, pid);
  status->writeEnd.reset();
  if (const int error = execError(status->readEnd.get())) {
    waitpid(pid, nullptr, 0);
    return failErrno(fmt::format("exec: '{}'", program.arguments[0]), error,
                     ErrorKind::Unavailable);
  }
  Child child;
  child.pid = pid;
  child.pidfd.reset(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  child.in = std::move(streams->in.writeEnd);
  child.out = std::move(streams->out.readEnd);
  child.err = std::move(streams->err.readEnd);
  if (child.pidfd) return child;
  const int error = errno;
  kill(-pid, SIGKILL);
  waitpid(pid, nullptr, 0);
  return failErrno("pidfd_open", error, ErrorKind::Unavailable);
}

void setTerminalSize(int terminal, const seams::TerminalSize& size) {
  winsize window{};
  window.ws_col = static_cast<unsigned short>(size.columns);
  window.ws_row = static_cast<unsigned short>(size.rows);
  (void)ioctl(terminal, TIOCSWINSZ, &window);
}

std::string inLayers(const std::vector<std::filesystem::path>& layers, const std::string& path) {
  if (!path.starts_with('/')) return path;
  for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) {
    const std::filesystem::path inside = std::filesystem::absolute(*layer) / path.substr(1);
    std::error_code error;
    if (std::filesystem::exists(inside, error)) return inside.string();
  }
  return path;
}

Result<std::uint16_t> freePort() {
  const net::UniqueFd probe(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (!probe || bind(probe.get(), generic, length) != 0 ||
      getsockname(probe.get(), generic, &length) != 0)
    return failErrno("a port for the instance", errno, ErrorKind::Unavailable);
  return ntohs(address.sin_port);
}

GroupUse groupUse(pid_t group) {
  GroupUse use;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    std::ifstream file(entry.path() / "stat");
    std::string text;
    std::getline(file, text);
    const std::size_t end = text.rfind(')');
    if (end == std::string::npos) continue;
    // Fields from 3 on: state, parent, group, ..., 14 and 15 times, ..., 24 resident pages.
    std::istringstream fields(text.substr(end + 1));
    std::vector<std::string> values;
    for (std::string value; fields >> value;) values.push_back(value);
    if (values.size() < 22 || std::atoi(values[2].c_str()) != group) continue;
    use.cpuTicks += std::atoll(values[11].c_str()) + std::atoll(values[12].c_str());
    use.residentBytes += std::atoll(values[21].c_str()) * sysconf(_SC_PAGESIZE);
  }
  return use;
}

}  // namespace okibi::runtime
