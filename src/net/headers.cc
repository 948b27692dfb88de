#include "net/headers.h"

#include <algorithm>

#include "base/check.h"
#include "base/encoding.h"
#include "net/http.h"

namespace okibi::net {

Headers::Headers(std::initializer_list<std::pair<std::string_view, std::string_view>> fields) {
  for (const auto& [name, value] : fields) add(name, value);
}

void Headers::add(std::string_view name, std::string_view value) {
  OKIBI_CHECK(isToken(name) && isFieldValue(value), "header {}: unclean name or value", name);
  slots_.push_back({static_cast<std::uint32_t>(text_.size()),
                    static_cast<std::uint32_t>(name.size()),
                    static_cast<std::uint32_t>(value.size())});
  text_.append(name).append(value);
}

void Headers::set(std::string_view name, std::string_view value) {
  // Copies first: either text may be a view into this object.
  std::string ownName(name), ownValue(value);
  remove(ownName);
  add(ownName, ownValue);
}

void Headers::remove(std::string_view name) {
  removeIf([name](std::string_view other) { return equalsIgnoreCase(other, name); });
}

void Headers::clear() {
  text_.clear();
  slots_.clear();
}

std::optional<std::string_view> Headers::get(std::string_view name) const {
  for (const Slot& slot : slots_) {
    if (slot.nameLength == name.size() && equalsIgnoreCase(field(slot).name, name)) {
      return field(slot).value;
    }
  }
  return std::nullopt;
}

std::string_view Headers::getOr(std::string_view name, std::string_view fallback) const {
  return get(name).value_or(fallback);
}

std::size_t Headers::count(std::string_view name) const {
  return static_cast<std::size_t>(std::ranges::count_if(
      slots_, [&](const Slot& slot) { return equalsIgnoreCase(field(slot).name, name); }));
}

bool Headers::hasToken(std::string_view name, std::string_view token) const {
  for (Field f : *this) {
    if (f.name.size() != name.size() || !equalsIgnoreCase(f.name, name)) continue;
    std::string_view rest = f.value;
    while (!rest.empty()) {
      std::size_t comma = std::min(rest.find(','), rest.size());
      if (equalsIgnoreCase(trim(rest.substr(0, comma)), token)) return true;
      rest.remove_prefix(std::min(comma + 1, rest.size()));
    }
  }
  return false;
}

Bytes Headers::byteCount() const {
  std::int64_t sum = 0;
  for (const Slot& slot : slots_) sum += std::int64_t{slot.nameLength} + slot.valueLength;
  return Bytes(sum);
}

}  // namespace okibi::net
