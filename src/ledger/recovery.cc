#include "ledger/recovery.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>

namespace okibi::ledger {
namespace {

struct OpenInterval {
  IntervalPlace place;
  Instant lastSign{};
};

struct OpenInstance {
  InstanceTerms terms;
  WallTime opened{};
  std::uint64_t lastClosed = 0;  // number of the newest interval that has its record
  std::optional<OpenInterval> open;
};

// Replays the records of one segment into what they leave open.
class Replay {
 public:
  void see(const InstanceOpened& record) {
    OpenInstance& instance = instances_[record.terms.instance];
    instance.terms = record.terms;
    instance.opened = record.opened;
  }
  void see(const InstanceClosed& record) { instances_.erase(record.terms.instance); }
  void see(const Heartbeat& record) { sign(record.place, record.alive); }
  void see(const InvocationRecord& record) {
    if (!record.place.instance.empty()) sign(record.place, record.ended);
  }
  void see(const IntervalRecord& record) {
    const auto found = instances_.find(record.terms.instance);
    if (found == instances_.end()) return;
    OpenInstance& instance = found->second;
    instance.lastClosed = std::max(instance.lastClosed, record.number);
    if (instance.open && instance.open->place.number <= instance.lastClosed) instance.open.reset();
  }
  void see(const DurableMark&) {}
  void see(const IdleRecord&) {}

  const std::map<std::string, OpenInstance>& left() const { return instances_; }

 private:
  void sign(const IntervalPlace& place, Instant at) {
    const auto found = instances_.find(place.instance);
    // A request of an instance that crashed is answered after the instance and its interval were
    // closed.
    if (found == instances_.end() || place.number <= found->second.lastClosed) return;
    auto& open = found->second.open;
    if (!open || open->place.number < place.number) open = OpenInterval{place, at};
    open->lastSign = std::max(open->lastSign, at);
  }

  std::map<std::string, OpenInstance> instances_;
};

}  // namespace

Records recover(const Records& lastSegment, WallTime now) {
  Replay replay;
  for (const Record& record : lastSegment) {
    std::visit([&](const auto& one) { replay.see(one); }, record);
  }
  Records closing;
  for (const auto& [name, instance] : replay.left()) {
    if (instance.open) {
      const OpenInterval& open = *instance.open;
      const Duration active = std::max(open.lastSign - open.place.start.at, Duration::zero());
      closing.push_back(IntervalRecord{.terms = instance.terms,
                                       .number = open.place.number,
                                       .started = open.place.start.wall,
                                       .active = active,
                                       .usage = usageOfInterval(instance.terms, active),
                                       .closing = Closing::Recovered});
    }
    closing.push_back(InstanceClosed{instance.terms, instance.opened, now, "the daemon ended"});
  }
  return closing;
}

}  // namespace okibi::ledger
