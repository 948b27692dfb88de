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

Duration idleOf(const Records& records) {
  Duration sum{};
  for (const auto& record : only<IdleRecord>(records)) sum += record.idle;
  return sum;
}

TEST(UsageMeter, AKeptInstanceIsIdleWhileNothingIsOnIt) {
  UsageMeter meter;
  Records out;
  meter.openInstance(termsOf("c-1"), at(0s), out);
  meter.keepIdle("c-1", true, UnitPrice{4'286}, at(2s), out);
  meter.billIdle(at(4s), 10s, out);
  EXPECT_TRUE(only<IdleRecord>(out).empty()) << "too little to be worth a record";
  const UseId use = meter.begin("c-1", UseKind::Request, at(5s));
  meter.billIdle(at(6s), 0s, out);
  ASSERT_EQ(only<IdleRecord>(out).size(), 1u);
  EXPECT_EQ(only<IdleRecord>(out)[0].idle, Duration(3s));
  EXPECT_EQ(only<IdleRecord>(out)[0].started, at(2s).wall);
  meter.endRequest(use, call("r"), at(6500ms), out);
  EXPECT_EQ(meter.idleTime("c-1", at(7s).at), Duration(3500ms));
  meter.billIdle(at(6s), 0s, out);  // before the request ended: nothing more
  EXPECT_EQ(idleOf(out), Duration(3s));
  meter.keepIdle("c-1", false, UnitPrice{}, at(8s), out);
  EXPECT_EQ(idleOf(out), Duration(4500ms));
  meter.keepIdle("c-1", true, UnitPrice{4'286}, at(20s), out);
  meter.closeInstance("c-1", "gone", at(20s + 2ms + 1us), out);
  EXPECT_EQ(idleOf(out), Duration(4502ms)) << "less than a millisecond is nothing";
  Usage usage;
  for (const auto& line : fold(out, PriceBook{})) {
    usage += line.usage;
    if (line.usage.idleMs > 0) EXPECT_EQ(line.gpuPrice, UnitPrice{4'286});
  }
  EXPECT_EQ(usage.idleMs, 4502);
  EXPECT_EQ(usage.idleGpuMbMs, 4096 * 4502);
  EXPECT_EQ(usage.idleMemoryMbMs, 512 * 4502);
  EXPECT_EQ(usage.diskMbMs, 512 * (4502 + 1500));
  EXPECT_EQ(usage.gpuMbMs, 4096 * 2000);
}

// Law 6 of kept instances: what is active and what is idle is the time they were kept.
TEST(UsageMeterProperty, ActiveAndIdleTimeOfAKeptInstanceAreItsTime) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    UsageMeter meter;
    Records out;
    std::vector<UseId> open;
    Duration now{};
    meter.openInstance(termsOf("c-1"), at(now), out);
    meter.keepIdle("c-1", true, UnitPrice{1}, at(now), out);
    for (int i = 0; i < 200; ++i) {
      now += Duration(random.between(0, 3'000'000'000));
      if (random.chance(0.3)) meter.billIdle(at(now), 1s * random.between(0, 10), out);
      if (random.chance(0.3)) meter.split(at(now), 1s * random.between(0, 10), out);
      if (open.empty() || (open.size() < 4 && random.chance(0.4))) {
        open.push_back(meter.begin("c-1", UseKind::Request, at(now)));
      } else {
        meter.endRequest(open.back(), call("r"), at(now), out);
        open.pop_back();
      }
      ASSERT_EQ(meter.activeTime("c-1", Instant(now)) + meter.idleTime("c-1", Instant(now)), now);
    }
    for (const UseId use : open) meter.endRequest(use, call("r"), at(now), out);
    const Duration active = meter.activeTime("c-1", Instant(now));
    meter.closeInstance("c-1", "gone", at(now), out);
    Duration measured{};
    for (const auto& interval : only<IntervalRecord>(out)) measured += interval.active;
    EXPECT_EQ(measured, active);
    EXPECT_GT(idleOf(out) + active, now - 1ms);
    EXPECT_LE(idleOf(out) + active, now);
    // Splitting changed no bill: what the requests pay is what the intervals cost.
    Usage paid, cost;
    for (const auto& record : only<InvocationRecord>(out)) paid += record.bill;
    for (const auto& interval : only<IntervalRecord>(out)) cost += interval.usage;
    EXPECT_EQ(paid, cost);
  }
}

TEST(UsageMeter, ALongIntervalIsOnTheBillWhileItLasts) {
  UsageMeter whole, parts;
  Records one, many;
  for (auto [meter, out] : {std::pair(&whole, &one), std::pair(&parts, &many)}) {
    meter->openInstance(termsOf("c-1"), at(0s), *out);
    const UseId hook = meter->begin("c-1", UseKind::Hook, at(100ms));
    const UseId first = meter->begin("c-1", UseKind::Request, at(2s));
    for (int i = 3; i < 100; ++i) {
      if (out == &many) meter->split(at(1s * i), 10s, *out);
      if (i == 50) meter->endRequest(first, call("first"), at(1s * i + 1ms), *out);
    }
    const UseId last = meter->begin("c-1", UseKind::Request, at(100s));
    meter->endHook(hook, at(101s), *out);
    meter->endRequest(last, call("last"), at(101500ms), *out);
  }
  ASSERT_EQ(only<IntervalRecord>(one).size(), 1u);
  ASSERT_GT(only<IntervalRecord>(many).size(), 5u);
  Usage sum;
  Duration active{};
  for (const auto& interval : only<IntervalRecord>(many)) {
    sum += interval.usage;
    active += interval.active;
  }
  EXPECT_EQ(sum, only<IntervalRecord>(one)[0].usage);
  EXPECT_EQ(active, only<IntervalRecord>(one)[0].active);
  for (int i : {0, 1}) {
    const auto a = only<InvocationRecord>(one).at(static_cast<std::size_t>(i));
    const auto b = only<InvocationRecord>(many).at(static_cast<std::size_t>(i));
    EXPECT_EQ(a.bill, b.bill) << i;
    EXPECT_EQ(a.share, b.share) << i;
    EXPECT_EQ(a.duration, b.duration) << i;
  }
  // Died somewhere: what was put on the bill stays, and nothing is there twice.
  const Records closing = recover(many, at(200s).wall);
  EXPECT_EQ(only<IntervalRecord>(closing).size(), 0u);
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

// The published example of a GPU function with one kept instance (Function Compute: billing), in
// compute units.
TEST(Fold, FiftyHoursOfAKeptInstance) {
  InstanceTerms terms = termsOf("c-1");
  terms.gpuMemory = Bytes::gib(16);
  terms.memory = Bytes::gib(32);
  terms.cpu = MilliCpu{8000};
  const auto units = parsePriceBook(
      "gpu_gb_second = 2.1\ngpu_idle_gb_second = 0.5\nvcpu_second = 1\nmemory_gb_second = 0.15\n"
      "memory_idle_gb_second = 0.1\nmillion_calls = 7500");
  ASSERT_TRUE(units) << units.error().message;
  terms.gpuPrice = units->gpuPrice(terms.gpuType);
  const UnitPrice idle = units->gpuIdlePrice(terms.gpuType);
  UsageMeter meter;
  Records log;
  meter.openInstance(terms, at(0s), log);
  meter.keepIdle("c-1", true, idle, at(0s), log);
  const UseId use = meter.begin("c-1", UseKind::Request, at(20h));
  meter.endRequest(use, call("r"), at(30h), log);
  meter.closeInstance("c-1", "gone", at(50h), log);
  Money sum;
  for (const auto& line : fold(log, *units)) sum += units->priceOf(line.usage, line.gpuPrice);
  Usage calls;
  calls.calls = 999'999;
  sum += units->priceOf(calls, {});
  // 7,500 for calls, 288,000 for vCPUs, 172,800 and 460,800 for memory, 1,209,600 and 1,152,000 for
  // the card.
  EXPECT_NEAR(static_cast<double>(sum.micros()) / 1e6, 3'290'700, 0.001);
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
