#pragma once
// Who holds how much of which card. A slice is booked when its instance starts and given back when
// the instance is gone, never before.

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "base/ids.h"
#include "base/units.h"
#include "model/gpu_spec.h"
#include "planner/card_turns.h"
#include "planner/instance.h"
#include "planner/plan.h"
#include "planner/waiting_line.h"

namespace okibi::planner {

struct Shelf;

struct CardBook {
  CardId id;
  Shelf* shelf = nullptr;
  Bytes memory;
  Bytes held;     // slices of instances that are not gone
  Bytes leaving;  // of those: of draining and stopping instances, will be given back
  Bytes claimed;  // promised to instances in Placing
  bool lost = false;
  CardTurns turns;
  std::set<InstanceId> residents;  // instances that hold or claim a part

  Bytes free() const { return memory - held; }
  // Not promised to anybody, counting what will be given back.
  Bytes promisable() const { return lost ? Bytes() : memory - held + leaving - claimed; }
  // Could be booked now without taking from a claim.
  Bytes bookable() const { return lost ? Bytes() : std::min(free(), promisable()); }
};

// All cards of one type.
struct Shelf {
  using Index = std::set<std::pair<Bytes, CardId>>;
  std::string type;
  std::map<CardId, CardBook*> cards;
  // Of cards that are not lost
  Index byBookable, byPromisable;
  std::map<Bytes, int> rooms;  // how many of them have exactly so much bookable
  CardRule rule = CardRule::BestFit;
  std::map<Bytes, int> sizes;  // how many of the functions deployed on this type have such a slice
  int usable = 0;
  Bytes memory, held;

  WaitingLine line;
  int waiting = 0;  // functions of this type that wait for anything scarce, in whatever line
  std::map<std::uint64_t, Bytes> holdings;          // by account: held or promised, and not leaving
  LinkedList<Instance, &Instance::shelfIdle> idle;  // not kept; longest idle first
  LinkedList<Instance, &Instance::shelfServing> serving;  // so
  LinkedList<Instance, &Instance::shelfAhead> ahead;  // for expected requests: the first to leave
  std::set<InstanceId> placing;
  bool dirty = false;  // memory was given back: the line is to be served in this step

  // Cards a slice could be booked on now. The cost grows with the whole gigabytes of a card only.
  int cardsWithRoom(Bytes slice) const;
};

class SliceLedger {
 public:
  // A type nobody has cards of has a shelf too: its functions wait there.
  Shelf& shelf(const std::string& type);
  CardBook* find(CardId id);

  // A lost card that comes back keeps what is still held on it.
  CardBook& add(const Card& card);
  // Takes no more slices; forgotten when the last one is given back.
  void lose(CardBook& card);

  void claim(CardBook& card, Bytes slice, InstanceId instance);
  // `card` may be forgotten by it, as by giveBack.
  void unclaim(CardBook& card, Bytes slice, InstanceId instance);
  // REQUIRES: slice <= card.free()
  void hold(CardBook& card, Bytes slice, InstanceId instance);
  void markLeaving(CardBook& card, Bytes slice);
  enum class Leaving { No, Yes };
  void giveBack(CardBook& card, Bytes slice, InstanceId instance, Leaving wasLeaving);

  const std::map<CardId, CardBook>& cards() const { return cards_; }
  std::map<std::string, Shelf>& shelves() { return shelves_; }
  const std::map<std::string, Shelf>& shelves() const { return shelves_; }
  // Aborts when the books do not add up.
  void check() const;

 private:
  void forgetIfDone(CardBook& card);
  void unindex(CardBook& card);
  void index(CardBook& card);

  std::map<std::string, Shelf> shelves_;
  std::map<CardId, CardBook> cards_;
};

}  // namespace okibi::planner
