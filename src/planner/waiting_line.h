#pragma once
// Functions waiting for the same scarce thing (cards of a type, a quota), in order of their oldest
// request without an instance coming. Grouped by slice size, because what is too small for one may
// suffice for another: the number of groups is bounded by the whole gigabytes of a card.

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "base/check.h"
#include "base/units.h"

namespace okibi::planner {

struct Function;

class WaitingLine {
 public:
  struct Place {
    std::uint64_t arrival = 0;  // of that oldest request: unique
    Bytes slice;                // group
    auto operator<=>(const Place&) const = default;
  };

  bool empty() const { return groups_.empty(); }

  void join(const Place& place, Function& function) {
    OKIBI_CHECK(groups_[place.slice].emplace(place.arrival, &function).second, "arrival {}",
                place.arrival);
  }
  void leave(const Place& place) {
    auto group = groups_.find(place.slice);
    OKIBI_CHECK(group != groups_.end() && group->second.erase(place.arrival) == 1, "arrival {}",
                place.arrival);
    if (group->second.empty()) groups_.erase(group);
  }
  bool contains(const Place& place, const Function& function) const {
    auto group = groups_.find(place.slice);
    if (group == groups_.end()) return false;
    auto entry = group->second.find(place.arrival);
    return entry != group->second.end() && entry->second == &function;
  }

  // The first in line among those that ask for less than `below` (nullopt: among all).
  Function* first(std::optional<Bytes> below) const {
    const std::pair<const std::uint64_t, Function*>* best = nullptr;
    for (const auto& [slice, group] : groups_) {
      if (below && slice >= *below) break;
      if (!best || group.begin()->first < best->first) best = &*group.begin();
    }
    return best ? best->second : nullptr;
  }

 private:
  std::map<Bytes, std::map<std::uint64_t, Function*>> groups_;
};

}  // namespace okibi::planner
