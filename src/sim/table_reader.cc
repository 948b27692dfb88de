#include "sim/table_reader.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <zlib.h>

#include "sim/parse.h"

namespace okibi::sim {
namespace {

constexpr unsigned kBuffer = 1 << 18;
constexpr std::size_t kLongestLine = 1 << 16;

gzFile handle(void* file) {
  return static_cast<gzFile>(file);
}

}  // namespace

void TableReader::Close::operator()(void* file) const {
  gzclose(handle(file));
}

Result<TableReader> TableReader::open(const std::string& path) {
  TableReader reader;
  reader.path_ = path;
  reader.file_.reset(gzopen(path.c_str(), "rb"));
  if (!reader.file_) return fail(ErrorKind::NotFound, fmt::format("{}: cannot be opened", path));
  gzbuffer(handle(reader.file_.get()), kBuffer);
  reader.line_.resize(kLongestLine);
  Result<bool> titles = reader.readLine();
  if (!titles) return fail(titles.error());
  if (!*titles) return fail(ErrorKind::Invalid, fmt::format("{}: is empty", path));
  reader.splitLine();
  reader.titles_.assign(reader.fields_.begin(), reader.fields_.end());
  return reader;
}

std::optional<std::size_t> TableReader::findColumn(std::string_view title) const {
  const auto found = std::ranges::find(titles_, title);
  if (found == titles_.end()) return std::nullopt;
  return static_cast<std::size_t>(found - titles_.begin());
}

Result<std::size_t> TableReader::column(std::string_view title) const {
  if (const auto found = findColumn(title)) return *found;
  return fail(ErrorKind::Invalid,
              fmt::format("{}: no column '{}'; it has {}", path_, title, fmt::join(titles_, ", ")));
}

std::string TableReader::place() const {
  return fmt::format("{} line {}", path_, lineNumber_);
}

// `line_` keeps its size; the text ends at a zero byte.
Result<bool> TableReader::readLine() {
  if (!gzgets(handle(file_.get()), line_.data(), static_cast<int>(line_.size()))) {
    int code = Z_OK;
    const char* text = gzerror(handle(file_.get()), &code);
    if (code == Z_OK || code == Z_STREAM_END) return false;
    return fail(ErrorKind::Invalid, fmt::format("{}: {}", place(), text));
  }
  ++lineNumber_;
  const std::string_view line(line_.c_str());
  if (line.size() + 1 == line_.size() && !line.ends_with('\n')) {
    return fail(ErrorKind::Invalid, fmt::format("{}: over {} bytes", place(), kLongestLine));
  }
  if (line.contains('"')) {
    return fail(ErrorKind::Invalid, fmt::format("{}: quoted fields are not read", place()));
  }
  return true;
}

void TableReader::splitLine() {
  std::string_view rest(line_.c_str());
  while (rest.ends_with('\n') || rest.ends_with('\r')) rest.remove_suffix(1);
  fields_.clear();
  while (true) {
    const std::size_t at = rest.find(',');
    fields_.push_back(rest.substr(0, at));
    if (at == std::string_view::npos) return;
    rest.remove_prefix(at + 1);
  }
}

Result<bool> TableReader::next() {
  Result<bool> more = readLine();
  if (!more || !*more) return more;
  splitLine();
  if (fields_.size() == titles_.size()) return true;
  return fail(ErrorKind::Invalid,
              fmt::format("{}: {} fields, {} titles", place(), fields_.size(), titles_.size()));
}

Result<double> TableReader::number(std::size_t column) const {
  Result<double> value = parseNumber(fields_[column]);
  if (!value)
    return fail(withContext(value.error(), fmt::format("{}: {}", place(), titles_[column])));
  return value;
}

}  // namespace okibi::sim
