#include "model/schedule.h"

#include <gtest/gtest.h>

#include "base/encoding.h"
#include "base/random.h"

namespace okibi {
namespace {

WallTime at(std::string_view text) {
  return parseIso8601(text).value();
}

std::string nextOf(std::string_view expression, std::string_view after,
                   std::string_view zone = "") {
  const auto schedule = Schedule::parse(expression, zone);
  if (!schedule) return schedule.error().message;
  const auto next = schedule->next(at(after));
  return next ? formatIso8601(*next) : "never";
}

std::string previousOf(std::string_view expression, std::string_view until,
                       std::string_view zone = "") {
  const auto schedule = Schedule::parse(expression, zone);
  if (!schedule) return schedule.error().message;
  const auto last = schedule->previous(at(until));
  return last ? formatIso8601(*last) : "never";
}

TEST(Schedule, CronGivesTheNextTime) {
  EXPECT_EQ(nextOf("cron(0 0 9 * * *)", "2026-01-01T08:59:59Z"), "2026-01-01T09:00:00Z");
  EXPECT_EQ(nextOf("cron(0 0 9 * * *)", "2026-01-01T09:00:00Z"), "2026-01-02T09:00:00Z");
  EXPECT_EQ(nextOf("0 */15 8-10 * * MON-FRI", "2026-11-27T10:46:00Z"), "2026-11-30T08:00:00Z");
  EXPECT_EQ(nextOf("0 0 0 29 2 ?", "2026-01-01T00:00:00Z"), "2028-02-29T00:00:00Z");
  EXPECT_EQ(nextOf("0 0 0 31 11 ?", "2026-01-01T00:00:00Z"), "never");
  EXPECT_EQ(nextOf("0 0 12 1,15 JAN,JUL *", "2026-01-15T12:00:00Z"), "2026-07-01T12:00:00Z");
  EXPECT_EQ(nextOf("5/20 0 0 * * *", "2026-01-01T00:00:05Z"), "2026-01-01T00:00:25Z");
}

TEST(Schedule, EitherDayFieldIsEnoughWhereBothAreRestricted) {
  EXPECT_EQ(nextOf("0 0 0 13 * FRI", "2026-11-25T00:00:00Z"), "2026-11-27T00:00:00Z");
  EXPECT_EQ(nextOf("0 0 0 13 * 7", "2026-12-07T00:00:00Z"), "2026-12-13T00:00:00Z");
}

TEST(Schedule, TimesAreOfTheZone) {
  EXPECT_EQ(nextOf("cron(0 0 9 * * *)", "2026-01-01T00:00:00Z", "Asia/Tokyo"),
            "2026-01-02T00:00:00Z");
  EXPECT_EQ(nextOf("CRON_TZ=Asia/Tokyo 0 0 9 * * *", "2025-12-31T23:59:59Z"),
            "2026-01-01T00:00:00Z");
  EXPECT_EQ(nextOf("at(2026-06-01T12:00:00)", "2026-01-01T00:00:00Z", "America/New_York"),
            "2026-06-01T16:00:00Z");
  EXPECT_EQ(nextOf("at(2026-06-01T12:00:00)", "2026-06-01T12:00:00Z"), "never");
}

// Berlin 2026: clocks go from 2:00 to 3:00 on March 29, from 3:00 back to 2:00 on October 25.
TEST(Schedule, SkippedTimesDoNotHappenAndRepeatedOnesHappenOnce) {
  const char* zone = "Europe/Berlin";
  EXPECT_EQ(nextOf("cron(0 30 2 * * *)", "2026-03-28T12:00:00Z", zone), "2026-03-30T00:30:00Z");
  EXPECT_EQ(nextOf("cron(0 30 2 * * *)", "2026-10-24T12:00:00Z", zone), "2026-10-25T00:30:00Z");
  EXPECT_EQ(nextOf("cron(0 30 2 * * *)", "2026-10-25T00:30:00Z", zone), "2026-10-26T01:30:00Z");
  EXPECT_EQ(previousOf("cron(0 30 2 * * *)", "2026-03-29T12:00:00Z", zone), "2026-03-28T01:30:00Z");
}

TEST(Schedule, PreviousIsAtOrBefore) {
  EXPECT_EQ(previousOf("cron(0 0 9 * * *)", "2026-01-01T09:00:00Z"), "2026-01-01T09:00:00Z");
  EXPECT_EQ(previousOf("cron(0 0 9 * * *)", "2026-01-01T08:59:59Z"), "2025-12-31T09:00:00Z");
  EXPECT_EQ(previousOf("at(2026-06-01T12:00:00)", "2026-06-01T12:00:00Z"), "2026-06-01T12:00:00Z");
  EXPECT_EQ(previousOf("at(2026-06-01T12:00:00)", "2026-06-01T11:59:59Z"), "never");
}

TEST(Schedule, EveryCountsFromItsAnchor) {
  const auto every = Schedule::parse("@every 1m30s", "").value();
  const WallTime anchor = at("2026-01-01T00:00:10Z");
  EXPECT_EQ(every.next(at("2025-01-01T00:00:00Z"), anchor), at("2026-01-01T00:01:40Z"));
  EXPECT_EQ(every.next(at("2026-01-01T00:01:40Z"), anchor), at("2026-01-01T00:03:10Z"));
}

TEST(Schedule, WhatIsWrongIsNamed) {
  const auto wrong = [](std::string_view text, std::string_view zone = "") {
    const auto parsed = Schedule::parse(text, zone);
    EXPECT_FALSE(parsed) << text;
    return parsed ? std::string() : parsed.error().message;
  };
  EXPECT_NE(wrong("* * *").find("3 fields"), std::string::npos);
  EXPECT_NE(wrong("60 * * * * *").find("second: '60' is not in 0–59"), std::string::npos);
  EXPECT_NE(wrong("0 0 24 * * *").find("hour"), std::string::npos);
  EXPECT_NE(wrong("0 0 0 0 * *").find("day of month"), std::string::npos);
  EXPECT_NE(wrong("0 0 0 * FOO *").find("month"), std::string::npos);
  EXPECT_NE(wrong("0 0 0 * * 8").find("day of week"), std::string::npos);
  EXPECT_NE(wrong("0 9-5 * * * *").find("minute"), std::string::npos);
  EXPECT_NE(wrong("0 */0 * * * *").find("minute"), std::string::npos);
  EXPECT_NE(wrong("@every 4x").find("@every"), std::string::npos);
  EXPECT_NE(wrong("@every 99999999999999999999m").find("@every"), std::string::npos);
  EXPECT_NE(wrong("at(noon)").find("noon"), std::string::npos);
  EXPECT_NE(wrong("0 0 0 * * *", "Mars/Base").find("Mars/Base"), std::string::npos);
  EXPECT_NE(wrong("CRON_TZ=Mars/Base 0 0 0 * * *").find("Mars/Base"), std::string::npos);
}

// What next() says matches, nothing between does, and previous() finds the way back.
TEST(Cron, NextAndPreviousAgreeWithMatches) {
  Random random(4);
  for (int round = 0; round < 60; ++round) {
    const auto cron = Cron::parse("0 */7 " + std::to_string(random.between(0, 23)) + " * * " +
                                  std::to_string(random.between(1, 7)))
                          .value();
    const CivilSeconds start(std::chrono::seconds(random.between(0, 2'000'000'000)));
    const auto next = cron.next(start);
    ASSERT_TRUE(next && cron.matches(*next));
    EXPECT_EQ(cron.previous(*next), next);
    for (CivilSeconds t = start + std::chrono::seconds(1); t < *next;
         t += std::chrono::minutes(1)) {
      const CivilSeconds minute = std::chrono::floor<std::chrono::minutes>(t);
      ASSERT_FALSE(minute > start && cron.matches(minute));
    }
  }
}

TEST(ParseZonedTime, UtcOrTheZone) {
  EXPECT_EQ(parseZonedTime("2026-01-01T00:00:00Z", "Asia/Tokyo"), at("2026-01-01T00:00:00Z"));
  EXPECT_EQ(parseZonedTime("2026-01-01T09:00:00", "Asia/Tokyo"), at("2026-01-01T00:00:00Z"));
  EXPECT_FALSE(parseZonedTime("2026-03-29T02:30:00", "Europe/Berlin"));
  EXPECT_FALSE(parseZonedTime("tomorrow", ""));
}

}  // namespace
}  // namespace okibi
