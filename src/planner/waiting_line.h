#pragma once
// Functions waiting for the same scarce thing (cards of a type, a quota): who is served next.
//
// Weighted max-min: the account that holds least for its weight comes first, and of it the function
// that holds least for its own; then whose request is the oldest. What is given away so goes to the
// neediest until all hold the same or want no more.
//
// Nobody starves: each grant is a turn of the line, and who has been passed over for kTurnsEach
// turns for each that waits comes before all that is fairer, longest passed over first.
//
// Grouped by slice size, because what is too small for one may suffice for another: the number of
// groups is bounded by the whole gigabytes of a card. Everything is logarithmic in accounts and
// functions.

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <tuple>

#include "base/check.h"
#include "base/units.h"

namespace okibi::planner {

struct Function;

class WaitingLine {
 public:
  static constexpr std::uint64_t kTurnsEach = 8;

  struct Place {
    Bytes slice;                // group
    std::uint64_t account = 0;  // its id
    std::int64_t share = 0;     // what the function holds, by its weight
    std::uint64_t arrival = 0;  // of its oldest request without an instance coming: unique
    std::uint64_t since = 0;    // the turn from which on it has been passed over
    auto operator<=>(const Place&) const = default;
  };

  bool empty() const { return waiting_ == 0; }
  std::uint64_t turns() const { return turns_; }
  // Somebody was served.
  void passTurn() { ++turns_; }

  void join(const Place& place, Function& function) {
    Group& group = groups_[place.slice];
    unrank(group, place.account);
    OKIBI_CHECK(group.accounts[place.account].emplace(keyOf(place), &function).second &&
                    group.bySince.emplace(sinceOf(place), &function).second,
                "arrival {}", place.arrival);
    rank(group, place.account);
    ++waiting_;
  }
  void leave(const Place& place) {
    auto group = groups_.find(place.slice);
    OKIBI_CHECK(group != groups_.end(), "arrival {}", place.arrival);
    unrank(group->second, place.account);
    OKIBI_CHECK(group->second.accounts[place.account].erase(keyOf(place)) == 1 &&
                    group->second.bySince.erase(sinceOf(place)) == 1,
                "arrival {}", place.arrival);
    rank(group->second, place.account);
    if (group->second.bySince.empty()) groups_.erase(group);
    --waiting_;
  }
  bool contains(const Place& place, const Function& function) const {
    auto group = groups_.find(place.slice);
    if (group == groups_.end()) return false;
    auto entry = group->second.bySince.find(sinceOf(place));
    return entry != group->second.bySince.end() && entry->second == &function;
  }

  // What an account holds, by its weight.
  void setShare(std::uint64_t account, std::int64_t share) {
    for (auto& [slice, group] : groups_) unrank(group, account);
    shares_[account] = share;
    for (auto& [slice, group] : groups_) rank(group, account);
  }

  // The next in line among those that ask for less than `below` (nullopt: among all).
  Function* first(std::optional<Bytes> below) const {
    const Group* best = nullptr;
    for (const auto& [slice, group] : groups_) {
      if (below && slice >= *below) break;
      if (!best || group.order.begin()->first < best->order.begin()->first) best = &group;
    }
    if (!best) return nullptr;
    if (const auto* passed = longest(below);
        turns_ - std::get<0>(passed->first) >= kTurnsEach * waiting_) {
      return passed->second;
    }
    return best->order.begin()->second;
  }

 private:
  using Key = std::tuple<std::int64_t, std::uint64_t>;                 // share, arrival
  using Rank = std::tuple<std::int64_t, std::int64_t, std::uint64_t>;  // of the account too
  using Since = std::tuple<std::uint64_t, std::uint64_t>;              // turn, arrival
  struct Group {
    std::map<std::uint64_t, std::map<Key, Function*>> accounts;
    std::map<Rank, Function*> order;  // the first of each account
    std::map<Since, Function*> bySince;
  };

  static Key keyOf(const Place& place) { return {place.share, place.arrival}; }
  static Since sinceOf(const Place& place) { return {place.since, place.arrival}; }

  Rank rankOf(std::uint64_t account, const Key& first) const {
    const auto share = shares_.find(account);
    return {share == shares_.end() ? 0 : share->second, std::get<0>(first), std::get<1>(first)};
  }
  // Takes the account out of the group's order, and puts it back by what it is then.
  void unrank(Group& group, std::uint64_t account) {
    const auto queue = group.accounts.find(account);
    if (queue != group.accounts.end())
      group.order.erase(rankOf(account, queue->second.begin()->first));
  }
  void rank(Group& group, std::uint64_t account) {
    const auto queue = group.accounts.find(account);
    if (queue == group.accounts.end()) return;
    if (queue->second.empty()) {
      group.accounts.erase(queue);
    } else {
      group.order.emplace(rankOf(account, queue->second.begin()->first),
                          queue->second.begin()->second);
    }
  }
  const std::pair<const Since, Function*>* longest(std::optional<Bytes> below) const {
    const std::pair<const Since, Function*>* best = nullptr;
    for (const auto& [slice, group] : groups_) {
      if (below && slice >= *below) break;
      if (!best || group.bySince.begin()->first < best->first) best = &*group.bySince.begin();
    }
    return best;
  }

  std::map<Bytes, Group> groups_;
  std::map<std::uint64_t, std::int64_t> shares_;
  std::uint64_t turns_ = 0;
  std::uint64_t waiting_ = 0;
};

}  // namespace okibi::planner
