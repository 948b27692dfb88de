// The planner's cost by the number of functions and cards, in one run: a table. One core; seconds
// are of its time for this program, whatever else the machine does.
//
//   warm/s    a request to a warm function: arrival, dispatch, end
//   grow/s    as many requests as there are cards, at once, spread over the functions: each starts
//             an instance; then it is ready, and serves
//   full/s    every card has a busy instance, spread over the functions: one crashes, its caller
//             comes again and gets another, which starts and serves
//   place/s   a request to a sleeping one on a fleet full of idle instances: evict, place, start,
//             ready, serve
//   line/s    all cards busy and as many functions waiting as there are (100,000 at most): a
//   request
//             ends, its card goes to the neediest function, which starts, serves and waits again
//   B/asleep  memory of a function that was deployed / that was called once and sleeps again

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include <malloc.h>

#include "planner/planner.h"

namespace okibi {
namespace {

using namespace planner;

double cpuSeconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

constexpr std::uint64_t kWaitersMost = 100'000;
constexpr double kMeasured = 0.5;  // seconds
constexpr Bytes kCard = Bytes::gib(16);
constexpr std::size_t kAccounts = 100;
constexpr std::uint64_t kGrowLeast = 100;  // fewer are over too soon to be measured

std::size_t heapBytes() {
  return mallinfo2().uordblks;
}

class Bench {
 public:
  Bench(std::uint64_t functions, std::uint64_t cards, Duration idle)
      : functions_(functions), cards_(cards), planner_(config()) {
    for (std::uint64_t i = 1; i <= cards; ++i) {
      step(CardAdded{{CardId(i), "SIM", "T", kCard, CardOrigin::Simulated}});
    }
    const std::size_t before = heapBytes();
    for (std::uint64_t i = 1; i <= functions; ++i) step(FunctionAdded{planOf(i, idle), {}});
    deployedBytes_ = static_cast<double>(heapBytes() - before) / static_cast<double>(functions);
    before_ = before;
  }

  double deployedBytes() const { return deployedBytes_; }

  double warm() {
    serve(FunctionKey(functions_));
    return perSecond([this] {
      arrive(FunctionKey(functions_));
      end(invocation_);
    });
  }

  double place() {
    const std::uint64_t resident = std::min(functions_, cards_);
    std::uint64_t next = 0;
    for (; next < resident; ++next) serve(FunctionKey(next + 1));
    std::uint64_t oldest = instance_ - resident;
    return perSecond([&] {
      // Where everybody has a card already, one loses its instance first.
      if (functions_ <= cards_) step(InstanceGone{InstanceId(++oldest), {}});
      const FunctionKey key(next++ % functions_ + 1);
      arrive(key);
      if (functions_ > cards_) step(InstanceGone{InstanceId(++oldest), {}});
      step(InstanceReady{InstanceId(++instance_)});
      end(invocation_);
    });
  }

  double grow() {
    const double begin = cpuSeconds();
    for (std::uint64_t i = 0; i < cards_; ++i) arrive(FunctionKey(i % functions_ + 1));
    for (std::uint64_t i = 0; i < cards_; ++i) step(InstanceReady{InstanceId(++instance_)});
    if (cards_ < kGrowLeast) return 0;
    return static_cast<double>(cards_) / (cpuSeconds() - begin);
  }

  // After grow().
  double full() {
    std::uint64_t oldest = 0;
    return perSecond([&] {
      step(InstanceGone{InstanceId(++oldest), {ErrorKind::Internal, "crashed", {}}});
      arrive(FunctionKey(oldest % functions_ + 1));
      step(InstanceReady{InstanceId(++instance_)});
    });
  }

  double line() {
    const std::uint64_t waiters = std::min(functions_, cards_ + kWaitersMost);
    if (waiters <= cards_) return 0;
    tracks_ = true;
    for (std::uint64_t i = 1; i <= waiters; ++i) {
      arrive(FunctionKey(i));
      if (i > cards_) continue;
      step(InstanceReady{InstanceId(++instance_)});
      busy_.emplace_back(invocation_, InstanceId(instance_));
    }
    return perSecond([this] {
      const auto [invocation, instance] = busy_.front();
      busy_.pop_front();
      end(invocation);  // idle: it makes room for who is next in line
      step(InstanceGone{instance, {}});
      step(InstanceReady{InstanceId(++instance_)});
      busy_.emplace_back(served_, InstanceId(instance_));
      arrive(servedFunction(served_));
    });
  }

