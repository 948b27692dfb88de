#pragma once
// Law 6 of docs/architecture.md, checked from outside: what the meter was told goes in, and the
// records and shares that it made of it; the books are its own. Of each instance, whenever nothing
// is on it:
//   - its active time is the time in which at least one use was on it: overlap counts once;
//   - its intervals on the log sum to that, and so do the shares of requests and hooks;
//   - the bills of requests sum to the usage of its intervals, unless one of them ended with a
//   hook,
//     whose rounding is nobody's: then to no more.

#include <map>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/units.h"
#include "ledger/record.h"
#include "ledger/usage_meter.h"

namespace okibi::ledger {

class UsageLaw {
 public:
  void began(const std::string& instance, UseKind kind, Instant now);
  // With the share that it was given, and what went on the log with it.
  void ended(const std::string& instance, UseKind kind, Duration share, const Records& records,
             Instant now);
  // The instance is gone; those still on it stop counting, and each is still to end.
  void closed(const std::string& instance, const Records& records, Instant now);

  // When all is over: every use has ended.
  void expectRest();

  // What was broken, in words; empty: nothing.
  const std::vector<std::string>& violations() const { return violations_; }

 private:
  struct Instance {
    int requests = 0, hooks = 0;  // on it
    int late = 0;                 // ended with the instance, and not told of yet
    Instant since;                // valid while something is on it
    Duration active{}, shares{}, recorded{};
    Usage billed, used;
    bool endedWithHook = false;  // some interval did
  };

  void stopCounting(Instance& instance, UseKind last, Instant now);
  void read(const std::string& name, Instance& instance, const Records& records);
  void check(const std::string& name, const Instance& instance);
  template <typename... Args>
  void broken(fmt::format_string<Args...> format, Args&&... args) {
    violations_.push_back("law 6: " + fmt::format(format, std::forward<Args>(args)...));
  }

  std::map<std::string, Instance> instances_;
  std::vector<std::string> violations_;
};

}  // namespace okibi::ledger
