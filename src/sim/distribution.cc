#include "sim/distribution.h"

#include <cmath>
#include <numbers>

#include <fmt/format.h>

#include "sim/parse.h"
#include "sim/table_reader.h"

namespace okibi::sim {

Result<Distribution> Distribution::parseUniform(std::string_view text, std::size_t dots) {
  Result<Duration> low = parseDuration(text.substr(0, dots));
  if (!low) return fail(low.error());
  Result<Duration> high = parseDuration(text.substr(dots + 2));
  if (!high) return fail(high.error());
  if (*high < *low) {
    return fail(ErrorKind::Invalid, fmt::format("'{}': the first is above the second", text));
  }
  Distribution result(*low);
  result.kind_ = Kind::Uniform;
  result.b_ = *high;
  return result;
}

Result<Distribution> Distribution::parseLogNormal(const std::vector<std::string>& parts) {
  Result<Duration> median = parseDuration(parts[1]);
  if (!median) return fail(median.error());
  Result<double> sigma = parseNumber(parts[2]);
  if (!sigma) return fail(sigma.error());
  if (*sigma < 0 || *sigma > 10) {
    return fail(ErrorKind::Invalid, fmt::format("sigma {} is outside 0 to 10", *sigma));
  }
  Distribution result(*median);
  result.kind_ = Kind::LogNormal;
  result.sigma_ = *sigma;
  return result;
}

Result<Distribution> Distribution::readTable(const std::string& path, const std::string& column) {
  Result<TableReader> table = TableReader::open(path);
  if (!table) return fail(table.error());
  Result<std::size_t> index = table->column(column);
  if (!index) return fail(index.error());
  Distribution result;
  result.kind_ = Kind::Table;
  while (true) {
    Result<bool> more = table->next();
    if (!more) return fail(more.error());
    if (!*more) break;
    Result<double> seconds = table->number(*index);
    if (!seconds) return fail(seconds.error());
    result.values_.push_back(fromSeconds(*seconds));
  }
  if (result.values_.empty()) return fail(ErrorKind::Invalid, fmt::format("{}: no rows", path));
  return result;
}

Result<Distribution> Distribution::parse(std::string_view text) {
  if (const std::size_t dots = text.find(".."); dots != std::string_view::npos) {
    return parseUniform(text, dots);
  }
  const std::vector<std::string> parts = split(text, ':');
  if (parts.size() == 3 && parts[0] == "lognormal") return parseLogNormal(parts);
  if (parts.size() == 3 && parts[0] == "table") return readTable(parts[1], parts[2]);
  const bool exponential = parts.size() == 2 && parts[0] == "exp";
  Result<Duration> value = parseDuration(exponential ? std::string_view(parts[1]) : text);
  if (!value) {
    return fail(withContext(value.error(),
                            "a time, LOW..HIGH, exp:MEAN, lognormal:MEDIAN:SIGMA or "
                            "table:FILE:COLUMN is needed"));
  }
  Distribution result(*value);
  if (exponential) result.kind_ = Kind::Exponential;
  return result;
}

Duration Distribution::sample(Random& random) const {
  switch (kind_) {
    case Kind::Constant:
      return a_;
    case Kind::Uniform:
      return Duration(random.between(a_.count(), b_.count()));
    case Kind::Exponential:
      return fromSeconds(-toSeconds(a_) * std::log(1 - random.fraction()));
    case Kind::LogNormal: {
      const double radius = std::sqrt(-2 * std::log(1 - random.fraction()));
      const double normal = radius * std::cos(2 * std::numbers::pi * random.fraction());
      return fromSeconds(std::min(toSeconds(a_) * std::exp(sigma_ * normal), 1e8));
    }
    case Kind::Table:
      return values_[static_cast<std::size_t>(
          random.between(0, static_cast<std::int64_t>(values_.size()) - 1))];
  }
  return a_;
}

}  // namespace okibi::sim
