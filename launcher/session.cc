#include "launcher/session.h"

#include <algorithm>
#include <cstdlib>
#include <ctime>

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launcher/program.h"

namespace okibi::launcher {

namespace {

constexpr timespec kLookAgain{0, 20'000'000};

sigset_t keeperSignals() {
  sigset_t set;
  sigemptyset(&set);
  for (int signal : {SIGCHLD, kEndSession}) sigaddset(&set, signal);
  return set;
}

int codeOf(int status) {
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

// Until the program has ended or the session is to end.
int awaitEnd(int program) {
  const sigset_t signals = keeperSignals();
  for (;;) {
    int status = 0;
    for (int pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
      if (pid == program) return codeOf(status);
    }
    if (sigwaitinfo(&signals, nullptr) == kEndSession) return 128 + SIGKILL;
  }
}

// Field 4 of /proc/PID/stat, after a name that may hold anything.
int parentOf(const std::string& pid) {
  const std::string stat = readFile("/proc/" + pid + "/stat").value_or("");
  const std::size_t name = stat.rfind(") ");
  return name == std::string::npos || name + 4 > stat.size() ? 0 : std::atoi(&stat[name + 4]);
}

// Children of killed children become ours, so that at the end there is none.
void killDescendants() {
  const sigset_t signals = keeperSignals();
  for (;;) {
    for (const std::string& name : listDirectory("/proc")) {
      if (name[0] < '0' || name[0] > '9') continue;
      if (parentOf(name) == getpid()) kill(std::atoi(name.c_str()), SIGKILL);
    }
    int ended = 0;
    while ((ended = waitpid(-1, nullptr, WNOHANG)) > 0) {
    }
    if (ended < 0 && errno == ECHILD) return;
    sigtimedwait(&signals, nullptr, &kLookAgain);
  }
}

ProgramEnds endsOf(const runtime::SessionRequest& request) {
  ProgramEnds ends;
  int next = 3;
  ends.status.reset(next++);
  if (request.terminal) {
    ends.console.reset(next);
    ends.size = {request.columns, request.rows};
    return ends;
  }
  for (Fd* stream : {&ends.in, &ends.out, &ends.err}) stream->reset(next++);
  return ends;
}

void nameTerminal(std::vector<std::string>& environment) {
  const auto names = [](const std::string& variable) { return variable.starts_with("TERM="); };
  if (std::ranges::none_of(environment, names)) environment.emplace_back("TERM=xterm");
}

// In a process of its own.
[[noreturn]] void keep(Sandbox& sandbox, const runtime::SessionRequest& request,
                       std::vector<Fd>& fds) {
  std::vector<int> given;
  for (Fd& fd : fds) given.push_back(fd.release());
  keepOnly(given);
  if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || getppid() != 1) _exit(126);
  if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) _exit(126);
  if (request.terminal) nameTerminal(sandbox.environment);
  int program = -1;
  {
    const ProgramEnds ends = endsOf(request);
    program = startProgram(sandbox, ends, request.command);
    // Closed here, so that their end of file is the program's end.
  }
  if (program < 0) _exit(126);
  const int code = awaitEnd(program);
  killDescendants();
  _exit(code);
}

}  // namespace

int startSession(Sandbox& sandbox, const runtime::SessionRequest& request, std::vector<Fd>& fds) {
  const std::size_t wanted = request.terminal ? runtime::kTerminalFds : runtime::kStreamFds;
  if (fds.size() != wanted) return -1;
  const int pid = fork();
  if (pid == 0) keep(sandbox, request, fds);
  if (pid < 0) reportFailure(fds[0], Failure{"fork", errno, "start the session"});
  return pid;
}

}  // namespace okibi::launcher
