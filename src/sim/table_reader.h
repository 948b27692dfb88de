#pragma once
// Rows of a CSV file with a title line, plain or gzip (told by the content), one after the other:
// the file is never held as a whole. Fields are not quoted in the traces this is for; a quote is an
// error rather than a wrong number.

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace okibi::sim {

class TableReader {
 public:
  // NotFound, Invalid (no title line).
  static Result<TableReader> open(const std::string& path);

  const std::vector<std::string>& titles() const { return titles_; }
  // The column of that title; Invalid names the titles there are.
  Result<std::size_t> column(std::string_view title) const;
  std::optional<std::size_t> findColumn(std::string_view title) const;

  // The next row; false: the end. Invalid: another number of fields than titles, a line over 64 KB,
  // a quote, a damaged file.
  Result<bool> next();
  // Of the last row; valid until the next.
  std::string_view field(std::size_t column) const { return fields_[column]; }
  Result<double> number(std::size_t column) const;
  // "FILE line 7"
  std::string place() const;

 private:
  struct Close {
    void operator()(void* file) const;
  };
  Result<bool> readLine();
  void splitLine();

  std::string path_;
  std::unique_ptr<void, Close> file_;
  std::string line_;
  std::int64_t lineNumber_ = 0;
  std::vector<std::string> titles_;
  std::vector<std::string_view> fields_;
};

}  // namespace okibi::sim
