// Steps per second of the planner, alone on one core.

#include <benchmark/benchmark.h>

#include "planner/planner.h"

namespace okibi::planner {
namespace {

FunctionPlan planOf(std::uint64_t key) {
  FunctionPlan plan;
  plan.key = FunctionKey(key);
  plan.account = "a";
  plan.name = "f";
  plan.gpu = GpuConfig{"fc.gpu.tesla.1", Bytes::gib(16)};
  return plan;
}

// One warm request: arrival, dispatch, end.
void warmDispatch(benchmark::State& state) {
  Planner planner;
  std::vector<Command> commands;
  planner.step(Instant(), CardAdded{{CardId(1), "SIM-0", "fc.gpu.tesla.1", Bytes::gib(16)}},
               commands);
  for (std::int64_t i = 1; i <= state.range(0); ++i) {
    planner.step(Instant(), FunctionAdded{planOf(static_cast<std::uint64_t>(i)), std::nullopt},
                 commands);
  }
  const FunctionKey function(static_cast<std::uint64_t>(state.range(0)));
  std::uint64_t invocation = 1;
  Instant now{};
  planner.step(now, InvocationArrived{InvocationId(invocation), function, now + 60s}, commands);
  planner.step(now, InstanceReady{InstanceId(1)}, commands);
  planner.step(now, InvocationEnded{InvocationId(invocation), Outcome::Completed}, commands);
  for (auto _ : state) {
    commands.clear();
    now += 1us;
    ++invocation;
    planner.step(now, InvocationArrived{InvocationId(invocation), function, now + 60s}, commands);
    planner.step(now, InvocationEnded{InvocationId(invocation), Outcome::Completed}, commands);
    benchmark::DoNotOptimize(commands.data());
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(warmDispatch)->Arg(1)->Arg(100)->Arg(10'000)->Arg(1'000'000);

// One cold request on a fleet that is full of idle instances: evict, place, start, serve.
void evictAndPlace(benchmark::State& state) {
  PlannerConfig config;
  config.cardQuota = config.instanceQuota = 1'000'000;
  Planner planner(config);
  std::vector<Command> commands;
  Instant now{};
  const auto cards = static_cast<std::uint64_t>(state.range(0));
  std::uint64_t invocation = 0, instance = 0, function = 0;
  const auto serve = [&](std::uint64_t key, bool evicts) {
    now += 1us;
    planner.step(now, InvocationArrived{InvocationId(++invocation), FunctionKey(key), now + 60s},
                 commands);
    ++instance;
    if (evicts) planner.step(now, InstanceGone{InstanceId(instance - cards), {}}, commands);
    planner.step(now, InstanceReady{InstanceId(instance)}, commands);
    planner.step(now, InvocationEnded{InvocationId(invocation), Outcome::Completed}, commands);
    commands.clear();
  };
  for (std::uint64_t i = 1; i <= cards; ++i) {
    planner.step(now, CardAdded{{CardId(i), "SIM", "fc.gpu.tesla.1", Bytes::gib(16)}}, commands);
  }
  for (std::uint64_t i = 1; i <= 2 * cards; ++i) {
    planner.step(now, FunctionAdded{planOf(i), std::nullopt}, commands);
  }
  for (std::uint64_t i = 1; i <= cards; ++i) serve(i, false);
  function = cards;
  for (auto _ : state) {
    function = function % (2 * cards) + 1;
    serve(function, true);
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(evictAndPlace)->Arg(10)->Arg(1'000)->Arg(10'000);

}  // namespace
}  // namespace okibi::planner

BENCHMARK_MAIN();
