#pragma once
// A measured table: printed for people, left as JSON for machines
// (OKIBI_BENCH_OUT/experiment-N.json).

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

namespace okibi::gpubench {

inline std::string number(double value, const char* format = "%.3g") {
  char text[48];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

class Report {
 public:
  Report(int experiment, std::string title, std::vector<std::string> columns)
      : experiment_(experiment), title_(std::move(title)), columns_(std::move(columns)) {}

  // As many values as columns; printed at once, so that a run cut off leaves what it had.
  void row(const std::vector<std::string>& values) {
    if (rows_.empty()) {
      std::printf("\nexperiment %d: %s\n", experiment_, title_.c_str());
      print(columns_);
    }
    rows_.push_back(values);
    print(values);
    write();
  }

 private:
  static void print(const std::vector<std::string>& values) {
    for (const std::string& value : values)
      std::printf("| %-*s ", value.size() > 18 ? 42 : 18, value.c_str());
    std::printf("|\n");
    std::fflush(stdout);
  }

  static std::string quoted(const std::string& text) {
    std::string out = "\"";
    for (const char c : text) {
      if (c == '"' || c == '\\') out += '\\';
      out += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
    }
    return out + '"';
  }

  void write() const {
    const char* folder = std::getenv("OKIBI_BENCH_OUT");
    if (!folder) return;
    std::ofstream file(std::string(folder) + "/experiment-" + std::to_string(experiment_) +
                       ".json");
    file << "{\"experiment\":" << experiment_ << ",\"title\":" << quoted(title_) << ",\"rows\":[";
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      file << (i ? ",\n{" : "\n{");
      for (std::size_t k = 0; k < columns_.size() && k < rows_[i].size(); ++k)
        file << (k ? "," : "") << quoted(columns_[k]) << ":" << quoted(rows_[i][k]);
      file << "}";
    }
    file << "\n]}\n";
  }

  int experiment_;
  std::string title_;
  std::vector<std::string> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace okibi::gpubench
