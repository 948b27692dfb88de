#include "sim/trace.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include <fmt/format.h>

#include "sim/parse.h"

namespace okibi::sim {
namespace {

struct Row {
  double arrival = 0;       // seconds
  std::uint64_t order = 0;  // in the file
  std::uint32_t function = 0;
  std::int64_t count = 1;
  std::optional<Duration> duration, cold;
};

// A table whose columns have been found.
class RowReader {
 public:
  static Result<RowReader> open(const TraceOptions& options) {
    Result<TableReader> table = TableReader::open(options.path);
    if (!table) return fail(table.error());
    RowReader reader(std::move(*table));
    if (Result<void> found = reader.findColumns(options.columns); !found) {
      return fail(found.error());
    }
    return reader;
  }

  // `nameOf` turns a function's name into its index.
  template <typename NameOf>
  Result<bool> next(Row& row, NameOf nameOf) {
    Result<bool> more = table_.next();
    if (!more || !*more) return more;
    Result<double> arrival = table_.number(arrival_);
    if (!arrival) return fail(arrival.error());
    row.arrival = *arrival * arrivalUnit_;
    if (row.arrival < 0) return fail(ErrorKind::Invalid, table_.place() + ": negative arrival");
    row.count = 1;
    if (count_) {
      Result<double> count = table_.number(*count_);
      if (!count) return fail(count.error());
      row.count = std::llround(*count);
    }
    if (Result<void> r = readTime(duration_, durationUnit_, row.duration); !r)
      return fail(r.error());
    if (Result<void> r = readTime(cold_, coldUnit_, row.cold); !r) return fail(r.error());
    row.function = nameOf(function_ ? table_.field(*function_) : std::string_view("all"));
    return true;
  }

 private:
  explicit RowReader(TableReader table) : table_(std::move(table)) {}

  Result<void> findColumns(const TraceColumns& columns) {
    if (!columns.arrival.title.empty()) {
      Result<std::size_t> found = table_.column(columns.arrival.title);
      if (!found) return fail(found.error());
      arrival_ = *found;
      arrivalUnit_ = columns.arrival.unit;
    } else if (const auto minute = table_.findColumn("minute")) {
      arrival_ = *minute;
      arrivalUnit_ = 60;
    } else {
      Result<std::size_t> found = table_.column("arrival_s");
      if (!found) return fail(found.error());
      arrival_ = *found;
    }
    durationUnit_ = columns.duration.unit;
    coldUnit_ = columns.cold.unit;
    for (const auto& [wanted, usual, column] :
         {std::tuple(&columns.duration.title, "duration_s", &duration_),
          std::tuple(&columns.cold.title, "cold_s_assigned", &cold_),
          std::tuple(&columns.function, "function", &function_),
          std::tuple(&columns.count, "count", &count_)}) {
      if (wanted->empty()) {
        *column = table_.findColumn(usual);
        continue;
      }
      Result<std::size_t> found = table_.column(*wanted);
      if (!found) return fail(found.error());
      *column = *found;
    }
    return {};
  }

  Result<void> readTime(std::optional<std::size_t> column, double unit,
                        std::optional<Duration>& time) const {
    if (!column) return {};
    Result<double> value = table_.number(*column);
    if (!value) return fail(value.error());
    if (*value < 0) return fail(ErrorKind::Invalid, table_.place() + ": negative time");
    time = fromSeconds(*value * unit);
    return {};
  }

  TableReader table_;
  std::size_t arrival_ = 0;
  double arrivalUnit_ = 1, durationUnit_ = 1, coldUnit_ = 1;
  std::optional<std::size_t> duration_, cold_, function_, count_;
};

struct NameHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view name) const {
    return std::hash<std::string_view>()(name);
  }
};

class Trace : public Workload {
 public:
  explicit Trace(TraceOptions options) : options_(std::move(options)), random_(options_.seed) {}

  // The first reading.
  Result<void> survey() {
    if (Result<void> read = readFunctions(); !read) return read;
    Result<RowReader> reader = RowReader::open(options_);
    if (!reader) return fail(reader.error());
    Row row;
    double last = 0;
    bool inOrder = true;
    while (true) {
      Result<bool> more = readRow(*reader, row);
      if (!more) return fail(more.error());
      if (!*more) break;
      inOrder = inOrder && row.arrival >= last;
      last = std::max(last, row.arrival);
    }
    horizon_ = options_.horizon.value_or(std::chrono::minutes(std::llround(std::ceil(last / 60))));
    return inOrder ? Result<void>() : readAll();
  }

  const std::vector<WorkloadFunction>& functions() const override { return functions_; }
  Duration horizon() const override { return horizon_; }

  Result<void> rewind() override {
    random_ = Random(options_.seed);
    left_ = 0;
    position_ = 0;
    if (!sorted_.empty()) return {};
    Result<RowReader> reader = RowReader::open(options_);
    if (!reader) return fail(reader.error());
    reader_.emplace(std::move(*reader));
    return {};
  }

  Result<bool> next(Request& request) override {
    while (left_ == 0) {
      Result<bool> more = nextRow();
      if (!more || !*more) return more;
      left_ = row_.count;
    }
    --left_;
    request.at = Instant(fromSeconds(row_.arrival));
    request.function = row_.function;
    request.service = row_.duration ? *row_.duration : options_.service.sample(random_);
    request.cold = row_.cold;
    return true;
  }

