#pragma once
// Byte encoding of flat structs, for protocol.cc and for the launcher's talk with its own children:
// little-endian integers, strings and lists with a 32-bit count before them. A struct takes part by
// a function `fields(visitor, message)` that names its members once, for both directions.

#include <concepts>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace okibi::runtime::wire {

template <typename T>
concept Number = std::integral<T> || std::is_enum_v<T>;

class Writer {
 public:
  template <typename... T>
  void operator()(const T&... values) {
    (put(values), ...);
  }
  std::string take() { return std::move(out_); }

 private:
  template <Number T>
  void put(T value) {
    char raw[sizeof(T)];
    std::memcpy(raw, &value, sizeof(T));
    out_.append(raw, sizeof(T));
  }
  void put(const std::string& text) {
    put(static_cast<std::uint32_t>(text.size()));
    out_ += text;
  }
  template <typename T>
  void put(const std::vector<T>& list) {
    put(static_cast<std::uint32_t>(list.size()));
    for (const T& item : list) put(item);
  }
  template <typename T>
    requires(std::is_class_v<T>)
  void put(const T& message) {
    fields(*this, const_cast<T&>(message));
  }

  std::string out_;
};

class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}
  template <typename... T>
  void operator()(T&... values) {
    (get(values), ...);
  }
  // True when everything was there and nothing is left over.
  bool complete() const { return good_ && rest_.empty(); }

 private:
  template <Number T>
  void get(T& value) {
    std::string_view raw = cut(sizeof(T));
    if (!good_) return;
    if constexpr (std::is_same_v<T, bool>) {
      value = raw[0] != 0;
    } else {
      std::memcpy(&value, raw.data(), sizeof(T));
    }
  }
  void get(std::string& text) {
    std::uint32_t size = 0;
    get(size);
    text = cut(size);
  }
  template <typename T>
  void get(std::vector<T>& list) {
    std::uint32_t count = 0;
    get(count);
    // Each item takes at least its own count or one byte, so a hostile count ends at the bytes'
    // end.
    for (std::uint32_t i = 0; i < count && good_; ++i) get(list.emplace_back());
  }
  template <typename T>
    requires(std::is_class_v<T>)
  void get(T& message) {
    fields(*this, message);
  }
  std::string_view cut(std::size_t size) {
    if (!good_ || rest_.size() < size) {
      good_ = false;
      return {};
    }
    std::string_view piece = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return piece;
  }

  std::string_view rest_;
  bool good_ = true;
};

template <typename T>
std::string encodeFields(const T& message) {
  Writer writer;
  writer(message);
  return writer.take();
}
template <typename T>
bool decodeFields(std::string_view bytes, T& message) {
  Reader reader(bytes);
  reader(message);
  return reader.complete();
}

}  // namespace okibi::runtime::wire
