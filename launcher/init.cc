#include "launcher/init.h"

#include <array>
#include <map>
#include <set>

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launcher/program.h"
#include "launcher/session.h"
#include "runtime/wire.h"

namespace okibi::launcher {

namespace {

using runtime::ExecuteRequest;
using runtime::KillRequest;
using runtime::SessionRequest;

constexpr std::array kForwarded = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH};

class Init {
 public:
  explicit Init(Sandbox sandbox) : sandbox_(std::move(sandbox)) {}

  void run() {
    sigset_t set;
    sigfillset(&set);
    sigprocmask(SIG_SETMASK, &set, nullptr);
    signals_ = Fd(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    {
      LaunchEnds& given = sandbox_.ends;
      const ProgramEnds ends{std::move(given.status), {}, std::move(given.out),
                             std::move(given.err),    {}, {}};
      application_ = startProgram(sandbox_, ends, sandbox_.order.request.arguments);
      // Only the application holds them from here, so that their end of file is its end.
    }
    if (application_ < 0) return;
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
    sessions_.erase(pid);
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
    if (auto* session = std::get_if<SessionRequest>(&*request)) onSession(*session, fds);
    if (auto* order = std::get_if<KillRequest>(&*request)) onKill(*order);
  }

  void onExecute(const ExecuteRequest& request, std::vector<Fd>& fds) {
    if (fds.size() != 3) return;
    const ProgramEnds ends{std::move(fds[0]), {}, std::move(fds[1]), std::move(fds[2]), {}, {}};
    int pid = startProgram(sandbox_, ends, request.command);
    if (pid > 0) executions_[pid] = request.execution;
  }

  void onSession(const SessionRequest& request, std::vector<Fd>& fds) {
    const int pid = startSession(sandbox_, request, fds);
    if (pid <= 0) return;
    executions_[pid] = request.execution;
    sessions_.insert(pid);
  }

  void onKill(const KillRequest& request) {
    for (const auto& [pid, execution] : executions_) {
      if (execution != request.execution) continue;
      if (sessions_.contains(pid)) {
        kill(pid, kEndSession);
      } else {
        kill(-pid, SIGKILL), kill(pid, SIGKILL);
      }
    }
  }

  Sandbox sandbox_;
  Fd signals_;
  int application_ = -1;
  std::map<int, std::uint64_t> executions_;  // by pid
  std::set<int> sessions_;                   // those that are sessions: pids of their keepers
  bool ended_ = false;
};

}  // namespace

void runInit(Sandbox sandbox) {
  Status entered = enterSandbox(sandbox);
  if (!entered) {
    reportFailure(sandbox.ends.status, entered.error());
    _exit(1);
  }
  Init init(std::move(sandbox));
  init.run();
  _exit(0);
}

}  // namespace okibi::launcher
