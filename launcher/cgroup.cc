#include "launcher/cgroup.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <sstream>

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

namespace okibi::launcher {

namespace {

constexpr std::array<std::string_view, kControllers> kNames = {"cpu", "cpuacct", "memory", "pids",
                                                               "freezer"};
constexpr std::array<Controller, kControllers> kAll = {Controller::Cpu, Controller::CpuAccounting,
                                                       Controller::Memory, Controller::Pids,
                                                       Controller::Freezer};
constexpr std::uint64_t kCpuPeriodUs = 100'000;

std::vector<std::string> words(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::stringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) {
    if (!part.empty()) parts.push_back(part);
  }
  return parts;
}

bool contains(const std::vector<std::string>& list, std::string_view name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}
bool contains(const std::vector<Controller>& list, Controller controller) {
  return std::find(list.begin(), list.end(), controller) != list.end();
}

struct CgroupMount {
  std::string root, mountPoint;
  std::vector<std::string> options;  // v1: controllers among the super block's options
  bool v2 = false;
};

// "36 25 0:30 /root /mount/point rw - cgroup cgroup rw,memory"
std::vector<CgroupMount> readMounts(const std::string& mountinfo) {
  std::vector<CgroupMount> mounts;
  for (const std::string& line : words(mountinfo, '\n')) {
    std::size_t dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    std::vector<std::string> front = words(line.substr(0, dash), ' ');
    std::vector<std::string> back = words(line.substr(dash + 3), ' ');
    if (front.size() < 5 || back.size() < 3 || !back[0].starts_with("cgroup")) continue;
    mounts.push_back({front[3], front[4], words(back[2], ','), back[0] == "cgroup2"});
  }
  return mounts;
}

// Own path per controller list: "4:memory:/a" gives {"memory", "/a"}, v2 is {"", "/b"}.
std::vector<std::pair<std::string, std::string>> readOwnPaths(const std::string& text) {
  std::vector<std::pair<std::string, std::string>> paths;
  for (const std::string& line : words(text, '\n')) {
    std::size_t first = line.find(':');
    std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    paths.emplace_back(line.substr(first + 1, second - first - 1), line.substr(second + 1));
  }
  return paths;
}

// The directory of our own group in a mount, or its root when that is not visible there.
std::string ownDirectory(const CgroupMount& mount, std::string path) {
  if (mount.root != "/" && path.starts_with(mount.root)) path = path.substr(mount.root.size());
  if (path == "/" || path.empty()) return mount.mountPoint;
  std::string directory = mount.mountPoint + path;
  return access(directory.c_str(), W_OK) == 0 ? directory : mount.mountPoint;
}

// In v2 a group with processes cannot give controllers to its children, except the root. So our own
// group serves only when it is the root; otherwise the mount's root does, as the engines do.
std::vector<Controller> availableOnV2(const std::string& mountPoint) {
  std::vector<Controller> found = {Controller::Freezer};
  Outcome<std::string> text = readFile(mountPoint + "/cgroup.controllers");
  std::vector<std::string> names = text ? words(*text, ' ') : std::vector<std::string>();
  for (std::string& name : names) {
    if (name.ends_with('\n')) name.pop_back();
  }
  if (contains(names, "cpu")) {
    found.push_back(Controller::Cpu);
    found.push_back(Controller::CpuAccounting);
  }
  if (contains(names, "memory")) found.push_back(Controller::Memory);
  if (contains(names, "pids")) found.push_back(Controller::Pids);
  return found;
}

void signalAll(const std::string& directory) {
  Outcome<std::string> pids = readFile(directory + "/cgroup.procs");
  if (!pids) return;
  for (const std::string& pid : words(*pids, '\n')) kill(std::atoi(pid.c_str()), SIGKILL);
}

bool isEmpty(const std::string& directory) {
  Outcome<std::string> pids = readFile(directory + "/cgroup.procs");
  return !pids || pids->empty();
}

// Kills what is in `directory` and below, thaws it, removes it. Waits up to a second for the dead.
void sweepTree(const std::string& directory) {
  if (!exists(directory)) return;
  for (const std::string& name : listDirectory(directory)) {
    std::string child = directory + "/" + name;
    if (exists(child + "/cgroup.procs")) sweepTree(child);
  }
  for (int attempt = 0; attempt < 500; ++attempt) {
    (void)writeFile(directory + "/freezer.state", "THAWED");
    if (!writeFile(directory + "/cgroup.kill", "1")) signalAll(directory);
    if (isEmpty(directory) && rmdir(directory.c_str()) == 0) return;
    usleep(2'000);
  }
  logLine("cannot remove cgroup " + directory);
}

std::int64_t counterIn(const std::string& text, std::string_view key) {
  for (const std::string& line : words(text, '\n')) {
    if (line.starts_with(key) && line.size() > key.size() && line[key.size()] == ' ') {
      return std::atoll(line.c_str() + key.size() + 1);
    }
  }
  return 0;
}

Fd openOr(const std::string& path, int flags, const char* instead) {
  int fd = open(path.c_str(), flags | O_CLOEXEC);
  return Fd(fd >= 0 || instead == nullptr ? fd : open(instead, flags | O_CLOEXEC));
}

}  // namespace

std::string_view nameOf(Controller controller) {
  return kNames[static_cast<std::size_t>(controller)];
}

bool CgroupLayout::onV2(Controller controller) const {
  return contains(v2Controllers, controller);
}

bool CgroupLayout::has(Controller controller) const {
  if (onV2(controller)) return true;
  return std::any_of(v1.begin(), v1.end(),
                     [&](const Hierarchy& h) { return contains(h.controllers, controller); });
}

std::vector<std::string> CgroupLayout::bases() const {
  std::vector<std::string> all;
  for (const Hierarchy& h : v1) all.push_back(h.base);
  if (!v2.empty()) all.push_back(v2);
  return all;
}

Outcome<CgroupLayout> detectCgroups() {
  Outcome<std::string> mountinfo = readFile("/proc/self/mountinfo");
  if (!mountinfo) return std::unexpected(mountinfo.error());
  Outcome<std::string> own = readFile("/proc/self/cgroup");
  if (!own) return std::unexpected(own.error());
  std::vector<std::pair<std::string, std::string>> ownPaths = readOwnPaths(*own);
  auto pathOf = [&](std::string_view controller) -> std::string {
    for (const auto& [names, path] : ownPaths) {
      if (names == controller || contains(words(names, ','), controller)) return path;
    }
    return "/";
  };
  CgroupLayout layout;
  std::vector<CgroupMount> mounts = readMounts(*mountinfo);
  for (const CgroupMount& mount : mounts) {
    if (!mount.v2 || !layout.v2.empty()) continue;
    layout.v2 = layout.v2Mount = mount.mountPoint;
    layout.v2Controllers = availableOnV2(mount.mountPoint);
  }
  for (const CgroupMount& mount : mounts) {
    if (mount.v2) continue;
    Hierarchy hierarchy;
    for (Controller controller : kAll) {
      if (layout.has(controller) || !contains(mount.options, nameOf(controller))) continue;
      hierarchy.controllers.push_back(controller);
      hierarchy.base = ownDirectory(mount, pathOf(nameOf(controller)));
    }
    if (!hierarchy.controllers.empty()) layout.v1.push_back(std::move(hierarchy));
  }
  return layout;
}

Outcome<CgroupSet> CgroupSet::create(const CgroupLayout& layout, const std::string& run,
                                     const std::string& name) {
  CgroupSet set;
  set.layout_ = &layout;
  for (const Hierarchy& hierarchy : layout.v1) {
    set.v1_.push_back(hierarchy.base + "/" + run + "/" + name);
    if (Status made = makeDirectory(set.v1_.back(), 0755); !made)
      return std::unexpected(made.error());
  }
  if (!layout.v2.empty()) {
    set.v2_ = layout.v2 + "/" + run + "/" + name;
    if (Status made = makeDirectory(set.v2_, 0755); !made) return std::unexpected(made.error());
  }
  return set;
}

std::string CgroupSet::fileOf(Controller controller, const std::string& v1Name,
                              const std::string& v2Name) const {
  if (layout_->onV2(controller)) return v2_ + "/" + v2Name;
  for (std::size_t i = 0; i < v1_.size(); ++i) {
    if (contains(layout_->v1[i].controllers, controller)) return v1_[i] + "/" + v1Name;
  }
  return "/nonexistent";
}

Status CgroupSet::setLimits(const ResourceLimits& limits) const {
  std::string memory = std::to_string(limits.memory);
  std::string quota =
      std::to_string(std::max<std::uint64_t>(1000, limits.milliCpu * kCpuPeriodUs / 1000));
  // One more for the init, and room for the stub that is about to leave.
  std::string pids = std::to_string(std::max<std::uint32_t>(4, limits.pids + 1));
  std::string cpuText =
      layout_->onV2(Controller::Cpu) ? quota + " " + std::to_string(kCpuPeriodUs) : quota;
  struct Setting {
    Controller controller;
    const char *v1, *v2;
    const std::string* value;
  };
  const Setting settings[] = {
      {Controller::Memory, "memory.limit_in_bytes", "memory.max", &memory},
      {Controller::Cpu, "cpu.cfs_quota_us", "cpu.max", &cpuText},
      {Controller::Pids, "pids.max", "pids.max", &pids},
  };
  for (const Setting& s : settings) {
    Status set = writeFile(fileOf(s.controller, s.v1, s.v2), *s.value);
    if (!set) return set;
  }
  // Without swap accounting these files are missing, and there is then nothing to bound.
  bool v2 = layout_->onV2(Controller::Memory);
  (void)writeFile(fileOf(Controller::Memory, "memory.memsw.limit_in_bytes", "memory.swap.max"),
                  v2 ? "0" : memory);
  return {};
}

Outcome<CgroupFiles> CgroupSet::openFiles() const {
  CgroupFiles files;
  std::string freezeFile = fileOf(Controller::Freezer, "freezer.state", "cgroup.freeze");
  files.freezeControl = openOr(freezeFile, O_WRONLY, nullptr);
  files.freezeState =
      openOr(fileOf(Controller::Freezer, "freezer.state", "cgroup.events"), O_RDONLY, nullptr);
  files.memoryNow = openOr(fileOf(Controller::Memory, "memory.usage_in_bytes", "memory.current"),
                           O_RDONLY, nullptr);
  // memory.peak is younger than v2 itself.
  files.memoryPeak = openOr(fileOf(Controller::Memory, "memory.max_usage_in_bytes", "memory.peak"),
                            O_RDONLY, "/dev/null");
  files.cpuUse =
      openOr(fileOf(Controller::CpuAccounting, "cpuacct.usage", "cpu.stat"), O_RDONLY, "/dev/null");
  if (!files.freezeControl || !files.freezeState || !files.memoryNow) {
    return failed("open files of " + freezeFile);
  }
  return files;
}

Status CgroupSet::enterV1() const {
  for (const std::string& directory : v1_) {
    if (Status entered = writeFile(directory + "/cgroup.procs", "0"); !entered) return entered;
  }
  return {};
}

Outcome<Fd> CgroupSet::openV2() const {
  if (v2_.empty()) return Fd();
  Fd fd(open(v2_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return failed("open " + v2_);
  return fd;
}

bool CgroupSet::outOfMemory() const {
  Outcome<std::string> text =
      readFile(fileOf(Controller::Memory, "memory.oom_control", "memory.events"));
  return text && counterIn(*text, "oom_kill") > 0;
}

void CgroupSet::thaw() const {
  bool v2 = freezesOnV2();
  (void)writeFile(fileOf(Controller::Freezer, "freezer.state", "cgroup.freeze"),
                  v2 ? "0" : "THAWED");
}

void CgroupSet::killAll() const {
  if (!v2_.empty() && writeFile(v2_ + "/cgroup.kill", "1")) {
    thaw();
    return;
  }
  thaw();
  for (const std::string& directory : v1_) signalAll(directory);
  if (!v2_.empty()) signalAll(v2_);
}

bool CgroupSet::remove() const {
  bool gone = true;
  std::vector<std::string> all = v1_;
  if (!v2_.empty()) all.push_back(v2_);
  for (const std::string& directory : all) {
    if (rmdir(directory.c_str()) != 0 && errno != ENOENT) gone = false;
  }
  return gone;
}

Status openRun(const CgroupLayout& layout, const std::string& top, const std::string& run) {
  for (const std::string& base : layout.bases()) {
    if (Status made = makeDirectory(base + "/" + top, 0755); !made) return made;
    if (Status made = makeDirectory(base + "/" + top + "/" + run, 0755); !made) return made;
  }
  for (Controller controller : layout.v2Controllers) {
    if (controller == Controller::Freezer || controller == Controller::CpuAccounting) continue;
    std::string enable = "+" + std::string(nameOf(controller));
    for (const std::string& level : {std::string(), "/" + top, "/" + top + "/" + run}) {
      Status on = writeFile(layout.v2 + level + "/cgroup.subtree_control", enable);
      if (!on) return on;
    }
  }
  return {};
}

void sweepRun(const CgroupLayout& layout, const std::string& top, const std::string& run) {
  for (const std::string& base : layout.bases()) sweepTree(base + "/" + top + "/" + run);
}

void sweepRuns(const CgroupLayout& layout, const std::string& top, const std::string& keep) {
  for (const std::string& base : layout.bases()) {
    std::string directory = base + "/" + top;
    for (const std::string& run : listDirectory(directory)) {
      if (run != keep && run.starts_with("r-")) sweepTree(directory + "/" + run);
    }
    rmdir(directory.c_str());
  }
}

}  // namespace okibi::launcher
