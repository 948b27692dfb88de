#include "shim/allocation.h"

namespace okibi::shim {

void remember(const Record& record) {
  const Guard guard(ledger().lock);
  ledger().table.insert(record);
}

Record ownedNote(Kind kind, std::uint64_t key, int card, std::uint64_t units) {
  return {.key = key,
          .units = units,
          .context = currentContext(),
          .other = 0,
          .kind = kind,
          .card = static_cast<std::uint8_t>(card),
          .flags = 0,
          .references = 1};
}

Record take(Kind kind, std::uint64_t key) {
  const Guard guard(ledger().lock);
  Record* record = ledger().table.find(kind, key);
  if (!record) return Record{};
  const Record was = *record;
  ledger().table.erase(record);
  return was;
}

bool forget(Kind kind, std::uint64_t key) {
  const Record was = take(kind, key);
  if (was.kind == Kind::None) return false;
  giveBack(was.card, was.units);
  return true;
}

void forgetContext(std::uint64_t context) {
  std::uint64_t freed[budget::kMaxCards] = {};
  {
    const Guard guard(ledger().lock);
    ledger().table.eraseIf([&](const Record& record) {
      const bool dies = record.context == context &&
                        (record.kind == Kind::Pointer || record.kind == Kind::ArrayObject);
      if (dies) freed[record.card] += record.units;
      return dies;
    });
  }
  for (unsigned card = 0; card < budget::kMaxCards; ++card)
    giveBack(static_cast<int>(card), freed[card]);
}

}  // namespace okibi::shim
