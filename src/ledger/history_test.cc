#include "ledger/history.h"

#include <gtest/gtest.h>

namespace okibi::ledger {
namespace {

InvocationRecord served() {
  InvocationRecord record;
  record.received = WallTime(5s);
  record.place.instance = "c-1";
  record.start = StartKind::Cold;
  record.waited = 3s;
  record.duration = 2s;
  record.concurrency = 4;
  record.startTook = 2900ms;
  record.startInit = 900ms;
  record.gpuMemory = Bytes::gib(8);
  return record;
}

TEST(History, OfAServedRequestIsWhatItTakesToPlayItAgain) {
  const auto entry = historyOf(served());
  ASSERT_TRUE(entry);
  HistoryEntry expected;
  expected.received = WallTime(5s);
  expected.waited = 3s;
  expected.service = 2s;
  expected.start = StartKind::Cold;
  expected.startTook = 2900ms;
  expected.startInit = 900ms;
  expected.concurrency = 4;
  expected.slice = Bytes::gib(8);
  EXPECT_EQ(*entry, expected);
}

// A request that was refused is load all the same, unless it is the function's fault.
TEST(History, CountsWhatCapacityRefusedAndNotWhatCouldNotStart) {
  InvocationRecord refused = served();
  refused.place = {};
  refused.outcome = Outcome::Refused;
  for (const char* code : {"ResourceExhausted", "ResourceThrottled", "RequestTimeout"}) {
    refused.errorType = code;
    const auto entry = historyOf(refused);
    ASSERT_TRUE(entry) << code;
    EXPECT_EQ(entry->fate, HistoryEntry::Fate::TurnedAway);
    EXPECT_EQ(entry->service, 0s);
  }
  refused.errorType = "FunctionNotStarted";
  EXPECT_FALSE(historyOf(refused));
  refused.outcome = Outcome::Cancelled;
  refused.errorType = "CallerGone";
  EXPECT_TRUE(historyOf(refused)) << "it wanted to be served";
}

}  // namespace
}  // namespace okibi::ledger
