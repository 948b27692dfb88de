#include "base/encoding.h"

#include <gtest/gtest.h>

#include "base/crc64.h"

namespace okibi {
namespace {

TEST(Encoding, Base64RoundTripsEveryLength) {
  for (std::size_t n = 0; n < 20; ++n) {
    std::string bytes;
    for (std::size_t i = 0; i < n; ++i) bytes += static_cast<char>(i * 37 + n);
    EXPECT_EQ(fromBase64(toBase64(bytes)), bytes);
  }
  EXPECT_EQ(toBase64("any carnal pleas"), "YW55IGNhcm5hbCBwbGVhcw==");
}

TEST(Encoding, Base64RefusesBrokenText) {
  for (const char* text : {"a", "ab=c", "a===", "YW5*", "YQ=a"}) {
    EXPECT_FALSE(fromBase64(text)) << text;
  }
}

TEST(Encoding, PercentFollowsRfc3986) {
  EXPECT_EQ(percentEncode("a b*c~/é"), "a%20b%2Ac~%2F%C3%A9");
  EXPECT_EQ(percentDecode("a%20b%2Ac"), "a b*c");
  EXPECT_FALSE(percentDecode("%2"));
  EXPECT_FALSE(percentDecode("%zz"));
}

TEST(Encoding, Iso8601RoundTrips) {
  const auto time = parseIso8601("2024-02-29T08:34:58.123Z");
  ASSERT_TRUE(time);
  EXPECT_EQ(formatIso8601Milliseconds(*time), "2024-02-29T08:34:58.123Z");
  EXPECT_EQ(formatIso8601(*time), "2024-02-29T08:34:58Z");
  for (const char* text : {"2023-02-29T00:00:00Z", "2024-02-29 08:34:58Z", "2024-02-29T08:34:58",
                           "2024-02-29T25:00:00Z", "2024-02-29T08:34:58.Z"}) {
    EXPECT_FALSE(parseIso8601(text)) << text;
  }
}

TEST(Encoding, EditDistanceSuggestsNeighbours) {
  EXPECT_EQ(editDistance("memroySize", "memorySize"), 2u);
  EXPECT_EQ(editDistance("", "abc"), 3u);
}

TEST(Crc64, KnownAnswers) {
  EXPECT_EQ(crc64(""), 0u);
  EXPECT_EQ(crc64("123456789"), 0x995dc9bbdf1939faU);
}

}  // namespace
}  // namespace okibi
