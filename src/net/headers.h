#pragma once
// Headers: the fields of a message, in order, names compared without case, several of one name
// allowed. Texts are views into the object: valid until it is next changed. Values have no outer
// blanks.

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/units.h"

namespace okibi::net {

class Headers {
 public:
  struct Field {
    std::string_view name;
    std::string_view value;
  };

  Headers() = default;
  Headers(std::initializer_list<std::pair<std::string_view, std::string_view>> fields);

  // REQUIRES: a token as name, a value without CR, LF and NUL (asserted: an unclean value would let
  // its author write headers of his own). isFieldValue() in net/http.h tells beforehand.
  void add(std::string_view name, std::string_view value);
  // Removes all of that name, then adds.
  void set(std::string_view name, std::string_view value);
  void remove(std::string_view name);
  // Removes each field for which `unwanted(name)` is true.
  template <typename Predicate>
  void removeIf(Predicate unwanted) {
    std::erase_if(slots_, [&](const Slot& slot) { return unwanted(field(slot).name); });
  }
  void clear();

  // The first of that name.
  std::optional<std::string_view> get(std::string_view name) const;
  std::string_view getOr(std::string_view name, std::string_view fallback) const;
  bool has(std::string_view name) const { return get(name).has_value(); }
  std::size_t count(std::string_view name) const;
  // True if the comma-separated list(s) of that name contain `token`, without case.
  bool hasToken(std::string_view name, std::string_view token) const;

  std::size_t size() const { return slots_.size(); }
  bool empty() const { return slots_.empty(); }
  Field operator[](std::size_t i) const { return field(slots_[i]); }
  // Names and values together, as Function Compute counts its 8 KB.
  Bytes byteCount() const;

  class Iterator {
   public:
    Iterator(const Headers& headers, std::size_t i) : headers_(&headers), i_(i) {}
    Field operator*() const { return (*headers_)[i_]; }
    Iterator& operator++() {
      ++i_;
      return *this;
    }
    bool operator==(const Iterator& other) const { return i_ == other.i_; }

   private:
    const Headers* headers_;
    std::size_t i_;
  };
  Iterator begin() const { return {*this, 0}; }
  Iterator end() const { return {*this, size()}; }

 private:
  // One string holds every text; a slot says where. A reused object allocates nothing.
  struct Slot {
    std::uint32_t start, nameLength, valueLength;
  };
  Field field(const Slot& s) const {
    std::string_view all(text_);
    return {all.substr(s.start, s.nameLength), all.substr(s.start + s.nameLength, s.valueLength)};
  }

  std::string text_;
  std::vector<Slot> slots_;
};

}  // namespace okibi::net
