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
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace okibi::runtime {
namespace {

struct Pipe {
  net::UniqueFd readEnd, writeEnd;
};

Result<Pipe> makePipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return failErrno("pipe", errno, ErrorKind::Unavailable);
  return Pipe{net::UniqueFd(ends[0]), net::UniqueFd(ends[1])};
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> all;
  for (const std::string& text : texts) all.push_back(const_cast<char*>(text.c_str()));
  all.push_back(nullptr);
  return all;
}

// Between fork and exec only what is safe in a child of a process with threads.
[[noreturn]] void become(char* const* argv, char* const* envp, const char* directory, int out,
                         int err, int status) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  for (const int signal : {SIGPIPE, SIGINT, SIGTERM, SIGHUP}) ::signal(signal, SIG_DFL);
  const int null = open("/dev/null", O_RDONLY);
  dup2(null, STDIN_FILENO);
  dup2(out, STDOUT_FILENO);
  dup2(err, STDERR_FILENO);
  if (chdir(directory) == 0) execvpe(argv[0], argv, envp);
  const int error = errno;
  [[maybe_unused]] const ssize_t written = write(status, &error, sizeof error);
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

}  // namespace

Result<Child> startChild(const ChildProgram& program) {
  auto out = makePipe(), err = makePipe(), status = makePipe();
  for (const auto* pipe : {&out, &err, &status}) {
    if (!*pipe) return fail(pipe->error());
  }
  const std::vector<char*> argv = pointers(program.arguments), envp = pointers(program.environment);
  const pid_t pid = fork();
  if (pid < 0) return failErrno("fork", errno, ErrorKind::Unavailable);
  if (pid == 0)
    become(argv.data(), envp.data(), program.directory.c_str(), out->writeEnd.get(),
           err->writeEnd.get(), status->writeEnd.get());
  setpgid(pid, pid);
  status->writeEnd.reset();
  if (const int error = execError(status->readEnd.get())) {
    waitpid(pid, nullptr, 0);
    return failErrno(fmt::format("exec: '{}'", program.arguments[0]), error,
                     ErrorKind::Unavailable);
  }
  Child child;
  child.pid = pid;
  child.pidfd.reset(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  child.out = std::move(out->readEnd);
  child.err = std::move(err->readEnd);
  if (child.pidfd) return child;
  const int error = errno;
  kill(-pid, SIGKILL);
  waitpid(pid, nullptr, 0);
  return failErrno("pidfd_open", error, ErrorKind::Unavailable);
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
