#include "launcher/slot_pool.h"

#include <signal.h>
#include <unistd.h>

#include "launcher/stub.h"
#include "runtime/protocol_fields.h"

namespace okibi::launcher {

namespace {

constexpr std::int64_t kRemoveEveryNs = 1'000'000;
constexpr int kRemoveAttempts = 5'000;

}  // namespace

SlotPool::SlotPool(Reactor& reactor, const Machine& machine, std::string run, Options options,
                   std::function<void()> onReady, std::function<void(Failure)> onFailure)
    : reactor_(reactor),
      machine_(machine),
      run_(std::move(run)),
      options_(options),
      onReady_(std::move(onReady)),
      onFailure_(std::move(onFailure)) {}

std::shared_ptr<Slot> SlotPool::take() {
  if (ready_.empty()) return nullptr;
  std::shared_ptr<Slot> slot = std::move(ready_.front());
  ready_.erase(ready_.begin());
  return slot;
}

void SlotPool::provideFor(int waiting) {
  int wanted = options_.ready + waiting;
  while (static_cast<int>(ready_.size()) + preparing_ < wanted && preparing_ < options_.preparing) {
    if (Status started = prepare(); !started) {
      onFailure_(std::move(started.error()));
      return;
    }
  }
}

Status SlotPool::prepare() {
  auto slot = std::make_shared<Slot>();
  slot->name = "s-" + std::to_string(nextName_++);
  Outcome<CgroupSet> cgroups = CgroupSet::create(machine_.cgroups, run_, slot->name);
  if (!cgroups) return named("cgroup", cgroups.error());
  slot->cgroups = std::move(*cgroups);
  Outcome<CgroupFiles> files = slot->cgroups.openFiles();
  if (!files) return named("cgroup", files.error());
  slot->files = std::move(*files);
  Outcome<SocketPair> pair = makeSocketPair();
  if (!pair) return named("stub", pair.error());
  int pid = fork();
  if (pid < 0) return named("stub", Failure{"", errno, "fork"});
  if (pid == 0) runStub(machine_, slot->cgroups, std::move(pair->theirs));
  slot->stub = std::move(pair->ours);
  slot->stubPid = pid;
  ++preparing_;
  reactor_.onChildEnd(pid, [slot](int) { slot->stubEnded = true; });
  reactor_.watch(slot->stub.get(), [this, slot] { onParked(slot); });
  return {};
}

void SlotPool::onParked(std::shared_ptr<Slot> slot) {
  reactor_.unwatch(slot->stub.get());
  --preparing_;
  StubReport report;
  Result<runtime::Packet> packet = runtime::receivePacket(slot->stub.get());
  if (!packet || packet->endOfStream || !runtime::wire::decodeFields(packet->bytes, report)) {
    report.failure = Failure{"stub", 0, "ended while it was prepared"};
  }
  std::vector<Fd> fds;
  if (packet) {
    for (int fd : packet->fds) fds.emplace_back(fd);
  }
  if (report.failure.step.empty() && fds.size() != 1 + kSocketsAhead) {
    report.failure = Failure{"stub", 0, "came without its descriptors"};
  }
  if (!report.failure.step.empty()) {
    release(slot, [] {});
    onFailure_(std::move(report.failure));
    return;
  }
  slot->netns = std::move(fds[0]);
  for (std::size_t i = 1; i < fds.size(); ++i) slot->sockets.push_back(std::move(fds[i]));
  ready_.push_back(slot);
  onReady_();
}

void SlotPool::release(std::shared_ptr<Slot> slot, std::function<void()> done) {
  if (slot->stub) reactor_.unwatch(slot->stub.get());
  slot->stub.reset();
  slot->netns.reset();
  slot->sockets.clear();
  slot->files = CgroupFiles();
  if (!slot->stubEnded) kill(slot->stubPid, SIGKILL);
  slot->cgroups.killAll();
  removeGroups(std::move(slot), std::move(done), 0);
}

void SlotPool::removeGroups(std::shared_ptr<Slot> slot, std::function<void()> done, int attempt) {
  if (slot->cgroups.remove()) return done();
  if (attempt == kRemoveAttempts) {
    logLine("gives up on removing the cgroups of slot " + slot->name);
    return done();
  }
  slot->cgroups.killAll();
  reactor_.after(kRemoveEveryNs, [this, slot, done = std::move(done), attempt] {
    removeGroups(slot, done, attempt + 1);
  });
}

}  // namespace okibi::launcher
