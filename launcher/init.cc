#include "launcher/init.h"

#include <array>
#include <map>

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/wire.h"

namespace okibi::launcher {

namespace {

using runtime::ExecuteRequest;
using runtime::KillRequest;

constexpr std::array kForwarded = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH};

void report(const Fd& status, const Failure& failure) {
  std::string bytes(1, runtime::kStepFailed);
  bytes += runtime::encode(failure);
  [[maybe_unused]] ssize_t ignored = write(status.get(), bytes.data(), bytes.size());
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> list;
  for (const std::string& text : texts) list.push_back(const_cast<char*>(text.c_str()));
  list.push_back(nullptr);
  return list;
}

std::string pathOf(const std::vector<std::string>& environment) {
  for (const std::string& variable : environment) {
    if (variable.starts_with("PATH=")) return variable.substr(5);
  }
  return "";
}

// execve along PATH. Returns the error that says most: a file that may not be run outranks the
// directories that do not have it.
int execAlongPath(const std::vector<std::string>& command,
                  const std::vector<std::string>& environment) {
  std::vector<char*> arguments = pointers(command), variables = pointers(environment);
  const std::string& name = command[0];
  if (name.empty()) return ENOENT;
  if (name.find('/') != std::string::npos) {
    execve(name.c_str(), arguments.data(), variables.data());
    return errno;
  }
  int error = ENOENT;
  std::string path = pathOf(environment);
  for (std::size_t at = 0; at <= path.size();) {
    std::size_t end = std::min(path.find(':', at), path.size());
    std::string directory = path.substr(at, end - at);
    execve(((directory.empty() ? "." : directory) + "/" + name).c_str(), arguments.data(),
           variables.data());
    if (errno != ENOENT && errno != ENOTDIR) error = errno;
    at = end + 1;
  }
  return error;
}

// Between fork and exec of the application or of a command.
Status becomeApplication(const Sandbox& sandbox, const LaunchEnds& ends) {
  if (setsid() < 0) return named("session", Failure{"", errno, "setsid"});
  dup2(ends.out.get(), STDOUT_FILENO);
  dup2(ends.err.get(), STDERR_FILENO);
  if (Status done = becomeIdentity(sandbox.identity); !done) return named("identity", done.error());
  const std::string& directory = sandbox.order.request.workingDirectory;
  if (!directory.empty() && chdir(directory.c_str()) != 0) {
    return named("working directory", Failure{"", errno, directory});
  }
  // Preferred by the kernel's out-of-memory killer over everything of the platform.
  (void)writeFile("/proc/self/oom_score_adj", "500");
  // The init is this process's parent and PID 1; with it the kernel ends the whole namespace.
  if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || getppid() != 1) {
    return named("parent-death signal", Failure{"", errno, "the init is gone"});
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  return {};
}

struct Birth {
  const Sandbox& sandbox;
  const LaunchEnds& ends;
  const std::vector<std::string>& command;
};

int beProgram(void* raw) {
  const Birth& birth = *static_cast<Birth*>(raw);
  Status ready = becomeApplication(birth.sandbox, birth.ends);
  if (!ready) {
    report(birth.ends.status, ready.error());
    _exit(127);
  }
  [[maybe_unused]] ssize_t ignored = write(birth.ends.status.get(), &runtime::kAboutToExec, 1);
  int error = execAlongPath(birth.command, birth.sandbox.environment);
  report(birth.ends.status, Failure{"exec", error, "'" + birth.command[0] + "'"});
  _exit(127);
}

// As vfork does: the child borrows our memory until its exec, so nothing is copied, and we wait for
// it. Descriptors, credentials and signal mask are its own all the same.
int startProgram(const Sandbox& sandbox, const LaunchEnds& ends,
                 const std::vector<std::string>& command) {
  alignas(16) static char stack[256 * 1024];
  Birth birth{sandbox, ends, command};
  int pid = clone(beProgram, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, &birth);
  if (pid < 0) report(ends.status, Failure{"clone", errno, "start '" + command[0] + "'"});
  return pid;
}

class Init {
 public:
  explicit Init(Sandbox sandbox) : sandbox_(std::move(sandbox)) {}

