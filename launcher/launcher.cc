#include "launcher/launcher.h"

#include <algorithm>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launcher/init.h"
#include "launcher/netns.h"
#include "launcher/stub.h"
#include "runtime/protocol_fields.h"

namespace okibi::launcher {

namespace {

// Refilling competes with the start that made it necessary; it waits until that is likely over.
constexpr std::int64_t kRefillDelayNs = 20'000'000;
constexpr std::uint64_t kUsualDisk = 512ULL << 20;  // Function Compute's default disk size

void closeAll(std::vector<Fd>& fds) {
  fds.clear();
}

bool readable(const Fd& fd) {
  pollfd wait{fd.get(), POLLIN, 0};
  return poll(&wait, 1, 0) > 0;
}

}  // namespace

Launcher::Launcher(const Machine& machine, LauncherOptions options, std::string run, Fd daemon)
    : options_(std::move(options)),
      daemon_(std::move(daemon)),
      slots_(
          reactor_, machine, std::move(run), {.ready = options_.readySlots},
          [this] { admitWaiting(); }, [this](const Failure& f) { failWaiting(f, 0); }),
      disks_(
          reactor_, options_.directory, {.ready = options_.readyDisks}, [this] { admitWaiting(); },
          [this](std::uint64_t bytes, const Failure& f) { failWaiting(f, bytes); }) {}

Status Launcher::run() {
  if (Status started = reactor_.start([this] { ended_ = true; }); !started) return started;
  Outcome<Fd> home = netns::openOwn();
  if (!home) return std::unexpected(home.error());
  homeNetns_ = std::move(*home);
  // The daemon may stop reading for a while (a debugger, a slow disk); waiting for it here is
  // right: nothing may be lost. It never waits for us while it holds its end full.
  reactor_.watch(daemon_.get(), [this] { onDaemon(); });
  slots_.refill();
  if (options_.readyDisks > 0) disks_.provideFor(kUsualDisk, 0);
  reply(runtime::Ready{});
  while (!ended_) reactor_.turn();
  return {};
}

void Launcher::reply(const runtime::Reply& message, std::span<const int> fds) {
  if (!runtime::sendPacket(daemon_.get(), runtime::encode(message), fds)) ended_ = true;
}

void Launcher::onDaemon() {
  Result<runtime::Packet> packet = runtime::receivePacket(daemon_.get());
  if (!packet) {
    logLine("from the daemon: " + packet.error().message);
    return;
  }
  if (packet->endOfStream) {
    ended_ = true;
    return;
  }
  std::vector<Fd> fds;
  for (int fd : packet->fds) fds.emplace_back(fd);
  Result<runtime::Request> request = runtime::decodeRequest(packet->bytes);
  if (!request) {
    // The daemon checks before it sends; a request that fails here is not one of its own.
    logLine("refuses a request: " + request.error().message);
    return;
  }
  std::visit([&](auto& message) { handle(message, fds); }, *request);
}

void Launcher::handle(runtime::StartRequest& request, std::vector<Fd>& fds) {
  std::uint64_t id = request.id;
  if (fds.size() != 3 || instances_.contains(id)) {
    return reply(
        runtime::StartFailed{id, {"request", 0, "descriptors are missing, or the id is in use"}});
  }
  if (request.disk < disk::kSmallest) {
    return reply(runtime::StartFailed{id, {"disk", 0, "the disk size is below 2 MB"}});
  }
  auto instance = std::make_shared<Instance>();
  instance->request = std::move(request);
  instance->ends = {std::move(fds[0]), std::move(fds[1]), std::move(fds[2]), Fd()};
  instances_[id] = instance;
  waiting_.push_back(instance);
  admitWaiting();
}

// In order of arrival, but a start whose disk is not ready does not hold up the others.
void Launcher::admitWaiting() {
  for (auto it = waiting_.begin(); it != waiting_.end();) {
    Shared instance = *it;
    if (!instance->slot) instance->slot = slots_.take();
    if (!instance->disk) instance->disk = disks_.take(instance->request.disk);
    if (!instance->slot || !instance->disk) {
      ++it;
      continue;
    }
    it = waiting_.erase(it);
    if (Status launched = launch(instance); !launched) failStart(instance, launched.error());
  }
  std::map<std::uint64_t, int> disksWanted;
  int slotsWanted = 0;
  for (const Shared& instance : waiting_) {
    slotsWanted += instance->slot ? 0 : 1;
    disksWanted[instance->request.disk] += instance->disk ? 0 : 1;
  }
  if (slotsWanted > 0) slots_.provideFor(slotsWanted);
  for (const auto& [bytes, count] : disksWanted) {
    if (count > 0) disks_.provideFor(bytes, count);
  }
  refillSoon();
}

void Launcher::refillSoon() {
  reactor_.cancel(refillAlarm_);
  refillAlarm_ = reactor_.after(kRefillDelayNs, [this] {
    slots_.refill();
    disks_.refill();
  });
}

Status Launcher::launch(const Shared& instance) {
  const runtime::StartRequest& request = instance->request;
  Status limited =
      instance->slot->cgroups.setLimits({request.memory, request.milliCpu, request.pids});
  if (!limited) return named("cgroup limits", limited.error());
  Outcome<SocketPair> control = makeSocketPair();
  if (!control) return named("stub", control.error());
  LaunchEnds& ends = instance->ends;
  const int fds[] = {ends.status.get(), ends.out.get(), ends.err.get(), control->theirs.get()};
  std::string order = runtime::wire::encodeFields(LaunchOrder{request, *instance->disk});
  Result<void> sent = runtime::sendPacket(instance->slot->stub.get(), order, fds);
  if (!sent) return named("stub", Failure{"", 0, sent.error().message});
  instance->control = std::move(control->ours);
  ends = LaunchEnds();
  // Environments hold secrets; every later stub would inherit a copy.
  instance->request.environment.clear();
  instance->request.arguments.clear();
  reactor_.watch(instance->slot->stub.get(), [this, instance] { onStub(instance); });
  return {};
}

void Launcher::onStub(Shared instance) {
  reactor_.unwatch(instance->slot->stub.get());
  StubReport report;
  Result<runtime::Packet> packet = runtime::receivePacket(instance->slot->stub.get());
  if (!packet || packet->endOfStream || !runtime::wire::decodeFields(packet->bytes, report)) {
    report.failure = Failure{"stub", 0, "ended before it had made the sandbox"};
  }
  std::vector<Fd> fds;
  if (packet) {
    for (int fd : packet->fds) fds.emplace_back(fd);
  }
  if (report.failure.step.empty() && fds.size() != 1) {
    report.failure = Failure{"stub", 0, "reported no descriptor of the sandbox"};
  }
  if (!report.failure.step.empty()) return failStart(instance, report.failure);
  instance->slot->stub.reset();
  instance->initPid = report.initPid;
  announce(instance, fds.front().get());
  reactor_.watch(instance->control.get(), [this, instance] { onControl(instance); });
  reactor_.onChildEnd(instance->initPid,
                      [this, instance](int status) { onInitEnd(instance, status); });
}

void Launcher::announce(const Shared& instance, int pidfd) {
  Slot& slot = *instance->slot;
  std::vector<int> fds(runtime::kLaunchedFds);
  fds[runtime::kFreezeControl] = slot.files.freezeControl.get();
  fds[runtime::kFreezeState] = slot.files.freezeState.get();
  fds[runtime::kMemoryNow] = slot.files.memoryNow.get();
  fds[runtime::kMemoryPeak] = slot.files.memoryPeak.get();
  fds[runtime::kCpuUse] = slot.files.cpuUse.get();
  fds[runtime::kInitPidfd] = pidfd;
  for (const Fd& socket : slot.sockets) fds.push_back(socket.get());
  auto freezer = slot.cgroups.freezesOnV2() ? runtime::FreezerKind::V2 : runtime::FreezerKind::V1;
  auto pid = static_cast<std::uint32_t>(instance->initPid);
  reply(runtime::Launched{instance->request.id, pid, freezer}, fds);
  slot.sockets.clear();
  slot.files = CgroupFiles();
}

void Launcher::failStart(const Shared& instance, Failure failure) {
  instance->ends = LaunchEnds();
  instance->control.reset();
  giveBack(instance, [this, instance, failure = std::move(failure)] {
    instances_.erase(instance->request.id);
    reply(runtime::StartFailed{instance->request.id, failure});
  });
}

// `disk` 0: a slot could not be made. Everybody who waits for the like is told, not left waiting.
void Launcher::failWaiting(const Failure& failure, std::uint64_t disk) {
  logLine("cannot prepare: " + runtime::describe(failure));
  std::vector<Shared> hopeless;
  for (auto it = waiting_.begin(); it != waiting_.end();) {
    bool mine = disk == 0 ? !(*it)->slot : !(*it)->disk && (*it)->request.disk == disk;
    if (mine) hopeless.push_back(*it);
    it = mine ? waiting_.erase(it) : std::next(it);
  }
  for (const Shared& instance : hopeless) failStart(instance, failure);
}

void Launcher::handle(runtime::StopRequest& request, std::vector<Fd>&) {
  auto found = instances_.find(request.id);
  if (found == instances_.end()) return;
  Shared instance = found->second;
  auto waiting = std::find(waiting_.begin(), waiting_.end(), instance);
  if (waiting != waiting_.end()) {
    waiting_.erase(waiting);
    return failStart(instance, Failure{"start", 0, "stopped before it began"});
  }
  instance->slot->cgroups.thaw();
  if (request.graceMilliseconds == 0) return killInstance(instance);
  if (instance->initPid != 0) kill(instance->initPid, SIGTERM);
  reactor_.cancel(instance->killAlarm);
  auto grace =
      static_cast<std::int64_t>(std::min<std::uint64_t>(request.graceMilliseconds, 86'400'000));
  instance->killAlarm =
      reactor_.after(grace * 1'000'000, [this, instance] { killInstance(instance); });
}

void Launcher::killInstance(const Shared& instance) {
  // Before the init is known the stub is killed with the group, and its end of file fails the
  // start.
  instance->slot->cgroups.killAll();
  if (instance->initPid != 0) kill(instance->initPid, SIGKILL);
  if (instance->initPid == 0) kill(instance->slot->stubPid, SIGKILL);
}

void Launcher::handle(runtime::SocketRequest& request, std::vector<Fd>&) {
  auto found = instances_.find(request.id);
  if (found == instances_.end() || !found->second->slot || !found->second->slot->netns) {
    return reply(runtime::SocketReply{request.id, ENOENT});
  }
  Outcome<Fd> socket = netns::makeSocketIn(found->second->slot->netns, homeNetns_);
  if (!socket) return reply(runtime::SocketReply{request.id, socket.error().error});
  int fd = socket->get();
  reply(runtime::SocketReply{request.id, 0}, std::span(&fd, 1));
}

void Launcher::handle(runtime::ExecuteRequest& request, std::vector<Fd>& fds) {
  handToInit(request.id, request, fds, 3);
}

void Launcher::handle(runtime::SessionRequest& request, std::vector<Fd>& fds) {
  const std::size_t wanted = request.terminal ? runtime::kTerminalFds : runtime::kStreamFds;
  handToInit(request.id, request, fds, wanted);
}

// The init starts the program: it is inside of everything that holds the application.
void Launcher::handToInit(std::uint64_t id, const runtime::Request& request, std::vector<Fd>& fds,
                          std::size_t wanted) {
  auto found = instances_.find(id);
  if (found != instances_.end() && found->second->initPid != 0 && fds.size() == wanted) {
    std::vector<int> ends;
    for (const Fd& fd : fds) ends.push_back(fd.get());
    if (runtime::sendPacket(found->second->control.get(), runtime::encode(request), ends)) return;
  }
  // Closing the status pipe unwritten tells the daemon that the command never ran.
  closeAll(fds);
}

void Launcher::handle(runtime::KillRequest& request, std::vector<Fd>&) {
  auto found = instances_.find(request.id);
  if (found == instances_.end() || found->second->initPid == 0) return;
  (void)runtime::sendPacket(found->second->control.get(),
                            runtime::encode(runtime::Request(request)));
}

void Launcher::onControl(Shared instance) {
  Result<runtime::Packet> packet = runtime::receivePacket(instance->control.get());
  if (!packet || packet->endOfStream) return reactor_.unwatch(instance->control.get());
  for (int fd : packet->fds) close(fd);
  InitReport report;
  if (!runtime::wire::decodeFields(packet->bytes, report)) return;
  if (report.execution != 0) {
    return reply(runtime::ExecutionEnded{instance->request.id, report.execution, report.exitCode,
                                         report.signal});
  }
  instance->exitCode = report.exitCode;
  instance->signal = report.signal;
  instance->reported = true;
}

void Launcher::onInitEnd(const Shared& instance, int status) {
  while (!instance->reported && readable(instance->control)) {
    Result<runtime::Packet> packet = runtime::receivePacket(instance->control.get());
    if (!packet || packet->endOfStream) break;
    InitReport report;
    if (!runtime::wire::decodeFields(packet->bytes, report) || report.execution != 0) continue;
    instance->exitCode = report.exitCode;
    instance->signal = report.signal;
    instance->reported = true;
  }
  if (!instance->reported && WIFSIGNALED(status)) {
    instance->signal = static_cast<std::uint32_t>(WTERMSIG(status));
  } else if (!instance->reported) {
    instance->exitCode = static_cast<std::uint32_t>(WEXITSTATUS(status));
  }
  reactor_.cancel(instance->killAlarm);
  reactor_.unwatch(instance->control.get());
  instance->control.reset();
  bool outOfMemory = instance->slot->cgroups.outOfMemory();
  giveBack(instance, [this, instance, outOfMemory] {
    instances_.erase(instance->request.id);
    reply(runtime::Exited{instance->request.id, instance->exitCode, instance->signal, outOfMemory});
  });
}

// The undo of what a start took. `done` when both are gone.
void Launcher::giveBack(const Shared& instance, std::function<void()> done) {
  auto left = std::make_shared<int>(1 + (instance->slot ? 1 : 0) + (instance->disk ? 1 : 0));
  auto oneDone = [left, done = std::move(done)] {
    if (--*left == 0) done();
  };
  if (instance->slot) slots_.release(instance->slot, oneDone);
  if (instance->disk) disks_.release(*instance->disk, oneDone);
  oneDone();
  refillSoon();
}

}  // namespace okibi::launcher