 private:
  std::uint32_t indexOf(std::string_view name) {
    if (const auto found = byName_.find(name); found != byName_.end()) return found->second;
    const auto index = static_cast<std::uint32_t>(functions_.size());
    functions_.push_back({std::string(name), Bytes(), 1});
    byName_.emplace(name, index);
    return index;
  }

  Result<bool> readRow(RowReader& reader, Row& row) {
    return reader.next(row, [this](std::string_view name) { return indexOf(name); });
  }

  Result<bool> nextRow() {
    if (sorted_.empty()) return readRow(*reader_, row_);
    if (position_ == sorted_.size()) return false;
    row_ = sorted_[position_++];
    return true;
  }

  Result<void> readAll() {
    Result<RowReader> reader = RowReader::open(options_);
    if (!reader) return fail(reader.error());
    Row row;
    while (true) {
      Result<bool> more = readRow(*reader, row);
      if (!more) return fail(more.error());
      if (!*more) break;
      row.order = sorted_.size();
      sorted_.push_back(row);
    }
    std::ranges::sort(sorted_, {}, [](const Row& r) { return std::pair(r.arrival, r.order); });
    return {};
  }

  Result<void> readFunctions() {
    if (options_.functionsPath.empty()) return {};
    Result<TableReader> table = TableReader::open(options_.functionsPath);
    if (!table) return fail(table.error());
    Result<std::size_t> name = table->column("function");
    if (!name) return fail(name.error());
    auto memory = table->findColumn("gpu_mem_mib");
    if (!memory) memory = table->findColumn("gpu_mem_mib_assigned");
    const auto weight = table->findColumn("weight"), part = table->findColumn("okibi_weight");
    while (true) {
      Result<bool> more = table->next();
      if (!more) return fail(more.error());
      if (!*more) return {};
      if (Result<void> read = readFunction(*table, *name, memory, weight); !read) return read;
      if (Result<void> read = readPart(*table, *name, part); !read) return read;
    }
  }

  Result<void> readFunction(const TableReader& table, std::size_t name,
                            std::optional<std::size_t> memory, std::optional<std::size_t> weight) {
    WorkloadFunction& function = functions_[indexOf(table.field(name))];
    if (memory) {
      Result<double> mib = table.number(*memory);
      if (!mib) return fail(mib.error());
      function.slice = Bytes(std::llround(*mib * 1024 * 1024));
    }
    if (weight) {
      Result<double> number = table.number(*weight);
      if (!number) return fail(number.error());
      function.weight = *number;
    }
    return {};
  }

  Result<void> readPart(const TableReader& table, std::size_t name,
                        std::optional<std::size_t> part) {
    if (!part) return {};
    Result<double> number = table.number(*part);
    if (!number) return fail(number.error());
    if (*number < 1 || *number > 100 || *number != std::floor(*number)) {
      return fail(ErrorKind::Invalid,
                  fmt::format("{}: okibi_weight: '{}' is not a whole number in 1–100",
                              table.place(), table.field(*part)));
    }
    functions_[indexOf(table.field(name))].part = static_cast<int>(*number);
    return {};
  }

  const TraceOptions options_;
  Random random_;
  Duration horizon_{};
  std::vector<WorkloadFunction> functions_;
  std::unordered_map<std::string, std::uint32_t, NameHash, std::equal_to<>> byName_;
  std::optional<RowReader> reader_;
  std::vector<Row> sorted_;
  std::size_t position_ = 0;
  Row row_;
  std::int64_t left_ = 0;  // requests of the row that have not come yet
};

Result<double> unitOf(std::string_view text) {
  Result<Duration> unit = parseDuration(fmt::format("1{}", text));
  if (!unit)
    return fail(ErrorKind::Invalid, fmt::format("'{}' is not ns, us, ms, s, m or h", text));
  return toSeconds(*unit);
}

}  // namespace

Result<TraceColumns> TraceColumns::parse(std::string_view text) {
  TraceColumns columns;
  for (const std::string& part : split(text, ',')) {
    const std::size_t equals = part.find('=');
    const std::string key = part.substr(0, equals);
    if (equals == std::string::npos || equals + 1 == part.size()) {
      return fail(ErrorKind::Invalid, fmt::format("'{}' is not KEY=TITLE", part));
    }
    const std::string value = part.substr(equals + 1);
    if (key == "function" || key == "count") {
      (key == "function" ? columns.function : columns.count) = value;
      continue;
    }
    Column* column = key == "arrival"    ? &columns.arrival
                     : key == "duration" ? &columns.duration
                     : key == "cold"     ? &columns.cold
                                         : nullptr;
    if (!column) {
      return fail(ErrorKind::Invalid,
                  fmt::format("'{}' is not arrival, function, duration, cold or count", key));
    }
    const std::size_t at = value.find('@');
    column->title = value.substr(0, at);
    if (at == std::string::npos) continue;
    Result<double> unit = unitOf(std::string_view(value).substr(at + 1));
    if (!unit) return fail(unit.error());
    column->unit = *unit;
  }
  return columns;
}

Result<std::unique_ptr<Workload>> openTrace(const TraceOptions& options) {
  auto trace = std::make_unique<Trace>(options);
  if (Result<void> read = trace->survey(); !read) return fail(read.error());
  if (Result<void> begun = trace->rewind(); !begun) return fail(begun.error());
  return trace;
}

}  // namespace okibi::sim
