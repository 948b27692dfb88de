#pragma once
// Launcher: the daemon's requests turned into sandboxes. One thread; it never waits for anything
// but the reactor.
//
// A start takes, in this order, each with its undo: a slot (released), a disk (released), the
// limits on the slot's cgroups (they go with them), the order to the stub (the stub is killed with
// the slot). From then on the init exists and ends as every instance ends: reaped, cgroups killed
// and removed, namespace closed, disk unmounted, and only then reported.

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <string>

#include "launcher/disk_pool.h"
#include "launcher/reactor.h"
#include "launcher/slot_pool.h"
#include "runtime/protocol.h"

namespace okibi::launcher {

struct LauncherOptions {
  std::string directory;  // <state directory>/sandbox
  int readySlots = 4, readyDisks = 2;
};

class Launcher {
 public:
  // `daemon`: the talk with the daemon. `run`: "okibi-…/r-…", made.
  Launcher(const Machine& machine, LauncherOptions options, std::string run, Fd daemon);

  // Returns when the daemon is gone or SIGTERM came. The caller sweeps the cgroups.
  Status run();

 private:
  struct Instance {
    runtime::StartRequest request;
    LaunchEnds ends;
    std::shared_ptr<Slot> slot;
    std::optional<std::string> disk;
    Fd control;       // to its init
    int initPid = 0;  // 0: not born yet
    bool stopping = false;
    Reactor::Alarm killAlarm = 0;
    std::uint32_t exitCode = 0, signal = 0;
    bool reported = false;  // the init told how the application ended
  };
  using Shared = std::shared_ptr<Instance>;

  void onDaemon();
  void handle(runtime::StartRequest& request, std::vector<Fd>& fds);
  void handle(runtime::StopRequest& request, std::vector<Fd>& fds);
  void handle(runtime::SocketRequest& request, std::vector<Fd>& fds);
  void handle(runtime::ExecuteRequest& request, std::vector<Fd>& fds);
  void handle(runtime::SessionRequest& request, std::vector<Fd>& fds);
  void handle(runtime::KillRequest& request, std::vector<Fd>& fds);
  void handToInit(std::uint64_t id, const runtime::Request& request, std::vector<Fd>& fds,
                  std::size_t wanted);

  void admitWaiting();
  Status launch(const Shared& instance);
  void onStub(Shared instance);  // by value: unwatching drops the caller's reference
  void announce(const Shared& instance, int pidfd);
  void failStart(const Shared& instance, Failure failure);
  void failWaiting(const Failure& failure, std::uint64_t disk);
  void onControl(Shared instance);
  void killInstance(const Shared& instance);
  void onInitEnd(const Shared& instance, int status);
  void giveBack(const Shared& instance, std::function<void()> done);
  void refillSoon();
  void reply(const runtime::Reply& message, std::span<const int> fds = {});

  LauncherOptions options_;
  Fd daemon_, homeNetns_;
  bool ended_ = false;
  Reactor reactor_;
  SlotPool slots_;
  DiskPool disks_;
  std::map<std::uint64_t, Shared> instances_;
  std::list<Shared> waiting_;  // for a slot or a disk, in order of arrival
  Reactor::Alarm refillAlarm_ = 0;
};

}  // namespace okibi::launcher
