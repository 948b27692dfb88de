#include "planner/slice_ledger.h"

namespace okibi::planner {

int Shelf::cardsWithRoom(Bytes slice) const {
  int count = 0;
  for (auto room = rooms.lower_bound(slice); room != rooms.end(); ++room) count += room->second;
  return count;
}

Shelf& SliceLedger::shelf(const std::string& type) {
  Shelf& shelf = shelves_[type];
  if (shelf.type.empty()) shelf.type = type;
  return shelf;
}

CardBook* SliceLedger::find(CardId id) {
  auto found = cards_.find(id);
  return found == cards_.end() ? nullptr : &found->second;
}

CardBook& SliceLedger::add(const Card& description) {
  auto [entry, added] = cards_.try_emplace(description.id);
  CardBook& card = entry->second;
  if (added) {
    card.id = description.id;
    card.shelf = &shelf(description.type);
    card.memory = description.memory;
    card.shelf->cards.emplace(card.id, &card);
  } else {
    OKIBI_CHECK(
        card.lost && card.memory == description.memory && card.shelf->type == description.type,
        "card {} is there already, or another", card.id.value());
    card.lost = false;
  }
  index(card);
  return card;
}

void SliceLedger::lose(CardBook& card) {
  OKIBI_CHECK(!card.lost, "card {}", card.id.value());
  unindex(card);
  card.lost = true;
  forgetIfDone(card);
}

void SliceLedger::claim(CardBook& card, Bytes slice, InstanceId instance) {
  OKIBI_CHECK(slice <= card.promisable(), "card {}: claim of {} with {} left", card.id.value(),
              slice.count(), card.promisable().count());
  unindex(card);
  card.claimed += slice;
  card.residents.insert(instance);
  index(card);
}

void SliceLedger::unclaim(CardBook& card, Bytes slice, InstanceId instance) {
  OKIBI_CHECK(slice <= card.claimed, "card {}", card.id.value());
  unindex(card);
  card.claimed -= slice;
  card.residents.erase(instance);
  index(card);
  forgetIfDone(card);
}

void SliceLedger::hold(CardBook& card, Bytes slice, InstanceId instance) {
  OKIBI_CHECK(!card.lost && slice <= card.free(), "card {}: slice of {} with {} free",
              card.id.value(), slice.count(), card.free().count());
  unindex(card);
  card.held += slice;
  card.residents.insert(instance);
  index(card);
}

void SliceLedger::markLeaving(CardBook& card, Bytes slice) {
  unindex(card);
  card.leaving += slice;
  OKIBI_CHECK(card.leaving <= card.held, "card {}", card.id.value());
  index(card);
}

void SliceLedger::giveBack(CardBook& card, Bytes slice, InstanceId instance, Leaving wasLeaving) {
  OKIBI_CHECK(slice <= card.held && card.residents.contains(instance), "card {} instance {}",
              card.id.value(), instance.value());
  unindex(card);
  card.held -= slice;
  if (wasLeaving == Leaving::Yes) card.leaving -= slice;
  card.residents.erase(instance);
  index(card);
  forgetIfDone(card);
}

void SliceLedger::forgetIfDone(CardBook& card) {
  if (!card.lost || !card.residents.empty()) return;
  card.shelf->cards.erase(card.id);
  cards_.erase(card.id);
}

void SliceLedger::unindex(CardBook& card) {
  if (card.lost) return;
  card.shelf->byBookable.erase({card.bookable(), card.id});
  const auto room = card.shelf->rooms.find(card.bookable());
  if (--room->second == 0) card.shelf->rooms.erase(room);
  card.shelf->byPromisable.erase({card.promisable(), card.id});
  --card.shelf->usable;
  card.shelf->memory -= card.memory;
  card.shelf->held -= card.held;
}

void SliceLedger::index(CardBook& card) {
  if (card.lost) return;
  card.shelf->byBookable.insert({card.bookable(), card.id});
  ++card.shelf->rooms[card.bookable()];
  card.shelf->byPromisable.insert({card.promisable(), card.id});
  ++card.shelf->usable;
  card.shelf->memory += card.memory;
  card.shelf->held += card.held;
}

void SliceLedger::check() const {
  for (const auto& [id, card] : cards_) {
    OKIBI_CHECK(card.held <= card.memory, "card {}: {} of {} held", id.value(), card.held.count(),
                card.memory.count());
    OKIBI_CHECK(card.leaving <= card.held && card.leaving.count() >= 0, "card {}", id.value());
    const Bytes spoken = card.held - card.leaving + card.claimed;
    OKIBI_CHECK(card.lost || spoken <= card.memory, "card {}: {} of {} promised", id.value(),
                spoken.count(), card.memory.count());
    OKIBI_CHECK(card.lost == !card.shelf->byBookable.contains({card.bookable(), id}), "card {}",
                id.value());
    OKIBI_CHECK(card.lost == !card.shelf->byPromisable.contains({card.promisable(), id}), "card {}",
                id.value());
  }
  for (const auto& [type, shelf] : shelves_) {
    OKIBI_CHECK(std::cmp_equal(shelf.cardsWithRoom(Bytes()), shelf.byBookable.size()), "cards {}",
                type);
  }
}

}  // namespace okibi::planner
