#include "launcher/reactor.h"

#include <algorithm>

#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

namespace okibi::launcher {

Reactor::Reactor() : epoll_(epoll_create1(EPOLL_CLOEXEC)) {}

Status Reactor::start(std::function<void()> onTerminate) {
  onTerminate_ = std::move(onTerminate);
  sigset_t set;
  sigemptyset(&set);
  for (int signal : {SIGCHLD, SIGTERM, SIGINT}) sigaddset(&set, signal);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  signals_ = Fd(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals_ || !epoll_) return failed("signalfd");
  watch(signals_.get(), [this] {
    signalfd_siginfo info;
    bool terminate = false;
    while (read(signals_.get(), &info, sizeof(info)) == sizeof(info)) {
      if (info.ssi_signo != SIGCHLD) terminate = true;
    }
    reap();
    if (terminate) onTerminate_();
  });
  return {};
}

void Reactor::watch(int fd, std::function<void()> fn) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event);
  watched_[fd] = std::move(fn);
}

void Reactor::unwatch(int fd) {
  if (watched_.erase(fd) != 0) epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

Reactor::Alarm Reactor::after(std::int64_t nanoseconds, std::function<void()> fn) {
  Alarm alarm = nextAlarm_++;
  std::int64_t when = nowNs() + nanoseconds;
  alarms_.emplace(std::pair(when, alarm), std::move(fn));
  alarmTimes_.emplace(alarm, when);
  return alarm;
}

void Reactor::cancel(Alarm alarm) {
  auto found = alarmTimes_.find(alarm);
  if (found == alarmTimes_.end()) return;
  alarms_.erase({found->second, alarm});
  alarmTimes_.erase(found);
}

void Reactor::onChildEnd(int pid, std::function<void(int)> fn) {
  auto ended = unclaimed_.find(pid);
  if (ended == unclaimed_.end()) {
    children_[pid] = std::move(fn);
    return;
  }
  int status = ended->second;
  unclaimed_.erase(ended);
  fn(status);
}

void Reactor::reap() {
  int status = 0;
  for (int pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
    auto child = children_.find(pid);
    if (child == children_.end()) {
      unclaimed_[pid] = status;
      continue;
    }
    auto fn = std::move(child->second);
    children_.erase(child);
    fn(status);
  }
}

int Reactor::timeoutMs() const {
  if (alarms_.empty()) return -1;
  std::int64_t left = alarms_.begin()->first.first - nowNs();
  return left <= 0 ? 0
                   : static_cast<int>(std::min<std::int64_t>((left + 999'999) / 1'000'000, 60'000));
}

void Reactor::runAlarms() {
  while (!alarms_.empty() && alarms_.begin()->first.first <= nowNs()) {
    auto fn = std::move(alarms_.begin()->second);
    alarmTimes_.erase(alarms_.begin()->first.second);
    alarms_.erase(alarms_.begin());
    fn();
  }
}

void Reactor::turn() {
  epoll_event events[32];
  int count = epoll_wait(epoll_.get(), events, 32, timeoutMs());
  for (int i = 0; i < count; ++i) {
    // An earlier callback of this turn may have unwatched it.
    auto watched = watched_.find(events[i].data.fd);
    if (watched == watched_.end()) continue;
    auto fn = watched->second;
    fn();
  }
  runAlarms();
}

}  // namespace okibi::launcher
