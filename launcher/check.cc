#include "launcher/check.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launcher/disk.h"
#include "launcher/netns.h"
#include "launcher/remnants.h"
#include "launcher/seccomp.h"
#include "launcher/worker.h"

namespace okibi::launcher {

namespace {

constexpr Controller kNeeded[] = {Controller::Cpu, Controller::Memory, Controller::Pids,
                                  Controller::Freezer};

// Runs `attempt` in a child, because it changes the process it runs in.
Status inChild(const std::function<Status()>& attempt) {
  Reactor reactor;
  std::optional<Outcome<Fd>> result;
  auto job = [&]() -> Outcome<Fd> {
    Status done = attempt();
    if (!done) return std::unexpected(done.error());
    return Fd();
  };
  Outcome<int> started =
      runWorker(reactor, job, [&](Outcome<Fd> r) { result.emplace(std::move(r)); });
  if (!started) return std::unexpected(started.error());
  while (!result) reactor.turn();
  waitpid(*started, nullptr, 0);
  if (!*result) return std::unexpected(result->error());
  return {};
}

Finding finding(std::string check, const Status& status, std::string good, std::string remedy) {
  Finding f{
      .check = std::move(check), .ok = status.has_value(), .detail = std::move(good), .remedy = ""};
  if (status) return f;
  f.detail = status.error().detail;
  if (status.error().error != 0) f.detail += std::string(": ") + strerror(status.error().error);
  f.remedy = std::move(remedy);
  return f;
}

Status privateMounts() {
  if (unshare(CLONE_NEWNS) != 0) return failed("unshare mount namespace");
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    return failed("make / private");
  return {};
}

Status tryOverlay(const std::string& directory) {
  if (Status done = privateMounts(); !done) return done;
  if (mount("tmpfs", directory.c_str(), "tmpfs", 0, "size=1m") != 0) return failed("mount tmpfs");
  for (const char* name : {"/lower", "/upper", "/work", "/root"}) {
    if (Status made = makeDirectory(directory + name, 0755); !made) return made;
  }
  std::string options = "volatile,lowerdir=" + directory + "/lower,upperdir=" + directory +
                        "/upper,workdir=" + directory + "/work";
  if (mount("overlay", (directory + "/root").c_str(), "overlay", 0, options.c_str()) != 0) {
    return failed("mount overlay");
  }
  return {};
}

Status tryDisk(const std::string& directory) {
  if (Status done = privateMounts(); !done) return done;
  Outcome<Fd> file = disk::makeTemplate(directory, 16ULL << 20);
  if (!file) return std::unexpected(file.error());
  return {};
}

Status tryNamespaces() {
  if (unshare(CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWCGROUP) != 0)
    return failed("unshare");
  return {};
}

Finding checkController(const CgroupLayout& layout, Controller controller) {
  std::string name(nameOf(controller));
  Status status;
  if (!layout.has(controller)) status = refused("no cgroup hierarchy has it");
  return finding("cgroup " + name, status, layout.onV2(controller) ? "version 2" : "version 1",
                 "mount cgroup2 at /sys/fs/cgroup with the " + name +
                     " controller (kernel parameter cgroup_enable=" + name + ")");
}

Finding checkGroups(const CgroupLayout& layout, const std::string& top) {
  std::string run = "r-check-" + std::to_string(getpid());
  Status made = openRun(layout, top, run);
  sweepRun(layout, top, run);
  for (const std::string& base : layout.bases()) rmdir((base + "/" + top).c_str());
  return finding(
      "cgroup write access", made, "groups can be made",
      "run okibi as root outside a container, or give the container a writable cgroup tree");
}

Finding checkFiles() {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  Finding f{.check = "open files",
            .ok = files.rlim_max >= 4096,
            .required = false,
            .detail = "at most " + std::to_string(files.rlim_max),
            .remedy = ""};
  if (!f.ok) f.remedy = "raise the hard limit: ulimit -Hn 65536, or LimitNOFILE= in the service";
  return f;
}

void escapeJson(std::string& out, const std::string& text) {
  for (unsigned char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (c >= 0x20) {
      out += static_cast<char>(c);
    } else {
      char escaped[8];
      std::snprintf(escaped, sizeof(escaped), "\\u%04x", c);
      out += escaped;
    }
  }
}

// What of a path exists already: the daemon makes the rest of its state directory.
std::string nearestExisting(std::string path) {
  while (!exists(path)) {
    const std::size_t slash = path.rfind('/');
    if (slash == std::string::npos) return ".";
    path.resize(std::max<std::size_t>(1, slash));
  }
  return path;
}

Status needRoot() {
  if (geteuid() != 0) return refused("runs as user " + std::to_string(geteuid()));
  return {};
}

}  // namespace

Status checkEssentials(const CgroupLayout& layout) {
  if (Status root = needRoot(); !root)
    return named("privileges", {"", 0, "okibi-launcher must run as root"});
  for (Controller controller : kNeeded) {
    if (layout.has(controller)) continue;
    return named("cgroup", {"", 0,
                            "no cgroup hierarchy has the " + std::string(nameOf(controller)) +
                                " controller (see okibi doctor)"});
  }
  return {};
}

std::vector<Finding> checkMachine(const std::string& stateDirectory) {
  std::vector<Finding> findings;
  Status root = needRoot();
  findings.push_back(
      finding("root", root, "runs as root", "start okibi as root (sudo okibi serve)"));
  if (!root) return findings;
  Outcome<CgroupLayout> layout = detectCgroups();
  if (layout) {
    for (Controller controller : kNeeded) findings.push_back(checkController(*layout, controller));
    findings.push_back(checkGroups(*layout, topGroupOf(stateDirectory) + "-check"));
  } else {
    findings.push_back(
        finding("cgroups", std::unexpected(layout.error()), "", "mount /proc and /sys"));
  }
  const std::string place = nearestExisting(stateDirectory);
  std::string scratch = place + "/check-XXXXXX";
  bool made = mkdtemp(scratch.data()) != nullptr && makeDirectory(scratch + "/mnt", 0700);
  Status writable;
  if (!made) writable = failed("create " + scratch);
  findings.push_back(
      finding("state directory", writable,
              place == stateDirectory ? place : stateDirectory + ", to be made in " + place,
              "choose another --state-dir"));
  findings.push_back(finding("namespaces", inChild(tryNamespaces), "pid, uts, ipc, cgroup",
                             "a kernel with CONFIG_NAMESPACES, outside a restricted container"));
  findings.push_back(finding("network namespace", inChild([] { return netns::enterNew(); }),
                             "loopback only",
                             "a kernel with CONFIG_NET_NS and a writable /proc/sys/net"));
  findings.push_back(finding("overlay", inChild([&] { return tryOverlay(scratch); }),
                             "with volatile",
                             "Linux 5.10 or newer with CONFIG_OVERLAY_FS (modprobe overlay)"));
  findings.push_back(
      finding("writable disks", inChild([&] { return tryDisk(scratch); }), "ext4 on loop devices",
              "apt-get install e2fsprogs; modprobe loop; /dev/loop-control must exist"));
  Outcome<SeccompProgram> filter = compileSeccomp();
  findings.push_back(finding("seccomp", filter ? Status() : std::unexpected(filter.error()),
                             filter ? std::to_string(filter->size()) + " instructions" : "",
                             "a kernel with CONFIG_SECCOMP_FILTER"));
  findings.push_back(checkFiles());
  rmdir((scratch + "/mnt").c_str());
  rmdir(scratch.c_str());
  return findings;
}

std::string toJsonLine(const Finding& finding) {
  std::string out = "{\"check\":\"";
  escapeJson(out, finding.check);
  out += std::string("\",\"ok\":") + (finding.ok ? "true" : "false");
  out += std::string(",\"required\":") + (finding.required ? "true" : "false");
  out += ",\"detail\":\"";
  escapeJson(out, finding.detail);
  out += "\",\"remedy\":\"";
  escapeJson(out, finding.remedy);
  return out + "\"}";
}

}  // namespace okibi::launcher
