// Instances that are kept, caps and quotas: from what is configured to what the planner is told.

#include <algorithm>
#include <cmath>
#include <set>

#include <fmt/format.h>

#include "conductor/clock.h"
#include "conductor/conductor.h"

namespace okibi::conductor {
namespace {

using Rest = planner::MinimumChanged::Rest;

// Ready, or resting and quick to come back.
bool isThere(planner::InstanceState state) {
  using planner::InstanceState;
  switch (state) {
    case InstanceState::Ready:
    case InstanceState::Frozen:
    case InstanceState::Parking:
    case InstanceState::Parked:
    case InstanceState::Recalled:
    case InstanceState::Waking:
      return true;
    case InstanceState::Placing:
    case InstanceState::Starting:
    case InstanceState::Initializing:
    case InstanceState::Draining:
    case InstanceState::Stopping:
    case InstanceState::Gone:
      return false;
  }
  return false;
}

// Of what was measured.
class Average {
 public:
  void add(std::optional<double> value) {
    if (!value) return;
    sum_ += *value;
    ++count_;
  }
  std::optional<double> value() const {
    if (count_ == 0) return std::nullopt;
    return sum_ / count_;
  }

 private:
  double sum_ = 0;
  int count_ = 0;
};

Rest restOf(const MinimumConfig& config, const FunctionSpec& spec) {
  const bool running = config.alwaysCpu && (config.alwaysGpu || !spec.gpu);
  return running ? Rest::Running : Rest::Frozen;
}

}  // namespace

std::vector<std::pair<FunctionKey, std::int64_t>> Conductor::keysOf(const ResourceId& id) const {
  std::map<std::string, std::int64_t> shares;
  if (const Alias* alias = catalog_.resources().find<Alias>(id.owner, id.name)) {
    std::int64_t left = TrafficSplit::kWhole;
    for (const auto& [version, weight] : alias->additional) {
      shares[version] = weight;
      left -= weight;
    }
    shares[alias->versionId] = left;
  } else {
    shares[id.name] = TrafficSplit::kWhole;
  }
  std::vector<std::pair<FunctionKey, std::int64_t>> keys;
  for (const auto& [version, share] : shares) {
    const auto found = current_.find({id.owner, version});
    if (found != current_.end()) keys.emplace_back(found->second, share);
  }
  return keys;
}

MinimumLoad Conductor::loadOf(const ResourceId& id) const {
  const auto keys = keysOf(id);
  MinimumLoad load;
  int slots = 0, used = 0;
  Average cpu, gpuMemory;
  for (const planner::InstanceView& view : planner_.instances()) {
    const auto of = std::ranges::find(keys, view.function, &decltype(keys)::value_type::first);
    if (!view.kept || !isThere(view.state) || of == keys.end()) continue;
    ++load.current;
    slots += revisions_.at(view.function)->spec.concurrency;
    used += view.inFlight + view.waitingTurn;
    const auto found = instances_.find(view.id);
    if (found == instances_.end()) continue;
    const Instance& instance = *found->second;
    if (instance.cpuSample) cpu.add(instance.cpuSample->share);
    gpuMemory.add(gpuMemoryShare(instance));
  }
  if (slots > 0) load.utilization = static_cast<double>(used) / slots;
  load.cpu = cpu.value();
  load.gpuMemory = gpuMemory.value();
  return load;
}

void Conductor::sampleCpu() {
  std::set<FunctionKey> followed;
  for (const auto& [id, config] : catalog_.resources().all<MinimumConfig>()) {
    const bool cpu = std::ranges::any_of(
        config->tracking, [](const TrackingPolicy& policy) { return policy.metric == kCpuMetric; });
    if (!cpu) continue;
    for (const auto& [key, share] : keysOf(id)) followed.insert(key);
  }
  if (followed.empty()) return;
  for (const auto& [id, instance] : instances_) {
    if (!followed.contains(instance->revision->key)) continue;
    const auto use = runtime_.resourceUse(id);
    if (!use) continue;
    Instance::CpuSample sample{loop_.now(), use->cpu, std::nullopt};
    const auto& before = instance->cpuSample;
    if (before && sample.at > before->at) {
      const double had = instance->revision->spec.cpu.count / 1000.0 *
                         static_cast<double>((sample.at - before->at).count());
      sample.share = static_cast<double>((sample.used - before->used).count()) / had;
    }
    instance->cpuSample = sample;
  }
}

bool Conductor::measuresGpuMemory() const {
  if (gpus_ == nullptr) return false;
  return std::ranges::any_of(gpus_->describe().cards, [](const seams::CardFacts& facts) {
    return facts.card.origin == CardOrigin::Physical;
  });
}

std::optional<double> Conductor::gpuMemoryShare(const Instance& instance) const {
  if (!instance.slice || instance.cgroup.empty() || !measuresGpuMemory()) return std::nullopt;
  const Bytes used = usedWithin(gpuUse_, instance.cgroup);
  return static_cast<double>(used.count()) / static_cast<double>(instance.slice->memory.count());
}

MinimumStatus Conductor::minimumStatus(const FunctionRef& ref, const std::string& qualifier) const {
  const ResourceId id{ref, qualifier};
  MinimumStatus status;
  // What was asked for once says nothing after it was taken back.
  if (catalog_.resources().find<MinimumConfig>(ref, qualifier) == nullptr) return status;
  status.target = targets_.last(id);
  status.current = loadOf(id).current;
  if (status.current >= status.target) return status;
  for (const auto& [key, share] : keysOf(id)) {
    const auto failed = startErrors_.find(key);
    if (failed != startErrors_.end()) status.error = failed->second;
    const auto view = planner_.function(key);
    if (status.error.empty() && view) status.error = view->waitingFor;
  }
  return status;
}

void Conductor::applyMinimums() {
  std::map<FunctionKey, planner::MinimumChanged> wanted;
  const WallTime now = wallNow();
  for (const auto& [id, config] : catalog_.resources().all<MinimumConfig>()) {
    const int target = targets_.target(id, *config, loadOf(id), now);
    for (const auto& [key, share] : keysOf(id)) {
      // Rounded up: a version that gets requests has an instance for them.
      const double part = static_cast<double>(target) * static_cast<double>(share) /
                          static_cast<double>(TrafficSplit::kWhole);
      planner::MinimumChanged& change = wanted[key];
      change.function = key;
      change.minimum += static_cast<int>(std::ceil(part - 1e-9));
      change.rest = restOf(*config, revisions_.at(key)->spec);
    }
  }
  for (const auto& [key, kept] : kept_) {
    if (revisions_.contains(key)) wanted.try_emplace(key, planner::MinimumChanged{key});
  }
  std::map<FunctionKey, Kept> applied;
  for (const auto& [key, change] : wanted) {
    const Kept kept{change.minimum, change.rest};
    const auto before = kept_.find(key);
    if (before == kept_.end() ? change.minimum > 0 : before->second != kept) step(change);
    if (change.minimum > 0) applied[key] = kept;
  }
  kept_ = std::move(applied);
  meterKept();
}

// A kept instance that idles running is active from its start to its end; one that may rest is idle
// while nothing is on it (Function Compute: billing).
void Conductor::meterKept() {
  for (const planner::InstanceView& view : planner_.instances()) {
    const auto found = instances_.find(view.id);
    if (found == instances_.end()) continue;
    Instance& instance = *found->second;
    const auto kept = kept_.find(view.function);
    const bool here = view.kept && instance.phase == InstancePhase::Serving && kept != kept_.end();
    const bool active = here && kept->second.rest == Rest::Running;
    const bool rests = here && kept->second.rest == Rest::Frozen;
    if (rests != instance.keptIdle) {
      instance.keptIdle = rests;
      const auto& gpu = instance.revision->spec.gpu;
      accounting_.keepIdle(instance.name, gpu ? gpu->type : "", rests, momentNow(loop_));
    }
    if (active && !instance.keeping.valid()) {
      instance.keeping = accounting_.begin(instance.name, ledger::UseKind::Hook, momentNow(loop_));
    } else if (!active && instance.keeping.valid()) {
      accounting_.endHook(std::exchange(instance.keeping, {}), momentNow(loop_));
    }
  }
}

Quotas Conductor::quotas(const std::string& account) const {
  const auto limit = [&](std::string_view name, int otherwise) {
    return static_cast<int>(catalog_.quota(account, name).value_or(otherwise));
  };
  const planner::PlannerConfig& standard = settings_.planner;
  return {limit(kCardQuota, standard.cardQuota), limit(kInstanceQuota, standard.instanceQuota),
          limit(kBurstQuota, standard.startBurst), limit(kGrowthQuota, standard.startGrowth),
          limit(kWeight, 1)};
}

int Conductor::startsUsed(const std::string& account) const {
  for (const planner::AccountView& view : planner_.accounts()) {
    if (view.name == account) return view.startsUsed;
  }
  return 0;
}

void Conductor::applyQuota(const std::string& account) {
  const Quotas now = quotas(account);
  step(planner::QuotaChanged{account, now.cards, now.instances, now.burst, now.growth, now.weight});
}

void Conductor::applyCap(const FunctionRef& ref) {
  const auto* cap = catalog_.resources().find<ConcurrencyCap>(ref);
  std::optional<int> most;
  if (cap != nullptr) most = cap->reserved;
  step(planner::CapChanged{ref.account, ref.name, most});
}

}  // namespace okibi::conductor
