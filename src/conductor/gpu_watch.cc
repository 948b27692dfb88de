// The driver's news of cards, a few times a second: who uses them, which failed, who holds more
// than its slice. What follows for placement is the planner's.

#include <algorithm>

#include <fmt/format.h>

#include "base/log.h"
#include "conductor/clock.h"
#include "conductor/conductor.h"
#include "conductor/start_plan.h"

namespace okibi::conductor {
namespace {

constexpr Duration kBetweenSamples = 400ms;
constexpr int kEventsAtOnce = 16;
constexpr Duration kSilent = 10s;  // a driver that says nothing for so long is in trouble

struct GpuNews {
  Result<seams::GpuUse> use;
  std::vector<seams::GpuEvent> events;
  std::optional<Error> noMoreEvents;
  std::vector<Result<void>> caps;  // as they were wanted
};

enum class Listen { Yes, No };

// On a worker thread: the driver may take its time.
GpuNews ask(seams::GpuInventory& inventory, Listen listen, const std::vector<WantedCap>& caps) {
  std::vector<Result<void>> capped;
  for (const WantedCap& cap : caps) {
    capped.push_back(inventory.capMemory(cap.card, cap.pid, cap.limit));
  }
  GpuNews news{inventory.use(), {}, std::nullopt, std::move(capped)};
  for (int i = 0; listen == Listen::Yes && i < kEventsAtOnce; ++i) {
    auto event = inventory.waitForEvent(Duration::zero());
    if (!event) news.noMoreEvents = event.error();
    if (!event || !*event) break;
    news.events.push_back(std::move(**event));
  }
  return news;
}

bool isAlive(const Instance& instance) {
  return instance.phase == InstancePhase::Starting || instance.phase == InstancePhase::Serving;
}

}  // namespace

void Conductor::useCards(seams::GpuInventory& inventory, seams::CardGiver* giver, Bytes allowance) {
  gpus_ = &inventory;
  cardGiver_ = giver;
  gpuWatchdog_ = GpuWatchdog(allowance);
  gpuAllowance_ = allowance;
  const auto& cards = inventory.describe().cards;
  const bool real = std::ranges::any_of(cards, [](const seams::CardFacts& facts) {
    return facts.card.origin == CardOrigin::Physical;
  });
  if (real) loop_.spawn(followGpus());
}

Result<void> Conductor::giveCard(const Instance& instance, seams::InstanceSpec& spec) {
  if (!instance.slice || cardGiver_ == nullptr) return {};
  auto edits = cardGiver_->give(instance.slice->card, instance.name, instance.slice->memory);
  if (!edits) {
    return fail(withContext(edits.error(), "The function cannot be started: its GPU"));
  }
  giveDevices(spec, std::move(*edits));
  return {};
}

// Its processes exist from now on.
void Conductor::watchCard(Instance& instance) {
  if (!instance.slice || gpus_ == nullptr) return;
  const auto pid = runtime_.pidOf(instance.id);
  if (!pid) return;
  instance.cgroup = gpus_->cgroupOf(*pid);
  gpuCaps_.push_back(
      {instance.id, instance.slice->card, *pid, instance.slice->memory + gpuAllowance_});
}

// One question at a time, and no start waits for an answer: a driver that hangs holds one worker,
// not all of them.
net::Task<void> Conductor::followGpus() {
  auto listen = Listen::Yes;
  for (;;) {
    std::vector<WantedCap> caps = std::exchange(gpuCaps_, {});
    std::erase_if(caps, [&](const WantedCap& cap) { return !instances_.contains(cap.instance); });
    driverAsked_ = loop_.now();
    GpuNews news = co_await loop_.offload([&] { return ask(*gpus_, listen, caps); });
    driverAsked_.reset();
    if (std::exchange(driverSilence_, DriverSilence::None) != DriverSilence::None) {
      log::warning("driver answers again", "cards={}", gpus_->describe().cards.size());
    }
    for (std::size_t i = 0; i < caps.size(); ++i) onCapped(caps[i], news.caps[i]);
    for (const seams::GpuEvent& event : news.events) onGpuEvent(event);
    if (news.noMoreEvents) {
      log::warning("no card events", "error=\"{}\"", news.noMoreEvents->message);
      listen = Listen::No;
    }
    if (news.use) {
      gpuUse_ = std::move(*news.use);
      checkSlices();
    } else {
      log::warning("card use unknown", "error=\"{}\"", news.use.error().message);
    }
    co_await loop_.sleep(kBetweenSamples);
  }
}

void Conductor::noteSilentDriver() {
  if (!driverAsked_ || loop_.now() - *driverAsked_ < kSilent) return;
  if (std::exchange(driverSilence_, DriverSilence::Told) == DriverSilence::Told) return;
  log::error("driver does not answer", "asked_s_ago={} effect=\"slices are not watched\"",
             std::chrono::floor<std::chrono::seconds>(loop_.now() - *driverAsked_).count());
}

void Conductor::onCapped(const WantedCap& wanted, const Result<void>& capped) {
  if (capped) {
    if (uncapped_.erase(wanted.card) > 0) {
      log::info("driver holds slices", "card={}", wanted.card.value());
    }
    const auto found = instances_.find(wanted.instance);
    if (found != instances_.end()) found->second->driverLimit = wanted.limit;
    return;
  }
  // Once for each card and reason, not for each instance.
  std::string& known = uncapped_[wanted.card];
  if (known == capped.error().message) return;
  known = capped.error().message;
  log::info("driver holds no slices", "card={} reason=\"{}\"", wanted.card.value(), known);
}

void Conductor::checkSlices() {
  std::vector<SliceHolder> holders;
  for (const auto& [id, instance] : instances_) {
    if (!instance->slice || !isAlive(*instance)) continue;
    holders.push_back({id, instance->slice->memory, instance->cgroup});
  }
  for (const Excess& excess : gpuWatchdog_.sample(gpuUse_, holders)) {
    const std::shared_ptr<Instance> instance = instances_.at(excess.instance);
    endFor(instance,
           {ErrorKind::Unavailable,
            fmt::format("Function instance exceeded its GPU memory: gpuMemorySize is {} MB, the "
                        "driver reports {} MB ({} MB allowed with overhead)",
                        instance->slice->memory.wholeMib(), excess.used.wholeMib(),
                        excess.allowed.wholeMib()),
            "FunctionOOMError"},
           "exceeded its GPU memory");
  }
}

void Conductor::onGpuEvent(const seams::GpuEvent& event) {
  log::error("card event", "card={} event=\"{}\"", event.card.value(), event.text);
  if (!event.card.valid()) return;
  if (event.consequence == seams::Consequence::TakeCardOut) takeCardOut(event.card, event.text);
  if (event.consequence != seams::Consequence::EndInstance) return;
  if (const auto instance = atFault(event)) {
    endFor(instance,
           {ErrorKind::Unavailable, "The instance's work on its GPU failed: " + event.text,
            "FunctionUnhandledError"},
           "fault on its GPU");
  }
}

// The driver has ended the work of whoever failed already; neighbours on the card are not to pay
// for it. Where it does not say who it was, it can only be the one that is alone there.
std::shared_ptr<Instance> Conductor::atFault(const seams::GpuEvent& event) const {
  const std::string cgroup = event.pid == 0 ? std::string() : cgroupOf(event.pid);
  std::vector<std::shared_ptr<Instance>> there;
  for (const auto& [id, instance] : instances_) {
    if (!instance->slice || instance->slice->card != event.card || !isAlive(*instance)) continue;
    if (event.pid == 0 || isWithin(cgroup, instance->cgroup)) there.push_back(instance);
  }
  return there.size() == 1 ? there.front() : nullptr;
}

// Of a process that may be gone by now, as a crash of the application would leave it.
std::string Conductor::cgroupOf(int pid) const {
  std::string cgroup = gpus_->cgroupOf(pid);
  if (!cgroup.empty()) return cgroup;
  const auto seen = std::ranges::find(gpuUse_.processes, pid, &seams::ProcessUse::pid);
  return seen == gpuUse_.processes.end() ? std::string() : seen->cgroup;
}

void Conductor::takeCardOut(CardId card, const std::string& reason) {
  if (!cardsOut_.emplace(card, reason).second) return;
  log::error("card taken out", "card={} reason=\"{}\"", card.value(), reason);
  step(planner::CardLost{card});
}

void Conductor::endFor(std::shared_ptr<Instance> instance, Error error, std::string word) {
  if (instance->endReason) return;
  log::warning("instance ended", "instance={} function={} reason=\"{}\"", instance->name,
               instance->revision->ref.name, error.message);
  instance->endReason = std::move(error);
  instance->endWord = std::move(word);
  // No new request goes there while it dies; those it has are answered when it is gone.
  step(planner::InstanceHealthChanged{instance->id, planner::Health::Unhealthy});
  loop_.spawn(runtime_.stop(instance->id, Duration::zero()));
}

std::vector<CardStatus> Conductor::cards() const {
  std::vector<CardStatus> list;
  for (const Card& card : settings_.cards) {
    CardStatus status;
    status.card = card;
    for (const planner::CardView& view : planner_.cards()) {
      if (view.id != card.id) continue;
      status.used = view.used;
      status.slices = view.slices;
    }
    if (const auto out = cardsOut_.find(card.id); out != cardsOut_.end()) status.out = out->second;
    if (gpus_ != nullptr) {
      const auto& facts = gpus_->describe().cards;
      const auto found = std::ranges::find_if(
          facts, [&](const seams::CardFacts& one) { return one.card.id == card.id; });
      if (found != facts.end()) status.facts = *found;
    }
    const auto use = std::ranges::find(gpuUse_.cards, card.id, &seams::CardUse::card);
    if (use != gpuUse_.cards.end()) status.use = *use;
    for (const auto& [id, instance] : instances_) {
      if (!instance->slice || instance->slice->card != card.id) continue;
      status.holders.push_back({instance->name, instance->revision->ref, instance->slice->memory,
                                usedWithin(gpuUse_, instance->cgroup), instance->driverLimit});
    }
    list.push_back(std::move(status));
  }
  return list;
}

std::string Conductor::driverVersion() const {
  return gpus_ == nullptr ? "" : gpus_->describe().driverVersion;
}

}  // namespace okibi::conductor