  // All that were served have gone to sleep again.
  double sleptBytes(std::uint64_t called) {
    for (std::uint64_t i = 1; i <= called; ++i) {
      serve(FunctionKey(i));
      now_ += std::chrono::seconds(2);
      step(TimerFired{});
      step(InstanceGone{InstanceId(instance_), {}});
    }
    return static_cast<double>(heapBytes() - before_) / static_cast<double>(functions_);
  }

 private:
  static PlannerConfig config() {
    PlannerConfig config;
    config.cardQuota = config.instanceQuota = 100'000'000;
    config.startBurst = 0;
    config.queuePerFunction = 100'000'000;
    config.yieldAfter = std::chrono::hours(24);
    return config;
  }
  static FunctionPlan planOf(std::uint64_t key, Duration idle) {
    FunctionPlan plan;
    plan.key = FunctionKey(key);
    plan.account = "a" + std::to_string(key % kAccounts);
    plan.name = "f" + std::to_string(key);
    plan.gpu = GpuConfig{"T", kCard};
    plan.idleTimeout = idle;
    plan.freezeAfter = std::nullopt;
    return plan;
  }

  void step(const Event& event) {
    commands_.clear();
    planner_.step(now_, event, commands_);
    for (const Command& command : commands_) {
      if (const auto* dispatch = std::get_if<Dispatch>(&command)) served_ = dispatch->invocation;
    }
  }
  void arrive(FunctionKey key) {
    now_ += std::chrono::microseconds(1);
    step(InvocationArrived{InvocationId(++invocation_), key, now_ + std::chrono::hours(1000)});
    if (!tracks_) return;
    if (functionOf_.size() < invocation_ + 1) functionOf_.resize(invocation_ * 2 + 2);
    functionOf_[invocation_] = key;
  }
  FunctionKey servedFunction(InvocationId id) const { return functionOf_[id.value()]; }
  void end(std::uint64_t invocation) { end(InvocationId(invocation)); }
  void end(InvocationId invocation) { step(InvocationEnded{invocation, Outcome::Completed}); }
  void serve(FunctionKey key) {
    arrive(key);
    step(InstanceReady{InstanceId(++instance_)});
    end(invocation_);
  }

  template <typename F>
  double perSecond(F once) {
    std::uint64_t count = 0;
    const double begin = cpuSeconds();
    double passed = 0;
    do {
      for (int i = 0; i < 100; ++i) once();
      count += 100;
      passed = cpuSeconds() - begin;
    } while (passed < kMeasured);
    return static_cast<double>(count) / passed;
  }

  const std::uint64_t functions_, cards_;
  Planner planner_;
  Instant now_{};
  std::vector<Command> commands_;
  std::uint64_t invocation_ = 0, instance_ = 0;
  InvocationId served_;
  bool tracks_ = false;
  std::vector<FunctionKey> functionOf_;  // by invocation, while it tracks
  std::deque<std::pair<InvocationId, InstanceId>> busy_;
  double deployedBytes_ = 0;
  std::size_t before_ = 0;
};

void row(std::uint64_t functions, std::uint64_t cards) {
  constexpr Duration kLong = std::chrono::hours(1000);
  Bench warm(functions, cards, kLong);
  const double warmRate = warm.warm();
  const double deployed = warm.deployedBytes();
  const double placeRate = Bench(functions, cards, kLong).place();
  Bench many(functions, cards, kLong);
  const double growRate = many.grow();
  const double fullRate = many.full();
  const double lineRate = Bench(functions, cards, kLong).line();
  const double slept = Bench(functions, cards, std::chrono::seconds(1)).sleptBytes(functions);
  std::printf("%9llu  %6llu  %11.0f  %9.0f  %9.0f  %9.0f  %9.0f  %5.0f / %.0f\n",
              static_cast<unsigned long long>(functions), static_cast<unsigned long long>(cards),
              warmRate, placeRate, growRate, fullRate, lineRate, deployed, slept);
  std::fflush(stdout);
}

}  // namespace
}  // namespace okibi

// Without arguments the whole table; FUNCTIONS CARDS: that row.
int main(int argc, char** argv) {
  std::printf(
      "functions   cards       warm/s    place/s     grow/s     full/s     line/s  B/asleep\n");
  if (argc == 3) {
    okibi::row(std::stoull(argv[1]), std::stoull(argv[2]));
    return 0;
  }
  for (const std::uint64_t functions : {1, 100, 10'000, 1'000'000}) {
    for (const std::uint64_t cards : {1, 100, 10'000}) okibi::row(functions, cards);
  }
}
