#pragma once
// One log line: "event key=value …" on standard error. Levels as in spdlog.
//   log::info("instance ready", "instance={} cold_ms={:.1f}", name, ms);

#include <string>
#include <string_view>

#include <fmt/format.h>

namespace okibi::log {

enum class Level { Debug, Info, Warning, Error };

void setLevel(Level level);
void write(Level level, std::string_view event, std::string_view fields);

template <typename... Args>
void debug(std::string_view event, fmt::format_string<Args...> f, Args&&... args) {
  write(Level::Debug, event, fmt::format(f, std::forward<Args>(args)...));
}
template <typename... Args>
void info(std::string_view event, fmt::format_string<Args...> f, Args&&... args) {
  write(Level::Info, event, fmt::format(f, std::forward<Args>(args)...));
}
template <typename... Args>
void warning(std::string_view event, fmt::format_string<Args...> f, Args&&... args) {
  write(Level::Warning, event, fmt::format(f, std::forward<Args>(args)...));
}
template <typename... Args>
void error(std::string_view event, fmt::format_string<Args...> f, Args&&... args) {
  write(Level::Error, event, fmt::format(f, std::forward<Args>(args)...));
}

}  // namespace okibi::log
