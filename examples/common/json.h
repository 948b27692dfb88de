#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace web {

std::string quoted(std::string_view text);

// Writes one flat or nested JSON object; values are added in order.
class JsonObject {
 public:
  JsonObject& add(std::string_view key, std::string_view text) { return addRaw(key, quoted(text)); }
  JsonObject& add(std::string_view key, const char* text) { return addRaw(key, quoted(text)); }
  JsonObject& add(std::string_view key, int64_t value) {
    return addRaw(key, std::to_string(value));
  }
  JsonObject& addRaw(std::string_view key, std::string_view json);
  std::string done() const { return "{" + members_ + "}"; }

 private:
  std::string members_;
};

class JsonArray {
 public:
  void add(std::string_view text) { addRaw(quoted(text)); }
  void addRaw(std::string_view json);
  std::string done() const { return "[" + items_ + "]"; }

 private:
  std::string items_;
};

}  // namespace web