  void run() {
    sigset_t set;
    sigfillset(&set);
    sigprocmask(SIG_SETMASK, &set, nullptr);
    signals_ = Fd(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    application_ = startProgram(sandbox_, sandbox_.ends, sandbox_.order.request.arguments);
    if (application_ < 0) return;
    // Only the application holds them from here, so that their end of file is its end.
    sandbox_.ends.status.reset();
    sandbox_.ends.out.reset();
    sandbox_.ends.err.reset();
    pollfd waits[] = {{signals_.get(), POLLIN, 0}, {sandbox_.ends.control.get(), POLLIN, 0}};
    while (!ended_) {
      if (poll(waits, 2, -1) < 0 && errno != EINTR) return;
      if (waits[1].revents != 0) onControl();
      if (waits[0].revents != 0) onSignals();
    }
  }

 private:
  void onSignals() {
    signalfd_siginfo info;
    while (read(signals_.get(), &info, sizeof(info)) == sizeof(info)) {
      for (int forwarded : kForwarded) {
        if (static_cast<int>(info.ssi_signo) == forwarded) kill(application_, forwarded);
      }
    }
    int status = 0;
    for (int pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) onEnd(pid, status);
  }

  void onEnd(int pid, int status) {
    auto execution = executions_.find(pid);
    if (pid != application_ && execution == executions_.end()) return;  // an orphan
    InitReport message;
    if (execution != executions_.end()) message.execution = execution->second;
    if (WIFSIGNALED(status)) message.signal = static_cast<std::uint32_t>(WTERMSIG(status));
    if (WIFEXITED(status)) message.exitCode = static_cast<std::uint32_t>(WEXITSTATUS(status));
    (void)runtime::sendPacket(sandbox_.ends.control.get(), runtime::wire::encodeFields(message));
    if (execution != executions_.end()) executions_.erase(execution);
    if (pid == application_) ended_ = true;
  }

  void onControl() {
    Result<runtime::Packet> packet = runtime::receivePacket(sandbox_.ends.control.get());
    if (!packet || packet->endOfStream) {
      ended_ = true;  // without the launcher there is nobody to belong to
      return;
    }
    std::vector<Fd> fds;
    for (int fd : packet->fds) fds.emplace_back(fd);
    Result<runtime::Request> request = runtime::decodeRequest(packet->bytes);
    if (!request) return;
    if (auto* execute = std::get_if<ExecuteRequest>(&*request)) onExecute(*execute, fds);
    if (auto* order = std::get_if<KillRequest>(&*request)) onKill(*order);
  }

  void onExecute(const ExecuteRequest& request, std::vector<Fd>& fds) {
    if (fds.size() != 3) return;
    LaunchEnds ends{std::move(fds[0]), std::move(fds[1]), std::move(fds[2]), Fd()};
    int pid = startProgram(sandbox_, ends, request.command);
    if (pid > 0) executions_[pid] = request.execution;
  }

  void onKill(const KillRequest& request) {
    for (const auto& [pid, execution] : executions_) {
      if (execution == request.execution) kill(-pid, SIGKILL), kill(pid, SIGKILL);
    }
  }

  Sandbox sandbox_;
  Fd signals_;
  int application_ = -1;
  std::map<int, std::uint64_t> executions_;  // by pid
  bool ended_ = false;
};

}  // namespace

void runInit(Sandbox sandbox) {
  Status entered = enterSandbox(sandbox);
  if (!entered) {
    report(sandbox.ends.status, entered.error());
    _exit(1);
  }
  Init init(std::move(sandbox));
  init.run();
  _exit(0);
}

}  // namespace okibi::launcher
