#include "launcher/launch.h"

#include <algorithm>
#include <iterator>

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "launcher/capabilities.h"
#include "launcher/mounts.h"
#include "launcher/rootfs.h"

namespace okibi::launcher {

namespace {

constexpr rlim_t kOpenFiles = 65'536;

Status enterCgroupNamespace(Sandbox&) {
  // Here and not at the clone: the namespace's root is the group of whoever asks for it.
  if (unshare(CLONE_NEWCGROUP) != 0) return failed("unshare");
  return {};
}

Status setHostname(Sandbox& sandbox) {
  const std::string& name = sandbox.order.request.name;
  if (sethostname(name.data(), name.size()) != 0) return failed("sethostname");
  return {};
}

Status isolateMounts(Sandbox&) {
  return mounts::makePrivate();
}

Status overlay(Sandbox& sandbox) {
  return mounts::mountOverlay(sandbox.order.request.layers, sandbox.order.disk,
                              sandbox.machine.rootMount);
}

Status deviceSources(Sandbox& sandbox) {
  Outcome<devices::Sources> sources =
      devices::openSources(sandbox.order.request.devices, sandbox.machine.stateDirectory);
  if (!sources) return std::unexpected(sources.error());
  sandbox.deviceSources = std::move(*sources);
  return {};
}

Status modelSources(Sandbox& sandbox) {
  Outcome<std::vector<Fd>> sources =
      models::openSources(sandbox.order.request.models, sandbox.machine.modelRoots);
  if (!sources) return std::unexpected(sources.error());
  sandbox.modelSources = std::move(*sources);
  return {};
}

Status enterRoot(Sandbox& sandbox) {
  return mounts::enterRoot(sandbox.machine.rootMount);
}
Status proc(Sandbox&) {
  return mounts::mountProc();
}
Status dev(Sandbox&) {
  return mounts::mountDev();
}
Status shm(Sandbox& sandbox) {
  return mounts::mountShm(sandbox.order.request.sharedMemory);
}
Status sys(Sandbox&) {
  return mounts::mountSys();
}
Status cgroupView(Sandbox& sandbox) {
  return mounts::mountCgroups(sandbox.machine.cgroups);
}
Status masks(Sandbox&) {
  return mounts::maskPaths();
}
Status networkFiles(Sandbox& sandbox) {
  return rootfs::writeNetworkFiles(sandbox.order.request.name);
}
Status placeModels(Sandbox& sandbox) {
  Status placed = models::place(sandbox.order.request.models, sandbox.modelSources);
  sandbox.modelSources.clear();
  return placed;
}
Status directories(Sandbox& sandbox) {
  return rootfs::makeDirectories(sandbox.order.request.workingDirectory);
}

Status placeDevices(Sandbox& sandbox) {
  Status placed = devices::place(sandbox.order.request.devices, sandbox.deviceSources);
  sandbox.deviceSources.mounts.clear();
  sandbox.deviceSources.nodes.clear();
  return placed;
}

bool hasVariable(const std::vector<std::string>& environment, std::string_view name) {
  return std::ranges::any_of(environment, [&](const std::string& variable) {
    return variable.starts_with(name) && variable.size() > name.size() &&
           variable[name.size()] == '=';
  });
}

Status user(Sandbox& sandbox) {
  std::string passwd = readFile("/etc/passwd").value_or("");
  std::string group = readFile("/etc/group").value_or("");
  Outcome<Identity> identity = resolveIdentity(sandbox.order.request.user, passwd, group);
  if (!identity) return std::unexpected(identity.error());
  sandbox.identity = std::move(*identity);
  std::vector<gid_t>& groups = sandbox.identity.groups;
  const auto& asked = sandbox.order.request.devices.groups;
  groups.insert(groups.end(), asked.begin(), asked.end());
  const auto& needed = sandbox.deviceSources.groups;
  groups.insert(groups.end(), needed.begin(), needed.end());
  sandbox.environment = sandbox.order.request.environment;
  if (!hasVariable(sandbox.environment, "PATH")) {
    sandbox.environment.push_back(
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
  }
  if (!hasVariable(sandbox.environment, "HOME")) {
    sandbox.environment.push_back("HOME=" + sandbox.identity.home);
  }
  if (!hasVariable(sandbox.environment, "HOSTNAME")) {
    sandbox.environment.push_back("HOSTNAME=" + sandbox.order.request.name);
  }
  return {};
}

// The pipes belong to the daemon's user; a program reopens them as /dev/stdout under its own.
Status standardStreams(Sandbox& sandbox) {
  for (const Fd* end : {&sandbox.ends.out, &sandbox.ends.err}) {
    if (fchown(end->get(), sandbox.identity.uid, static_cast<gid_t>(-1)) != 0)
      return failed("fchown");
  }
  Fd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null) return failed("open /dev/null");
  for (int target : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) dup2(null.get(), target);
  return {};
}

// Never above what this machine's root may have; it may lack CAP_SYS_RESOURCE.
Status resourceLimits(Sandbox&) {
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return failed("getrlimit");
  files.rlim_max = std::min(files.rlim_max, std::max(kOpenFiles, rlim_t{1}));
  files.rlim_cur = files.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &files) != 0) return failed("nofile");
  rlimit none{0, 0};
  if (setrlimit(RLIMIT_CORE, &none) != 0) return failed("core");
  return {};
}

Status noNewPrivileges(Sandbox&) {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return failed("prctl");
  return {};
}

Status capabilities(Sandbox&) {
  return dropCapabilities();
}

// After the identity is final, because a change of it clears the signal. The launcher may have
// ended in between: its end of the control socket tells.
Status parentDeath(Sandbox& sandbox) {
  // This process holds a copy of the launcher's memory.
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return failed("not dumpable");
  if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) return failed("prctl");
  pollfd control{sandbox.ends.control.get(), 0, 0};
  if (poll(&control, 1, 0) > 0 && (control.revents & POLLHUP) != 0)
    return refused("the launcher is gone");
  return {};
}

// Last: none of the steps above is allowed after it.
Status seccomp(Sandbox& sandbox) {
  return loadSeccomp(sandbox.machine.seccomp);
}

struct Step {
  const char* name;
  Status (*run)(Sandbox&);
};

// Mounts first, while this is full root; then what the image says; then everything is given up.
constexpr Step kSteps[] = {
    {"cgroup namespace", enterCgroupNamespace},
    {"hostname", setHostname},
    {"mount namespace", isolateMounts},
    {"overlay", overlay},
    {"device sources", deviceSources},
    {"model directories", modelSources},
    {"pivot_root", enterRoot},
    {"proc", proc},
    {"dev", dev},
    {"shm", shm},
    {"sys", sys},
    {"cgroup view", cgroupView},
    {"network files", networkFiles},
    {"model mounts", placeModels},
    {"working directory", directories},
    {"devices", placeDevices},
    {"masks", masks},
    {"user", user},
    {"standard streams", standardStreams},
    {"rlimits", resourceLimits},
    {"no new privileges", noNewPrivileges},
    {"capabilities", capabilities},
    {"parent-death signal", parentDeath},
    {"seccomp", seccomp},
};

}  // namespace

Status enterSandbox(Sandbox& sandbox) {
  for (const Step& step : kSteps) {
    Status done = step.run(sandbox);
    if (!done) return named(step.name, std::move(done.error()));
  }
  return {};
}

std::vector<std::string> launchSteps() {
  std::vector<std::string> names;
  for (const Step& step : kSteps) names.emplace_back(step.name);
  return names;
}

}  // namespace okibi::launcher
