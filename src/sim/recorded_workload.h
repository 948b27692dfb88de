#pragma once
// A function's recorded requests as a workload. What was turned away has the service time of a
// request that was served, drawn; so have all the time of a start. The draws depend on the seed
// alone, so that each setting meets the same.

#include <map>

#include "sim/what_if.h"
#include "sim/workload.h"

namespace okibi::sim {

// How service times change from slice to slice: by their medians, where enough requests were served
// on both; else not at all.
class ServiceScale {
 public:
  explicit ServiceScale(const std::vector<ledger::HistoryEntry>& requests);
  double factor(Bytes from, Bytes to) const;

 private:
  static constexpr std::size_t kEnough = 20;
  std::map<Bytes, Duration> medians_;
};

class RecordedWorkload : public Workload {
 public:
  // `slice`: as configured; `booked`: what it takes of a card.
  RecordedWorkload(const Recording& recording, Bytes slice, Bytes booked);

  const std::vector<WorkloadFunction>& functions() const override { return functions_; }
  Duration horizon() const override { return horizon_; }
  Result<void> rewind() override {
    at_ = 0;
    return {};
  }
  Result<bool> next(Request& request) override;
  // How long the start takes that is drawn first.
  Duration firstStart() const { return *requests_.front().cold; }

 private:
  std::vector<Request> requests_;
  std::vector<WorkloadFunction> functions_;
  Duration horizon_{};
  std::size_t at_ = 0;
};

}  // namespace okibi::sim
