#pragma once
// How long something takes, as a distribution to draw from.

#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "base/result.h"
#include "base/units.h"

namespace okibi::sim {

class Distribution {
 public:
  // Always the same.
  explicit Distribution(Duration value = Duration::zero()) : a_(value) {}

  // "2s"; "1s..5s" (uniform); "exp:2s" (mean); "lognormal:20s:0.8" (median, sigma of the log);
  // "table:FILE:COLUMN" (measured seconds, each as likely). Invalid says what is wrong.
  static Result<Distribution> parse(std::string_view text);

  Duration sample(Random& random) const;

 private:
  enum class Kind { Constant, Uniform, Exponential, LogNormal, Table };
  static Result<Distribution> parseUniform(std::string_view text, std::size_t dots);
  static Result<Distribution> parseLogNormal(const std::vector<std::string>& parts);
  static Result<Distribution> readTable(const std::string& path, const std::string& column);

  Kind kind_ = Kind::Constant;
  Duration a_{}, b_{};  // value, low, mean or median; high
  double sigma_ = 0;
  std::vector<Duration> values_;
};

}  // namespace okibi::sim
