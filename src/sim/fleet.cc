#include "sim/fleet.h"

#include <fmt/format.h>

#include "sim/parse.h"

namespace okibi::sim {
namespace {

Result<CardGroup> parseCards(std::string_view text) {
  // "8 x fc.gpu.ada.1 x 48G": types have an x of their own, so the blanks decide.
  std::vector<std::string> words;
  for (std::string& word : split(text, ' ')) {
    if (!word.empty() && word != "x") words.push_back(std::move(word));
  }
  if (words.size() != 3) {
    return fail(ErrorKind::Invalid, fmt::format("'{}' is not COUNT x TYPE x SIZE", text));
  }
  Result<std::int64_t> count = parseInteger(words[0]);
  if (!count) return fail(count.error());
  if (*count < 1 || *count > 100'000) {
    return fail(ErrorKind::Invalid, fmt::format("{} cards are outside 1 to 100000", *count));
  }
  Result<Bytes> memory = parseBytes(words[2]);
  if (!memory) return fail(memory.error());
  return CardGroup{static_cast<int>(*count), words[1], *memory};
}

}  // namespace

Result<void> Fleet::set(std::string_view key, std::string_view value) {
  if (key == "card") {
    Result<CardGroup> group = parseCards(value);
    if (!group) return fail(group.error());
    cards.push_back(std::move(*group));
    return {};
  }
  if (key == "host_memory") {
    Result<Bytes> size = parseBytes(value);
    if (!size) return fail(size.error());
    hostMemory = *size;
    return {};
  }
  Distribution* target = key == "cold_start" ? &coldStart
                         : key == "park"     ? &park
                         : key == "wake"     ? &wake
                         : key == "stop"     ? &stop
                                             : nullptr;
  if (!target) {
    return fail(ErrorKind::Invalid,
                fmt::format("'{}' is not card, host_memory, cold_start, park, wake or stop", key));
  }
  Result<Distribution> distribution = Distribution::parse(value);
  if (!distribution) return fail(distribution.error());
  *target = std::move(*distribution);
  return {};
}

Result<Fleet> Fleet::parse(std::string_view text) {
  Fleet fleet;
  int number = 0;
  for (const std::string& raw : split(text, '\n')) {
    ++number;
    const std::string line = raw.substr(0, raw.find('#'));
    if (split(line, ' ').empty()) continue;
    const std::vector<std::string> sides = split(line, '=');
    if (sides.size() != 2) {
      return fail(ErrorKind::Invalid, fmt::format("line {}: '{}' is not KEY = VALUE", number, raw));
    }
    if (Result<void> done = fleet.set(sides[0], sides[1]); !done) {
      return fail(withContext(done.error(), fmt::format("line {}", number)));
    }
  }
  return fleet;
}

}  // namespace okibi::sim
