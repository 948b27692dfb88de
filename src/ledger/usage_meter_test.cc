#include "ledger/usage_meter.h"

#include <algorithm>
#include <set>

#include <gtest/gtest.h>

#include "base/random.h"
#include "ledger/fold.h"
#include "ledger/recovery.h"

namespace okibi::ledger {
namespace {

using namespace std::chrono_literals;

Moment at(Duration t) {
  const WallTime epoch{std::chrono::sys_days(std::chrono::year(2026) / 11 / 24)};
  return {Instant(t), epoch + std::chrono::floor<std::chrono::milliseconds>(t)};
}

InstanceTerms termsOf(const std::string& name) {
  return {.instance = name,
          .function = {"acc", "ocr"},
          .revision = 3,
          .gpuType = "fc.gpu.tesla.1",
          .gpuMemory = Bytes::gib(4),
          .memory = Bytes::mib(512),
          .disk = Bytes::mib(512),
          .cpu = MilliCpu{350}};
}

template <typename R>
std::vector<R> only(const Records& records) {
  std::vector<R> found;
  for (const Record& record : records) {
    if (const auto* one = std::get_if<R>(&record)) found.push_back(*one);
  }
  return found;
}

InvocationRecord call(const std::string& id) {
  InvocationRecord record;
  record.function = {"acc", "ocr"};
  record.requestId = id;
  return record;
}

TEST(Rounding, GpuTimeIsWholeSecondsUpAndCpuTimeWholeMilliseconds) {
  EXPECT_EQ(billedGpuMilliseconds(51ms), 1000);
  EXPECT_EQ(billedGpuMilliseconds(10500ms), 11000);
  EXPECT_EQ(billedGpuMilliseconds(1s), 1000);
  EXPECT_EQ(billedGpuMilliseconds(1s + 1ns), 2000);
  EXPECT_EQ(billedGpuMilliseconds(0s), 0);
  EXPECT_EQ(billedMilliseconds(1ms), 1);
  EXPECT_EQ(billedMilliseconds(1ms + 1ns), 2);
  EXPECT_EQ(billedMilliseconds(0ns), 0);
}

TEST(Rounding, AnIntervalIsBilledByConfiguredSize) {
  const Usage usage = usageOfInterval(termsOf("c-1"), 1500ms);
  EXPECT_EQ(usage.activeMs, 1500);
  EXPECT_EQ(usage.gpuMs, 2000);
  EXPECT_EQ(usage.gpuMbMs, 4096 * 2000);
  EXPECT_EQ(usage.memoryMbMs, 512 * 1500);
  EXPECT_EQ(usage.cpuMilliMs, 350 * 1500);
  InstanceTerms cpuOnly = termsOf("c-1");
  cpuOnly.gpuType.clear();
  EXPECT_EQ(usageOfInterval(cpuOnly, 1500ms).gpuMbMs, 0);
}

TEST(UsageMeter, OneRequestIsOneInterval) {
  UsageMeter meter;
  Records out;
  meter.openInstance(termsOf("c-1"), at(0s), out);
  ASSERT_EQ(only<InstanceOpened>(out).size(), 1u);
  out.clear();
  const UseId use = meter.begin("c-1", UseKind::Request, at(10s));
  meter.endRequest(use, call("r1"), at(10s + 51ms), out);
  ASSERT_EQ(out.size(), 2u);
  const auto& record = std::get<InvocationRecord>(out[0]);  // the invocation first: see recovery
  const auto& interval = std::get<IntervalRecord>(out[1]);
  EXPECT_EQ(record.place.instance, "c-1");
  EXPECT_EQ(record.place.number, 1u);
  EXPECT_EQ(record.duration, Duration(51ms));
  EXPECT_EQ(record.share, Duration(51ms));
  EXPECT_EQ(interval.active, Duration(51ms));
  EXPECT_EQ(interval.usage.gpuMs, 1000);
  EXPECT_EQ(interval.started, at(10s).wall);
  EXPECT_EQ(meter.openUses(), 0u);
}

TEST(UsageMeter, OverlapCountsOnceAndIsShared) {
  UsageMeter meter;
  Records out;
  meter.openInstance(termsOf("c-1"), at(0s), out);
  const UseId a = meter.begin("c-1", UseKind::Request, at(0s));
  const UseId b = meter.begin("c-1", UseKind::Request, at(4s));
  meter.endRequest(a, call("a"), at(10s), out);
  EXPECT_TRUE(only<IntervalRecord>(out).empty());
  meter.endRequest(b, call("b"), at(11s), out);
  const auto calls = only<InvocationRecord>(out);
  EXPECT_EQ(calls[0].share, Duration(7s));  // 4 alone, half of 6
  EXPECT_EQ(calls[1].share, Duration(4s));  // half of 6, 1 alone
  EXPECT_EQ(only<IntervalRecord>(out).at(0).active, Duration(11s));
}

TEST(UsageMeter, WhatDoesNotDivideGoesToTheOldest) {
  UsageMeter meter;
  Records out;
  meter.openInstance(termsOf("c-1"), at(0s), out);
  std::vector<UseId> uses;
  for (int i = 0; i < 3; ++i) uses.push_back(meter.begin("c-1", UseKind::Request, at(0s)));
  for (const UseId use : uses) meter.endRequest(use, call("r"), at(5ns), out);
  const auto calls = only<InvocationRecord>(out);
  EXPECT_EQ(calls[0].share, 2ns);
  EXPECT_EQ(calls[1].share, 2ns);
  EXPECT_EQ(calls[2].share, 1ns);
}

TEST(UsageMeter, AHookIsOnTheBillOfTheRequestItRanFor) {
  UsageMeter meter;
  Records out;
  meter.openInstance(termsOf("c-1"), at(0s), out);
  const UseId load = meter.begin("c-1", UseKind::Hook, at(0s));
  const UseId request = meter.begin("c-1", UseKind::Request, at(700ms));
  meter.endHook(load, at(700ms), out);
  meter.endRequest(request, call("r"), at(1200ms), out);
  EXPECT_EQ(only<InvocationRecord>(out).at(0).bill, only<IntervalRecord>(out).at(0).usage);
  EXPECT_EQ(only<InvocationRecord>(out).at(0).bill.gpuMs, 2000);
}

TEST(UsageMeter, BillsOfAnIntervalSumToItsUsage) {
  UsageMeter meter;
  Records out;
  InstanceTerms terms = termsOf("c-1");
  terms.gpuPrice = UnitPrice{20'000};
  meter.openInstance(terms, at(0s), out);
  std::vector<UseId> uses;
  for (int i = 0; i < 4; ++i) uses.push_back(meter.begin("c-1", UseKind::Request, at(0s)));
  for (int i = 0; i < 4; ++i) meter.endRequest(uses[i], call("r"), at((i + 1) * 300ms), out);
  const auto calls = only<InvocationRecord>(out);
  const Usage whole = only<IntervalRecord>(out).at(0).usage;
  EXPECT_EQ(whole.gpuMs, 2000);
  Usage sum;
  for (const auto& one : calls) sum += one.bill;
  EXPECT_EQ(sum, whole);
  EXPECT_EQ(calls[0].bill.gpuMs, 1000);  // who goes over a second pays it
  EXPECT_EQ(calls[1].bill.gpuMs, 0);
  EXPECT_EQ(calls[3].bill.gpuMs, 1000);
  EXPECT_EQ(calls[3].gpuPrice, UnitPrice{20'000});
  EXPECT_EQ(calls[3].gpuMemory, terms.gpuMemory);
  EXPECT_EQ(calls[3].gpuType, terms.gpuType);
}

TEST(UsageMeter, HooksAreActiveTimeAndTheirShareIsReturned) {
  UsageMeter meter;
  Records out;
  meter.openInstance(termsOf("c-1"), at(0s), out);
  const UseId hook = meter.begin("c-1", UseKind::Hook, at(1s));
  const UseId request =
      meter.begin("c-1", UseKind::Request, at(3s));  // joined: begun before the end
  EXPECT_EQ(meter.endHook(hook, at(3s), out), Duration(2s));
  EXPECT_TRUE(only<IntervalRecord>(out).empty());
  meter.endRequest(request, call("r"), at(4s), out);
  EXPECT_EQ(only<IntervalRecord>(out).at(0).active, Duration(3s));
  EXPECT_EQ(meter.activeTime("c-1", at(9s).at), Duration(3s));
}

TEST(UsageMeter, ACrashEndsUsesNowAndTheyAreStillAnsweredOnce) {
  UsageMeter meter;
  Records out;
  meter.openInstance(termsOf("c-1"), at(0s), out);
  const UseId use = meter.begin("c-1", UseKind::Request, at(1s));
  EXPECT_EQ(meter.activeTime("c-1", at(2s).at), Duration(1s));
  out.clear();
  meter.closeInstance("c-1", "crashed", at(3s), out);
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(std::get<IntervalRecord>(out[0]).active, Duration(2s));
  EXPECT_EQ(std::get<InstanceClosed>(out[1]).reason, "crashed");
  out.clear();
  meter.endRequest(use, call("r"), at(8s), out);
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(std::get<InvocationRecord>(out[0]).share, Duration(2s));
  EXPECT_EQ(std::get<InvocationRecord>(out[0]).ended, at(3s).at);
  EXPECT_EQ(meter.openUses(), 0u);
  EXPECT_EQ(meter.openInstances(), 0u);
}

TEST(UsageMeter, HeartbeatsAreForOpenIntervalsOnly) {
  UsageMeter meter;
  Records out;
  meter.openInstance(termsOf("idle"), at(0s), out);
  meter.openInstance(termsOf("busy"), at(0s), out);
  meter.begin("busy", UseKind::Request, at(1s));
  Records beats;
  meter.heartbeat(at(2s), beats);
  ASSERT_EQ(beats.size(), 1u);
  EXPECT_EQ(std::get<Heartbeat>(beats[0]).place.instance, "busy");
  EXPECT_EQ(std::get<Heartbeat>(beats[0]).alive, at(2s).at);
  EXPECT_EQ(only<InstanceOpened>(meter.preamble(at(2s))).size(), 2u);
}

TEST(UsageMeterDeathTest, BrokenUseEndsTheProcess) {
  UsageMeter meter;
  Records out;
  EXPECT_DEATH(meter.begin("c-9", UseKind::Request, at(0s)), "not open");
  meter.openInstance(termsOf("c-1"), at(0s), out);
  EXPECT_DEATH(meter.openInstance(termsOf("c-1"), at(0s), out), "open already");
  const UseId use = meter.begin("c-1", UseKind::Request, at(2s));
  EXPECT_DEATH(meter.endRequest(use, call("r"), at(1s), out), "went back");
  EXPECT_DEATH(meter.endHook(use, at(3s), out), "other kind");
}

TEST(Recovery, AnOpenIntervalEndsAtItsLastSignOfLife) {
  UsageMeter meter;
  Records log;
  meter.openInstance(termsOf("c-1"), at(0s), log);
  meter.begin("c-1", UseKind::Request, at(1s));
  meter.heartbeat(at(2s), log);
  const UseId answered = meter.begin("c-1", UseKind::Request, at(2s));
  meter.heartbeat(at(3s), log);
  auto closing = only<IntervalRecord>(recover(log, at(9s).wall));
  ASSERT_EQ(closing.size(), 1u);
  EXPECT_EQ(closing[0].active, Duration(2s));
  EXPECT_EQ(closing[0].closing, Closing::Recovered);

  meter.endRequest(answered, call("r"), at(3500ms), log);  // later than the heartbeat: counts whole
  const Records records = recover(log, at(9s).wall);
  closing = only<IntervalRecord>(records);
  EXPECT_EQ(closing.at(0).active, Duration(2500ms));
  EXPECT_EQ(closing.at(0).usage.gpuMs, 3000);
  EXPECT_EQ(only<InstanceClosed>(records).size(), 1u);
  log.insert(log.end(), records.begin(), records.end());
  EXPECT_TRUE(recover(log, at(10s).wall).empty());
}

TEST(Recovery, ALogCutBetweenInvocationAndIntervalLosesNothing) {
  UsageMeter meter;
  Records log;
  meter.openInstance(termsOf("c-1"), at(0s), log);
  const UseId use = meter.begin("c-1", UseKind::Request, at(1s));
  meter.endRequest(use, call("r"), at(2100ms), log);
  const auto measured = only<IntervalRecord>(log).at(0);
  log.pop_back();
  const auto recovered = only<IntervalRecord>(recover(log, at(9s).wall)).at(0);
  EXPECT_EQ(recovered.active, measured.active);
  EXPECT_EQ(recovered.usage, measured.usage);
  EXPECT_EQ(recovered.started, measured.started);
}

// ---- Random worlds against a brute-force oracle -------------------------------------------------

struct OracleUse {
  std::int64_t begin = 0, end = -1;  // -1: still open
  bool answered = false;
};

// The oracle counts nanosecond by nanosecond: one slot, divided among who is there.
struct OracleInstance {
  std::vector<OracleUse> uses;
  std::int64_t active(std::int64_t until) const {
    std::int64_t sum = 0;
    for (std::int64_t t = 0; t < until; ++t) {
      sum += std::ranges::any_of(uses, [&](const OracleUse& use) {
        return use.begin <= t && (use.end < 0 || t < use.end);
      });
    }
    return sum;
  }
};

class RandomWorld {
 public:
  explicit RandomWorld(std::uint64_t seed) : random_(seed) {}

  // Runs `steps` random events; log_ grows as the real log would, one append per element of ends_.
  void run(int steps) {
    for (int i = 0; i < steps; ++i) {
      if (random_.chance(0.7)) now_ += random_.between(0, 7);
      step();
      appends_.push_back(log_.size());
    }
  }

  void comeToRest() {
    while (!open_.empty()) end(0);
    while (!instances_.empty()) close(instances_.begin()->first);
  }

  Records log_;
  std::vector<std::size_t> appends_;  // log sizes at which the process could have died
  std::map<std::string, OracleInstance> oracle_;
  std::int64_t now_ = 0;
  Duration hooks_{};
  int ended_ = 0;
  std::set<std::pair<std::string, std::uint64_t>> hooked_;  // intervals with a hook
  UsageMeter meter_;

 private:
  struct OpenUse {
    UseId id;
    std::string instance;
    std::size_t index;
    UseKind kind;
  };

  void step() {
    const double pick = random_.fraction();
    if (instances_.empty() || pick < 0.05) {
      const std::string name = "c-" + std::to_string(++made_);
      meter_.openInstance(termsOf(name), at(Duration(now_)), log_);
      instances_[name] = true;
      oracle_[name];
    } else if (pick < 0.5) {
      begin();
    } else if (pick < 0.9 && !open_.empty()) {
      end(static_cast<std::size_t>(
          random_.between(0, static_cast<std::int64_t>(open_.size()) - 1)));
    } else if (pick < 0.93) {
      close(pickInstance());
    } else {
      meter_.heartbeat(at(Duration(now_)), log_);
    }
  }

  std::string pickInstance() {
    auto chosen = instances_.begin();
    std::advance(chosen, random_.between(0, static_cast<std::int64_t>(instances_.size()) - 1));
    return chosen->first;
  }

  void begin() {
    const std::string name = pickInstance();
    const UseKind kind = random_.chance(0.2) ? UseKind::Hook : UseKind::Request;
    const UseId id = meter_.begin(name, kind, at(Duration(now_)));
    if (kind == UseKind::Hook) hooked_.insert({name, meter_.intervals(name)});
    auto& uses = oracle_[name].uses;
    uses.push_back({now_});
    open_.push_back({id, name, uses.size() - 1, kind});
  }

  void end(std::size_t which) {
    const OpenUse use = open_[which];
    open_.erase(open_.begin() + static_cast<std::ptrdiff_t>(which));
    OracleUse& truth = oracle_[use.instance].uses[use.index];
    if (truth.end < 0) truth.end = now_;
    truth.answered = true;
    ++ended_;
    if (use.kind == UseKind::Hook) {
      hooks_ += meter_.endHook(use.id, at(Duration(now_)), log_);
    } else {
      meter_.endRequest(use.id, call("r" + std::to_string(use.id.value())), at(Duration(now_)),
                        log_);
      const auto calls = only<InvocationRecord>({log_.end()[-1]});
      const auto& record =
          calls.empty() ? std::get<InvocationRecord>(log_.end()[-2]) : calls.front();
      EXPECT_EQ(record.duration.count(), truth.end - truth.begin);
    }
  }

  void close(std::string name) {
    meter_.closeInstance(name, "gone", at(Duration(now_)), log_);
    instances_.erase(name);
    for (OracleUse& use : oracle_[name].uses) {
      if (use.end < 0) use.end = now_;
    }
  }

  Random random_;
  std::map<std::string, bool> instances_;
  std::vector<OpenUse> open_;
  int made_ = 0;
};

TEST(UsageMeterProperty, SharesSumToTheUnionOfAllUses) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    RandomWorld world(seed);
    world.run(150);
    world.comeToRest();
    std::map<std::string, std::int64_t> measured;
    std::int64_t active = 0;
    for (const auto& interval : only<IntervalRecord>(world.log_)) {
      measured[interval.terms.instance] += interval.active.count();
      active += interval.active.count();
    }
    for (const auto& [name, instance] : world.oracle_) {
      EXPECT_EQ(measured[name], instance.active(world.now_)) << name;
    }
    Duration shares = world.hooks_;
    for (const auto& record : only<InvocationRecord>(world.log_)) shares += record.share;
    EXPECT_EQ(shares.count(), active);
    // The same of bills; what the requests of an interval do not pay is its hooks'.
    std::map<std::pair<std::string, std::uint64_t>, Usage> unpaid;
    for (const auto& interval : only<IntervalRecord>(world.log_)) {
      unpaid[{interval.terms.instance, interval.number}] = interval.usage;
    }
    for (const auto& record : only<InvocationRecord>(world.log_)) {
      unpaid[{record.place.instance, record.place.number}] -= record.bill;
    }
    for (const auto& [place, rest] : unpaid) {
      EXPECT_GE(rest.gpuMs, 0) << place.first;
      EXPECT_GE(rest.activeMs, 0) << place.first;
      if (!world.hooked_.contains(place)) EXPECT_EQ(rest, Usage()) << place.first;
    }
    EXPECT_EQ(world.meter_.openUses(), 0u);
    EXPECT_EQ(world.meter_.openInstances(), 0u);
  }
}

// Law of recovery, at every point where the process can die: each answered invocation lies whole
// inside one interval, no interval is billed twice, and recovering again adds nothing.
void checkDeathAt(const Records& whole, std::size_t size, WallTime now) {
  Records log(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
  const Records closing = recover(log, now);
  log.insert(log.end(), closing.begin(), closing.end());
  ASSERT_TRUE(recover(log, now).empty());
  std::map<std::pair<std::string, std::uint64_t>, Duration> intervals;
  for (const auto& interval : only<IntervalRecord>(log)) {
    const bool isNew =
        intervals.try_emplace({interval.terms.instance, interval.number}, interval.active).second;
    ASSERT_TRUE(isNew) << interval.terms.instance << " " << interval.number << " billed twice";
  }
  for (const auto& record : only<InvocationRecord>(log)) {
    const auto found = intervals.find({record.place.instance, record.place.number});
    ASSERT_NE(found, intervals.end()) << record.requestId;
    ASSERT_LE(record.ended - record.place.start.at, found->second) << record.requestId;
    ASSERT_LE(record.share, found->second);
  }
}

TEST(RecoveryProperty, DeathAtAnyPointKeepsAnsweredInvocationsExact) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    RandomWorld world(seed);
    world.run(120);
    for (const std::size_t size : world.appends_) {
      checkDeathAt(world.log_, size, at(Duration(world.now_)).wall);
    }
  }
}

TEST(RecoveryProperty, ASegmentThatBeginsWithThePreambleIsEnough) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    RandomWorld world(seed);
    world.run(60);
    const std::size_t before = world.log_.size();
    const Records preamble = world.meter_.preamble(at(Duration(world.now_)));
    world.run(60);
    Records segment = preamble;
    segment.insert(segment.end(), world.log_.begin() + static_cast<std::ptrdiff_t>(before),
                   world.log_.end());
    const WallTime now = at(Duration(world.now_)).wall;
    EXPECT_EQ(only<IntervalRecord>(recover(segment, now)).size(),
              only<IntervalRecord>(recover(world.log_, now)).size());
    const auto whole = recover(world.log_, now);
    const auto part = recover(segment, now);
    // Heartbeats of the preamble may show an interval alive a little longer than the log without
    // it.
    for (const auto& interval : only<IntervalRecord>(whole)) {
      const auto same = std::ranges::find_if(part, [&](const Record& record) {
        const auto* other = std::get_if<IntervalRecord>(&record);
        return other && other->terms.instance == interval.terms.instance &&
               other->number == interval.number && other->active >= interval.active;
      });
      EXPECT_NE(same, part.end());
    }
  }
}

