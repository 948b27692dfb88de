// okibi-launcher: the privileged helper of okibi. Started by the daemon with one end of a socket
// pair;
// --check prints what this machine can do.

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>

#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "launcher/check.h"
#include "launcher/launcher.h"
#include "launcher/remnants.h"

namespace okibi::launcher {

namespace {

using Flags = std::map<std::string, std::string>;

// "--name=value" and "--name".
Flags readFlags(int count, char** arguments) {
  Flags flags;
  for (int i = 1; i < count; ++i) {
    std::string text = arguments[i];
    std::size_t equals = text.find('=');
    flags[text.substr(0, equals)] = equals == std::string::npos ? "" : text.substr(equals + 1);
  }
  return flags;
}

// Of each "--model-root=NAME=PATH".
models::Roots readModelRoots(int count, char** arguments) {
  constexpr std::string_view kFlag = "--model-root=";
  models::Roots roots;
  for (int i = 1; i < count; ++i) {
    std::string_view text = arguments[i];
    if (!text.starts_with(kFlag)) continue;
    text.remove_prefix(kFlag.size());
    const std::size_t equals = text.find('=');
    if (equals == std::string_view::npos) continue;
    roots[std::string(text.substr(0, equals))] = text.substr(equals + 1);
  }
  return roots;
}

// A mount namespace of our own: the disks' mounts are seen by nobody else and end with us. Mounts
// that the host makes later still come in.
Status isolate(const LauncherOptions& options) {
  if (unshare(CLONE_NEWNS) != 0) return failed("unshare mount namespace");
  if (mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0)
    return failed("make / a slave");
  if (Status made = makeDirectory(options.directory, 0700); !made) return made;
  std::string mountPoints = options.directory + "/mnt";
  if (Status made = makeDirectory(mountPoints, 0700); !made) return made;
  // The mount points themselves live in memory, so that none is left on the host.
  if (mount("tmpfs", mountPoints.c_str(), "tmpfs", 0, "size=4m,mode=700") != 0)
    return failed("mount tmpfs");
  return makeDirectory(mountPoints + "/root", 0700);
}

void raiseOpenFiles() {
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

struct Ground {
  Machine machine;
  std::string top, run;
};

Outcome<Ground> prepare(const std::string& stateDirectory, const LauncherOptions& options) {
  Ground ground;
  Outcome<CgroupLayout> layout = detectCgroups();
  if (!layout) return named("cgroup", layout.error());
  if (Status good = checkEssentials(*layout); !good) return std::unexpected(good.error());
  ground.machine.cgroups = std::move(*layout);
  if (Status done = isolate(options); !done) return named("mount namespace", done.error());
  Outcome<SeccompProgram> filter = compileSeccomp();
  if (!filter) return named("seccomp", filter.error());
  ground.machine.seccomp = std::move(*filter);
  ground.machine.stateDirectory = stateDirectory;
  ground.machine.rootMount = options.directory + "/mnt/root";
  ground.machine.launcherPid = getpid();
  ground.top = topGroupOf(stateDirectory);
  ground.run = "r-" + std::to_string(getpid()) + "-" + std::to_string(nowNs());
  sweepRuns(ground.machine.cgroups, ground.top, ground.run);
  // The janitor of the life before may remove the directory between our two steps.
  Status opened;
  for (int attempt = 0; attempt < 5; ++attempt) {
    opened = openRun(ground.machine.cgroups, ground.top, ground.run);
    if (opened) break;
  }
  if (!opened) return named("cgroup", opened.error());
  return ground;
}

int check(const std::string& stateDirectory) {
  bool good = true;
  for (const Finding& finding : checkMachine(stateDirectory)) {
    std::puts(toJsonLine(finding).c_str());
    good = good && (finding.ok || !finding.required);
  }
  return good ? 0 : 1;
}

int serve(Flags& flags, models::Roots modelRoots) {
  Fd daemon(3);
  LauncherOptions options;
  std::string stateDirectory = flags["--state-dir"];
  options.directory = stateDirectory + "/sandbox";
  if (flags.contains("--slots")) options.readySlots = std::atoi(flags["--slots"].c_str());
  if (flags.contains("--disks")) options.readyDisks = std::atoi(flags["--disks"].c_str());
  // A stranger's process must not read the environments that pass through here.
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  raiseOpenFiles();
  Outcome<Ground> ground = prepare(stateDirectory, options);
  if (!ground) {
    (void)runtime::sendPacket(daemon.get(), runtime::encode(runtime::Unable{ground.error()}));
    return 1;
  }
  ground->machine.modelRoots = std::move(modelRoots);
  Outcome<int> janitor = startJanitor(ground->machine.cgroups, ground->top, ground->run);
  if (!janitor) {
    (void)runtime::sendPacket(daemon.get(), runtime::encode(runtime::Unable{janitor.error()}));
    return 1;
  }
  Launcher launcher(ground->machine, options, ground->top + "/" + ground->run, std::move(daemon));
  Status ran = launcher.run();
  if (!ran) logLine(runtime::describe(ran.error()));
  // Everything of this life ends here; the janitor finds nothing left to do.
  sweepRun(ground->machine.cgroups, ground->top, ground->run);
  return ran ? 0 : 1;
}

}  // namespace

}  // namespace okibi::launcher

int main(int count, char** arguments) {
  using namespace okibi::launcher;
  Flags flags = readFlags(count, arguments);
  if (flags.contains("--check")) {
    return check(flags.contains("--state-dir") ? flags["--state-dir"] : std::string("/tmp"));
  }
  if (flags.contains("--serve") && flags.contains("--state-dir")) {
    return serve(flags, readModelRoots(count, arguments));
  }
  std::fputs(
      "okibi-launcher is started by okibi. By hand: okibi-launcher --check [--state-dir=DIR]\n",
      stderr);
  return 2;
}
