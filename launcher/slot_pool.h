#pragma once
// Slots made ahead: cgroups, a network namespace, and a stub parked in both. A slot serves one
// instance and is then taken apart; nothing of it is used again.

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "launcher/cgroup.h"
#include "launcher/launch.h"
#include "launcher/reactor.h"

namespace okibi::launcher {

struct Slot {
  std::string name;
  CgroupSet cgroups;
  CgroupFiles files;
  Fd netns;
  std::vector<Fd> sockets;  // unconnected, inside netns
  Fd stub;                  // talk with the stub, silent until it gets an order
  int stubPid = 0;
  bool stubEnded = false;
};

class SlotPool {
 public:
  struct Options {
    int ready = 4;      // kept waiting
    int preparing = 8;  // made at the same time
  };
  // `onReady`: a slot waits. `onFailure`: one could not be made.
  SlotPool(Reactor& reactor, const Machine& machine, std::string run, Options options,
           std::function<void()> onReady, std::function<void(Failure)> onFailure);

  // Null when none waits.
  std::shared_ptr<Slot> take();
  // Makes as many as `waiting` starts need beyond what is being made.
  void provideFor(int waiting);
  // Fills up to the number kept ready.
  void refill() { provideFor(0); }
  // Kills what is left in it and takes it apart; `done` when no cgroup of it exists.
  void release(std::shared_ptr<Slot> slot, std::function<void()> done);

 private:
  Status prepare();
  void onParked(std::shared_ptr<Slot> slot);  // by value: unwatching drops the caller's reference
  void removeGroups(std::shared_ptr<Slot> slot, std::function<void()> done, int attempt);

  Reactor& reactor_;
  const Machine& machine_;
  std::string run_;
  Options options_;
  std::function<void()> onReady_;
  std::function<void(Failure)> onFailure_;
  std::vector<std::shared_ptr<Slot>> ready_;
  int preparing_ = 0;
  std::uint64_t nextName_ = 1;
};

}  // namespace okibi::launcher
