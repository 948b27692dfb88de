// The checker of law 6 must bite: each test tells it what a meter that is wrong would say.

#include "ledger/usage_law.h"

#include <functional>

#include <gtest/gtest.h>

namespace okibi::ledger {
namespace {

using namespace std::chrono_literals;

InstanceTerms terms() {
  InstanceTerms terms;
  terms.instance = "c";
  terms.gpuType = "T";
  terms.gpuMemory = Bytes::gib(4);
  return terms;
}

// Two requests on one instance of 4 GB, from 0 to 2 s and from 1 to 3 s, as a meter records them.
class UsageLawTest : public ::testing::Test {
 protected:
  static Moment at(Duration t) {
    return {Instant(t), WallTime() + std::chrono::floor<std::chrono::milliseconds>(t)};
  }

  // `tamper`: changes what the law is told of an end.
  void overlapping(const std::function<void(Duration& share, Records& records)>& tamper) {
    Records out;
    meter_.openInstance(terms(), at(0s), out);
    const UseId first = begin(0s), second = begin(1s);
    end(first, 2s, tamper);
    end(second, 3s, tamper);
  }
  UseId begin(Duration t) {
    law_.began("c", UseKind::Request, Instant(t));
    return meter_.begin("c", UseKind::Request, at(t));
  }
  void end(UseId use, Duration t,
           const std::function<void(Duration& share, Records& records)>& tamper) {
    Records out;
    meter_.endRequest(use, {}, at(t), out);
    Duration share = std::get<InvocationRecord>(out.front()).share;
    tamper(share, out);
    law_.ended("c", UseKind::Request, share, out, Instant(t));
  }
  void expectBroken(const std::string& text) {
    ASSERT_FALSE(law_.violations().empty()) << "nothing was noticed";
    EXPECT_EQ(law_.violations().front(), text);
  }

  UsageMeter meter_;
  UsageLaw law_;
};

TEST_F(UsageLawTest, SoundRecordsPass) {
  overlapping([](Duration&, Records&) {});
  law_.expectRest();
  EXPECT_TRUE(law_.violations().empty()) << law_.violations().front();
}

TEST_F(UsageLawTest, OverlapIsCountedTwice) {
  overlapping([](Duration& share, Records&) { share = 2s; });
  expectBroken("law 6: instance c: active for 3000000000 ns, shares sum to 4000000000");
}

TEST_F(UsageLawTest, ANanosecondIsLost) {
  overlapping([](Duration& share, Records& records) {
    if (records.size() > 1) share -= 1ns;
  });
  expectBroken("law 6: instance c: active for 3000000000 ns, shares sum to 2999999999");
}

TEST_F(UsageLawTest, AnIntervalIsLost) {
  overlapping([](Duration&, Records& records) { records.resize(1); });
  expectBroken("law 6: instance c: active for 3000000000 ns, intervals sum to 0");
}

TEST_F(UsageLawTest, BothAreBilledForTheSecondTheyShare) {
  overlapping([](Duration&, Records& records) {
    std::get<InvocationRecord>(records.front()).bill = usageOfInterval(terms(), 2s);
  });
  expectBroken("law 6: instance c: used 3000 ms and 12288000 GPU MB ms, billed 4000 and 16384000");
}

TEST_F(UsageLawTest, AUseNeverEnds) {
  law_.began("c", UseKind::Request, at(0s).at);
  law_.expectRest();
  expectBroken("law 6: instance c: 1 uses never ended");
}

}  // namespace
}  // namespace okibi::ledger
