#pragma once
// FunctionLogs: what containers print, the newest limits::kLogKept per function, in memory. Lines
// are cut at limits::kLogLine. Loop thread only.

#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/units.h"
#include "model/function.h"
#include "seams/instance_runtime.h"

namespace okibi::conductor {

struct LogLine {
  WallTime time;
  std::string instance;
  seams::OutputStream stream = seams::OutputStream::Stdout;
  std::string text;
};

class FunctionLogs {
 public:
  void append(const FunctionRef& function, LogLine line);
  // The newest `limit`, oldest first.
  std::vector<LogLine> tail(const FunctionRef& function, std::size_t limit) const;
  void forget(const FunctionRef& function) { logs_.erase(function); }

 private:
  struct Log {
    std::deque<LogLine> lines;
    std::size_t bytes = 0;
  };
  std::map<FunctionRef, Log> logs_;
};

// One instance's output: cuts the streams into lines and keeps the last limits::kLogTail bytes.
class OutputTail {
 public:
  // Appends bytes of one stream; calls `line` for each complete line.
  template <typename F>
  void append(seams::OutputStream stream, std::string_view bytes, F line) {
    remember(bytes);
    std::string& partial = partial_[stream == seams::OutputStream::Stdout ? 0 : 1];
    while (!bytes.empty()) {
      const std::size_t end = bytes.find('\n');
      partial.append(bytes.substr(0, end));
      if (end == std::string_view::npos && partial.size() < kLine) return;
      line(stream, std::string_view(partial).substr(0, kLine));
      partial.clear();
      if (end == std::string_view::npos) return;
      bytes.remove_prefix(end + 1);
    }
  }
  // What has been printed since byte `since` of the instance's life, at most the last 4 KB.
  std::string since(std::uint64_t mark) const;
  std::uint64_t mark() const { return total_; }

 private:
  static constexpr std::size_t kLine = static_cast<std::size_t>(limits::kLogLine.count());
  void remember(std::string_view bytes);

  std::string partial_[2];
  std::string tail_;
  std::uint64_t total_ = 0;
};

}  // namespace okibi::conductor