TEST(Fold, SumsByFunctionDayCardAndPrice) {
  UsageMeter meter;
  Records log;
  meter.openInstance(termsOf("c-1"), at(0s), log);
  for (const Duration begin : {Duration(1h), Duration(2h), Duration(25h)}) {
    const UseId use = meter.begin("c-1", UseKind::Request, at(begin));
    InvocationRecord record = call("r");
    record.received = at(begin).wall;
    record.outcome = begin == 2h ? Outcome::FunctionError : Outcome::Success;
    record.start = begin == 1h ? StartKind::Cold : StartKind::Warm;
    meter.endRequest(use, record, at(begin + 1200ms), log);
  }
  InvocationRecord refused = call("no");
  refused.received = at(1h).wall;
  refused.outcome = Outcome::Refused;
  log.push_back(refused);

  const PriceBook prices;
  const auto lines = fold(log, prices);
  Usage first, second;
  for (const auto& line : lines) {
    EXPECT_EQ(line.function, (FunctionRef{"acc", "ocr"}));
    EXPECT_EQ(line.gpuPrice.nanos, line.gpuType.empty() ? 0 : 18'000);
    (line.day == std::chrono::floor<std::chrono::days>(at(0s).wall) ? first : second) += line.usage;
  }
  EXPECT_EQ(lines.size(), 4u);  // two days, each calls and GPU time
  for (const auto& line : lines) {
    const bool onFirst = line.day == std::chrono::floor<std::chrono::days>(at(0s).wall);
    EXPECT_EQ(line.firstUse, at(onFirst ? 1h : 25h).wall);
  }
  EXPECT_EQ(first.calls, 2);
  EXPECT_EQ(first.errors, 1);
  EXPECT_EQ(first.coldCalls, 1);
  EXPECT_EQ(first.refused, 1);
  EXPECT_EQ(first.gpuMs, 4000);
  EXPECT_EQ(second.calls, 1);
  EXPECT_EQ(second.gpuMbMs, 4096 * 2000);
}

TEST(Fold, UsageKeepsThePriceItWasUsedUnder) {
  UsageMeter meter;
  Records log;
  InstanceTerms terms = termsOf("c-1");
  terms.gpuPrice = UnitPrice{5'000};
  meter.openInstance(terms, at(0s), log);
  meter.endRequest(meter.begin("c-1", UseKind::Request, at(1s)), call("r"), at(2s), log);
  const auto lines = fold(log, PriceBook{});  // at 18,000 by now
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[1].gpuPrice, UnitPrice{5'000});
}

TEST(Fold, RefusalsAreNoUse) {
  InvocationRecord refused = call("no");
  refused.place = {};
  refused.outcome = Outcome::Refused;
  const auto lines = fold({refused}, PriceBook{});
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].usage.refused, 1);
  EXPECT_FALSE(lines[0].firstUse);
}

}  // namespace
}  // namespace okibi::ledger
