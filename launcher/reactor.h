#pragma once
// Reactor: the launcher's one thread. Readiness of descriptors, alarms, and the ends of children.

#include <cstdint>
#include <functional>
#include <map>

#include "launcher/sys.h"

namespace okibi::launcher {

class Reactor {
 public:
  using Alarm = std::uint64_t;

  Reactor();
  // Blocks SIGCHLD, SIGTERM, SIGINT and takes them by signalfd. SIGTERM and SIGINT call
  // `onTerminate`.
  Status start(std::function<void()> onTerminate);

  // Calls `fn` while `fd` is readable or hung up. unwatch() before closing it.
  void watch(int fd, std::function<void()> fn);
  void unwatch(int fd);

  Alarm after(std::int64_t nanoseconds, std::function<void()> fn);
  void cancel(Alarm alarm);

  // Calls `fn` once with the wait status of child `pid`, also when it has ended already.
  void onChildEnd(int pid, std::function<void(int status)> fn);

  // One turn: waits, then calls what is due.
  void turn();

 private:
  void reap();
  void runAlarms();
  int timeoutMs() const;

  Fd epoll_, signals_;
  std::function<void()> onTerminate_;
  std::map<int, std::function<void()>> watched_;
  std::map<std::pair<std::int64_t, Alarm>, std::function<void()>> alarms_;
  std::map<Alarm, std::int64_t> alarmTimes_;
  Alarm nextAlarm_ = 1;
  std::map<int, std::function<void(int)>> children_;
  // Ended before anybody asked (an instance's init may end before its stub has told its pid).
  std::map<int, int> unclaimed_;
};

}  // namespace okibi::launcher
