#include "conductor/function_logs.h"

#include <algorithm>

namespace okibi::conductor {

void FunctionLogs::append(const FunctionRef& function, LogLine line) {
  Log& log = logs_[function];
  log.bytes += line.text.size();
  log.lines.push_back(std::move(line));
  while (log.bytes > static_cast<std::size_t>(limits::kLogKept.count())) {
    log.bytes -= log.lines.front().text.size();
    log.lines.pop_front();
  }
}

std::vector<LogLine> FunctionLogs::tail(const FunctionRef& function, std::size_t limit) const {
  const auto found = logs_.find(function);
  if (found == logs_.end()) return {};
  const auto& lines = found->second.lines;
  const std::size_t count = std::min(limit, lines.size());
  return {lines.end() - static_cast<std::ptrdiff_t>(count), lines.end()};
}

std::string OutputTail::since(std::uint64_t mark) const {
  const std::uint64_t wanted = std::min<std::uint64_t>(total_ - mark, tail_.size());
  return tail_.substr(tail_.size() - static_cast<std::size_t>(wanted));
}

void OutputTail::remember(std::string_view bytes) {
  constexpr auto kMost = static_cast<std::size_t>(limits::kLogTail.count());
  total_ += bytes.size();
  tail_.append(bytes);
  if (tail_.size() > kMost) tail_.erase(0, tail_.size() - kMost);
}

}  // namespace okibi::conductor
