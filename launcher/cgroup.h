#pragma once
// Control groups, version 1, version 2 and the hybrid of both, found per controller.
//
// Layout, in each hierarchy in use, below the daemon's own group (at the root where that cannot
// hold children): okibi-<hash of the state directory>/r-<run>/<slot>. A run is one life of the
// launcher, so that whoever sweeps the remnants of earlier runs never meets the groups of the
// present one. Processes enter a group only by being born in it or, off the request's path, by
// parking a stub in it: writing cgroup.procs waits for an RCU grace period (10 ms).

#include <cstdint>
#include <string>
#include <vector>

#include "launcher/sys.h"

namespace okibi::launcher {

enum class Controller { Cpu, CpuAccounting, Memory, Pids, Freezer };
inline constexpr int kControllers = 5;

struct Hierarchy {
  std::string base;                     // directory in which okibi-<hash> is made
  std::vector<Controller> controllers;  // that are used from it
};

struct CgroupLayout {
  std::vector<Hierarchy> v1;
  std::string v2;                         // base directory; empty: not mounted
  std::vector<Controller> v2Controllers;  // the freezer is among them wherever v2 is mounted
  std::string v2Mount;

  bool has(Controller controller) const;
  bool onV2(Controller controller) const;
  std::vector<std::string> bases() const;  // v1 and v2
};
// Reads /proc/self/mountinfo and /proc/self/cgroup; changes nothing.
Outcome<CgroupLayout> detectCgroups();

struct ResourceLimits {
  std::uint64_t memory = 0;  // bytes
  std::uint32_t milliCpu = 0, pids = 0;
};

// The files the daemon reads and writes itself, opened ahead.
struct CgroupFiles {
  Fd freezeControl, freezeState, memoryNow, memoryPeak, cpuUse;
};

// The groups of one slot, one per hierarchy.
class CgroupSet {
 public:
  // Makes them under `run` ("okibi-…/r-…"), which openRun() has made.
  static Outcome<CgroupSet> create(const CgroupLayout& layout, const std::string& run,
                                   const std::string& name);

  // Before the first process. REQUIRES: a controller for each limit.
  Status setLimits(const ResourceLimits& limits) const;
  Outcome<CgroupFiles> openFiles() const;
  // Puts the calling process into the v1 groups. 10 ms.
  Status enterV1() const;
  // O_PATH descriptor for CLONE_INTO_CGROUP; none where v2 is not mounted.
  Outcome<Fd> openV2() const;

  bool freezesOnV2() const { return layout_->onV2(Controller::Freezer); }
  // True when the memory limit has killed something.
  bool outOfMemory() const;
  void thaw() const;
  // SIGKILL to everything inside, frozen or not.
  void killAll() const;
  // False while something inside still keeps a directory busy.
  bool remove() const;

 private:
  std::string fileOf(Controller controller, const std::string& v1Name,
                     const std::string& v2Name) const;

  const CgroupLayout* layout_ = nullptr;
  std::vector<std::string> v1_;  // in the layout's order
  std::string v2_;
};

// Makes okibi-<hash>/r-<run> everywhere and switches the v2 controllers on along the way.
Status openRun(const CgroupLayout& layout, const std::string& top, const std::string& run);
// Kills and removes everything of `top` but the run `keep` (empty: everything).
void sweepRuns(const CgroupLayout& layout, const std::string& top, const std::string& keep);
// Kills and removes one run.
void sweepRun(const CgroupLayout& layout, const std::string& top, const std::string& run);

std::string_view nameOf(Controller controller);

}  // namespace okibi::launcher
