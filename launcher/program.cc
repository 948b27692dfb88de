#include "launcher/program.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "launcher/terminal.h"

namespace okibi::launcher {

namespace {

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

// The pipes of a session belong to the daemon's user; a program reopens them under its own.
void attachStreams(const ProgramEnds& ends, const Identity& identity) {
  const Fd* given[] = {&ends.in, &ends.out, &ends.err};
  for (int target : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    const Fd& end = *given[target];
    if (!end) continue;  // /dev/null, as the init has it
    (void)fchown(end.get(), identity.uid, static_cast<gid_t>(-1));
    dup2(end.get(), target);
  }
}

// Between fork and exec of the application or of a command. `parent`: who starts it.
Status becomeApplication(const Sandbox& sandbox, const ProgramEnds& ends, int parent) {
  if (setsid() < 0) return named("session", Failure{"", errno, "setsid"});
  attachStreams(ends, sandbox.identity);
  if (Status done = becomeIdentity(sandbox.identity); !done) return named("identity", done.error());
  if (ends.console) {
    Status attached = terminal::attach(ends.console, ends.size);
    if (!attached) return named("terminal", attached.error());
  }
  const std::string& directory = sandbox.order.request.workingDirectory;
  if (!directory.empty() && chdir(directory.c_str()) != 0) {
    return named("working directory", Failure{"", errno, directory});
  }
  // Preferred by the kernel's out-of-memory killer over everything of the platform.
  (void)writeFile("/proc/self/oom_score_adj", "500");
  // With the init, which is PID 1, the kernel ends the whole namespace.
  if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || getppid() != parent) {
    return named("parent-death signal", Failure{"", errno, "the parent is gone"});
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  return {};
}

struct Birth {
  const Sandbox& sandbox;
  const ProgramEnds& ends;
  const std::vector<std::string>& command;
  int parent;
};

int beProgram(void* raw) {
  const Birth& birth = *static_cast<Birth*>(raw);
  Status ready = becomeApplication(birth.sandbox, birth.ends, birth.parent);
  if (!ready) {
    reportFailure(birth.ends.status, ready.error());
    _exit(127);
  }
  [[maybe_unused]] ssize_t ignored = write(birth.ends.status.get(), &runtime::kAboutToExec, 1);
  int error = execAlongPath(birth.command, birth.sandbox.environment);
  reportFailure(birth.ends.status, Failure{"exec", error, "'" + birth.command[0] + "'"});
  _exit(127);
}

}  // namespace

void reportFailure(const Fd& status, const Failure& failure) {
  std::string bytes(1, runtime::kStepFailed);
  bytes += runtime::encode(failure);
  [[maybe_unused]] ssize_t ignored = write(status.get(), bytes.data(), bytes.size());
}

// As vfork does: the child borrows our memory until its exec, so nothing is copied, and we wait for
// it. Descriptors, credentials and signal mask are its own all the same.
int startProgram(const Sandbox& sandbox, const ProgramEnds& ends,
                 const std::vector<std::string>& command) {
  alignas(16) static char stack[256 * 1024];
  Birth birth{sandbox, ends, command, getpid()};
  int pid = clone(beProgram, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, &birth);
  if (pid < 0) reportFailure(ends.status, Failure{"clone", errno, "start '" + command[0] + "'"});
  return pid;
}

}  // namespace okibi::launcher
