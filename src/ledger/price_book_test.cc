#include "ledger/price_book.h"

#include <gtest/gtest.h>

namespace okibi::ledger {
namespace {

using namespace std::chrono_literals;

TEST(UnitPrice, ReadsExactDecimals) {
  EXPECT_EQ(parseUnitPrice("0.000018")->nanos, 18'000);
  EXPECT_EQ(parseUnitPrice("2")->nanos, 2'000'000'000);
  EXPECT_EQ(parseUnitPrice("0.000000001")->nanos, 1);
  for (const char* text : {"", ".", "1.", ".5", "-1", "+1", "1e-5", "0.0000000001", "1,5", "0x1",
                           " 1", "1000000000", "99999999999999999999"}) {
    EXPECT_EQ(parseUnitPrice(text).error().kind, ErrorKind::Invalid) << text;
  }
  EXPECT_EQ(toString(UnitPrice{18'000}), "0.000018");
  EXPECT_EQ(toString(UnitPrice{2'000'000'000}), "2");
}

TEST(MoneyText, HasTwoToSixDecimals) {
  EXPECT_EQ(toString(Money(259'200)), "0.2592");
  EXPECT_EQ(toString(Money(3'600'000)), "3.60");
  EXPECT_EQ(toString(Money(48'000'000)), "48.00");
  EXPECT_EQ(toString(Money(1)), "0.000001");
  EXPECT_EQ(toString(Money(-500'000)), "-0.50");
  EXPECT_EQ(toString(Money()), "0.00");
}

TEST(PriceBook, TheDefaultTextIsTheDefaultBook) {
  const auto book = parsePriceBook(defaultPriceBookText());
  ASSERT_TRUE(book) << book.error().message;
  EXPECT_EQ(*book, PriceBook());
}

TEST(PriceBook, CardTypesMayHaveTheirOwnPrice) {
  const auto book = parsePriceBook("gpu_gb_second.fc.gpu.ada.1 = 0.00002 # dearer\r\n\n");
  ASSERT_TRUE(book);
  EXPECT_EQ(book->gpuPrice("fc.gpu.ada.1").nanos, 20'000);
  EXPECT_EQ(book->gpuPrice("fc.gpu.tesla.1").nanos, 18'000);
}

TEST(PriceBook, IdleTimeCostsThePublishedPartUnlessItSays) {
  EXPECT_EQ(PriceBook().gpuIdlePrice("fc.gpu.tesla.1").nanos, 4'286);   // 0.5 of 2.1
  EXPECT_EQ(PriceBook().gpuIdlePrice("fc.gpu.ampere.1").nanos, 3'000);  // 0.3 of 1.8
  EXPECT_EQ(PriceBook().gpuIdlePrice("unknown").nanos, 4'286);
  const auto book = parsePriceBook(
      "gpu_idle_gb_second = 0.000001\ngpu_idle_gb_second.fc.gpu.ada.1 = 0.000002\n"
      "memory_gb_second = 0.000003");
  ASSERT_TRUE(book) << book.error().message;
  EXPECT_EQ(book->gpuIdlePrice("fc.gpu.tesla.1").nanos, 1'000);
  EXPECT_EQ(book->gpuIdlePrice("fc.gpu.ada.1").nanos, 2'000);
  Usage usage;
  usage.idleMemoryMbMs = 1024LL * 1000;
  EXPECT_EQ(book->priceOf(usage, {}), Money(3)) << "without a GPU as much as active";
  usage.idleGpuMbMs = 1024LL * 1000;
  EXPECT_EQ(book->priceOf(usage, UnitPrice{1'000}), Money(1 + 2));
}

TEST(PriceBook, BadLinesAreNamed) {
  const std::pair<const char*, const char*> cases[] = {
      {"currency = USD\ngpu = 1", "line 2: unknown key 'gpu'"},
      {"gpu_gb_second 1", "line 1: 'key = value' expected"},
      {"gpu_gb_second = 1\ngpu_gb_second = 2", "line 2: 'gpu_gb_second' again"},
      {"gpu_gb_second = cheap", "line 1: price 'cheap'"},
      {"currency = dollars", "line 1: currency 'dollars'"},
      {"gpu_gb_second. = 1", "unknown key"},
  };
  for (const auto& [text, expected] : cases) {
    const auto book = parsePriceBook(text);
    ASSERT_FALSE(book) << text;
    EXPECT_NE(book.error().message.find(expected), std::string::npos) << book.error().message;
  }
}

TEST(PriceBook, RoundsOnceAndHalfUp) {
  const PriceBook book;
  Usage usage;
  usage.gpuMbMs = 4096LL * 1000;  // 4 GB·s
  EXPECT_EQ(book.priceOf(usage, book.gpuGbSecond), Money(72));
  usage.gpuMbMs = 1024LL * 1000 / 36;  // just under half a micro-dollar
  EXPECT_EQ(book.priceOf(usage, book.gpuGbSecond), Money(0));
  usage.gpuMbMs += 1;
  EXPECT_EQ(book.priceOf(usage, book.gpuGbSecond), Money(1));
}

TEST(PriceBook, OtherItemsAreAddedBeforeTheRounding) {
  PriceBook book;
  book.vcpuSecond = *parseUnitPrice("0.00002");
  book.memoryGbSecond = *parseUnitPrice("0.000003");
  book.millionCalls = *parseUnitPrice("0.15");
  Usage usage;
  usage.cpuMilliMs = 2000LL * 1000;  // 2 vCPU·s: 40 µ
  usage.memoryMbMs = 512LL * 1000;   // 0.5 GB·s: 1.5 µ
  usage.calls = 10;                  // 1.5 µ
  EXPECT_EQ(book.priceOf(usage, UnitPrice{}), Money(43));
}

TEST(PriceBook, YearsOfManyCardsDoNotOverflow) {
  const PriceBook book;
  Usage usage;
  usage.gpuMbMs = 30LL * 96 * 1024 * 86'400'000 * 365;  // 30 cards of 96 GB for a year
  EXPECT_EQ(book.priceOf(usage, book.gpuGbSecond).micros(), 30LL * 96 * 86'400 * 365 * 18);
}

TEST(Estimate, ThePublishedCases) {
  const PriceBook book;
  auto result = estimate(book, {3'600, 1s, "", Bytes::gib(4)});
  ASSERT_TRUE(result);
  EXPECT_EQ(toString(result->perDay), "0.2592");
  EXPECT_EQ(toString(result->alwaysOnPerDay), "48.00");
  EXPECT_NEAR(result->utilization, 0.0417, 0.00005);
  EXPECT_GT(result->saving, 0.99);

  result = estimate(book, {50'000, 1s, "", Bytes::gib(4)});
  EXPECT_EQ(toString(result->perDay), "3.60");
  EXPECT_NEAR(result->utilization, 0.5787, 0.00005);
  EXPECT_GT(result->saving, 0.90);
  EXPECT_LT(result->saving, 0.95);
}

TEST(Estimate, ShortCallsRoundUpAndHeavyLoadNeedsMoreCards) {
  const PriceBook book;
  const auto brief = estimate(book, {3'600, 51ms, "", Bytes::gib(4)});
  EXPECT_EQ(toString(brief->perDay), "0.2592");
  const auto heavy = estimate(book, {200'000, 1s, "", Bytes::gib(4)});
  EXPECT_EQ(heavy->alwaysOnCards, 3);
  EXPECT_EQ(toString(heavy->alwaysOnPerDay), "144.00");
  EXPECT_LE(heavy->utilization, 1.0);
  const auto none = estimate(book, {0, 1s, "", Bytes::gib(4)});
  EXPECT_EQ(none->perDay, Money());
  EXPECT_EQ(none->alwaysOnCards, 1);
}

TEST(Estimate, ImpossibleInputIsRefused) {
  const PriceBook book;
  const EstimateInput bad[] = {{-1, 1s, "", Bytes::gib(4)},
                               {1, -1s, "", Bytes::gib(4)},
                               {1, 25h, "", Bytes::gib(4)},
                               {1, 1s, "", Bytes(0)},
                               {2'000'000'000, 1s, "", Bytes::gib(4)},
                               {1'000'000'000, 24h, "", Bytes::gib(1024)}};
  for (const auto& input : bad) {
    EXPECT_EQ(estimate(book, input).error().kind, ErrorKind::Invalid) << input.callsPerDay;
  }
}

}  // namespace
}  // namespace okibi::ledger
