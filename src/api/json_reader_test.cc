// Numbers of a body, as JSON writes them (RFC 8259, section 6): with exponents of either case,
// signs and fractions. A whole number may be written with an exponent.

#include "api/json_reader.h"

#include <cmath>
#include <cstdlib>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/random.h"

namespace okibi::api {
namespace {

struct Read {
  std::optional<double> number;
  std::optional<std::int64_t> integer;
  std::string error;
};

Read read(const std::string& text) {
  auto object = parseObject(fmt::format(R"({{"n":{}}})", text), "body");
  if (!object) return {std::nullopt, std::nullopt, object.error().message};
  Read out;
  Complaints complaints;
  const Reader in(*object, complaints);
  out.integer = in.integer("n");
  if (auto verdict = complaints.verdict(); !verdict) out.error = verdict.error().message;
  Complaints others;
  out.number = Reader(*object, others).number("n");
  return out;
}

TEST(Numbers, WholeOnesMayHaveExponentsAndFractions) {
  for (const auto& [text, value] :
       std::initializer_list<std::pair<const char*, std::int64_t>>{{"1e2", 100},
                                                                   {"1E2", 100},
                                                                   {"1e+2", 100},
                                                                   {"1E+02", 100},
                                                                   {"100e-2", 1},
                                                                   {"100E-02", 1},
                                                                   {"1.5e1", 15},
                                                                   {"-1.5E1", -15},
                                                                   {"5.0", 5},
                                                                   {"0e9", 0},
                                                                   {"-0", 0},
                                                                   {"-0.0e1", 0},
                                                                   {"1000000000", 1'000'000'000},
                                                                   {"1e9", 1'000'000'000}}) {
    const Read got = read(text);
    EXPECT_EQ(got.integer, value) << text << ": " << got.error;
    EXPECT_EQ(got.error, "") << text;
  }
}

TEST(Numbers, OthersAreNoWholeNumbers) {
  EXPECT_EQ(read("5E-1").number, 0.5);
  EXPECT_EQ(read("5E-1").error, "n: must be a whole number, not 0.5");
  EXPECT_EQ(read("1e10").error, "n: is too large");
  EXPECT_EQ(read("1e999").error.find("n: is too large"), 0u) << read("1e999").error;
  EXPECT_EQ(read("\"1\"").error, "n: must be a whole number, not text");
  for (const char* text : {"01", "+1", ".5", "1.", "1e", "1e+", "0x10", "NaN", "Infinity", "1_0"}) {
    EXPECT_FALSE(read(text).error.empty()) << text;
  }
}

// What the C library makes of the same text is the judge.
TEST(NumbersProperty, EveryWayOfWritingANumberIsReadAsItSays) {
  Random random(1);
  for (int i = 0; i < 20'000; ++i) {
    std::string text = random.chance(0.3) ? "-" : "";
    text += std::to_string(random.between(0, random.chance(0.5) ? 9 : 99'999));
    if (random.chance(0.5)) {
      text += ".";
      for (auto n = random.between(1, 6); n > 0; --n) {
        text += static_cast<char>('0' + random.between(0, 9));
      }
    }
    if (random.chance(0.6)) {
      text += random.chance(0.5) ? "e" : "E";
      if (random.chance(0.6)) text += random.chance(0.5) ? "+" : "-";
      text += std::to_string(random.between(0, 12));
    }
    const double value = std::strtod(text.c_str(), nullptr);
    const Read got = read(text);
    if (std::abs(value) > 1e9) {
      ASSERT_FALSE(got.number) << text;
      continue;
    }
    ASSERT_TRUE(got.number) << text << ": " << got.error;
    ASSERT_EQ(*got.number, value) << text;
    ASSERT_EQ(got.integer.has_value(), value == std::trunc(value)) << text << ": " << got.error;
    if (got.integer) ASSERT_EQ(static_cast<double>(*got.integer), value) << text;
  }
}

}  // namespace
}  // namespace okibi::api
