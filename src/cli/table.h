#pragma once
// Table: rows of text in aligned columns, for terminals.

#include <string>
#include <string_view>
#include <vector>

namespace okibi::cli {

struct Column {
  enum class Align { Left, Right };
  std::string title;
  Align align = Align::Left;
};

inline Column left(std::string title) {
  return {std::move(title), Column::Align::Left};
}
inline Column right(std::string title) {
  return {std::move(title), Column::Align::Right};
}

class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  // REQUIRES: one cell per column. Control characters are shown as '?': what containers print must
  // not steer the terminal.
  void add(std::vector<std::string> cells);
  bool empty() const { return rows_.empty(); }
  // The title line, then the rows; two blanks between columns, none at the end of a line.
  std::string text() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// How many columns a UTF-8 text takes, counting each code point as one.
std::size_t displayWidth(std::string_view text);
// Control characters other than tab replaced by '?'.
std::string printable(std::string_view text);

}  // namespace okibi::cli
