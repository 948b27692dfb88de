#pragma once

#include <cstdint>

#include "reply.h"
#include "settings.h"

namespace echo {

// Counters that `/stats` shows; the server keeps them.
struct Stats {
  int64_t requests = 0;   // begun, `/stats` and `/health` not counted
  int64_t active = 0;     // begun and not yet answered
  int64_t maxActive = 0;  // the most at one time
  int64_t cancelled = 0;  // whose caller went away before the answer was complete
  int64_t initialized = 0;
  int64_t stopHooks = 0;
};

// Chooses what to do with a request by its path and query. Pure but for the probes' system calls.
class Routes {
 public:
  Routes(const Settings& settings, Stats& stats) : settings_(settings), stats_(stats) {}

  Reply answer(const Request& request);

 private:
  Reply plain(const Request& request);
  Reply initialize(const Request& request);
  Reply preStop(const Request& request);
  Reply health(const Request& request);
  Reply statistics() const;

  const Settings& settings_;
  Stats& stats_;
  int healthStatus_ = 200;
};

}  // namespace echo
