#include "launcher/mounts.h"

#include <iterator>

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

namespace okibi::launcher::mounts {

namespace {

constexpr unsigned long kSafe = MS_NOSUID | MS_NODEV | MS_NOEXEC;

Status mountAt(const char* type, const std::string& target, unsigned long flags,
               const std::string& data = "") {
  if (mount(type, target.c_str(), type, flags, data.empty() ? nullptr : data.c_str()) != 0) {
    return failed("mount " + std::string(type) + " at " + target);
  }
  return {};
}

// The directory must be one: an image whose /proc is a link would have it mounted somewhere else,
// and the masks with it.
Status needDirectory(const std::string& path) {
  if (mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) return failed("mkdir " + path);
  open_how how{};
  how.flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
  how.resolve = RESOLVE_NO_SYMLINKS;
  Fd fd(static_cast<int>(syscall(SYS_openat2, AT_FDCWD, path.c_str(), &how, sizeof(how))));
  if (!fd) return failed("the image's " + path + " is not a plain directory");
  return {};
}

struct Device {
  const char* path;
  unsigned major, minor;
};
constexpr Device kDevices[] = {{"/dev/null", 1, 3},   {"/dev/zero", 1, 5},    {"/dev/full", 1, 7},
                               {"/dev/random", 1, 8}, {"/dev/urandom", 1, 9}, {"/dev/tty", 5, 0}};
struct Link {
  const char *target, *path;
};
constexpr Link kLinks[] = {{"/proc/self/fd", "/dev/fd"},
                           {"/proc/self/fd/0", "/dev/stdin"},
                           {"/proc/self/fd/1", "/dev/stdout"},
                           {"/proc/self/fd/2", "/dev/stderr"},
                           {"pts/ptmx", "/dev/ptmx"}};
constexpr const char* kMasked[] = {
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
};
constexpr const char* kReadOnly[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
                                     "/proc/sysrq-trigger"};

Status maskPath(const char* path) {
  struct stat info;
  if (lstat(path, &info) != 0) return {};  // this kernel does not have it
  if (S_ISDIR(info.st_mode)) return mountAt("tmpfs", path, kSafe | MS_RDONLY, "size=0k,mode=755");
  if (mount("/dev/null", path, nullptr, MS_BIND, nullptr) != 0)
    return failed(std::string("mask ") + path);
  return {};
}

Status makeReadOnly(const char* path) {
  if (!exists(path)) return {};
  if (mount(path, path, nullptr, MS_BIND | MS_REC, nullptr) != 0)
    return failed(std::string("bind ") + path);
  if (mount(nullptr, path, nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY | kSafe, nullptr) != 0) {
    return failed(std::string("make read-only ") + path);
  }
  return {};
}

Status mountV1Group(const std::string& name) {
  std::string target = "/sys/fs/cgroup/" + name;
  if (Status made = makeDirectory(target, 0755); !made) return made;
  return [&]() -> Status {
    if (mount("cgroup", target.c_str(), "cgroup", kSafe | MS_RDONLY, name.c_str()) != 0) {
      return failed("mount cgroup " + name);
    }
    return {};
  }();
}

}  // namespace

Status makePrivate() {
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    return failed("make / private");
  return {};
}

Status mountOverlay(const std::vector<std::string>& layers, const std::string& disk,
                    const std::string& root) {
  // Descriptors instead of paths: short enough for 128 layers in one page of options, and no
  // character of a path can be taken for an option.
  std::vector<Fd> open;
  std::string lower;
  for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) {
    open.emplace_back(::open(layer->c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!open.back()) return failed("open layer " + *layer);
    lower += (lower.empty() ? "" : ":") + procFd(open.back().get());
  }
  Fd upper(::open((disk + "/upper").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  Fd work(::open((disk + "/work").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!upper || !work) return failed("open the writable layer");
  // Nothing in it outlives the instance, so nothing is ever synced ("volatile"). Device nodes of an
  // image must not open the host's devices.
  std::string options = "volatile,lowerdir=" + lower + ",upperdir=" + procFd(upper.get()) +
                        ",workdir=" + procFd(work.get());
  if (mount("overlay", root.c_str(), "overlay", MS_NODEV, options.c_str()) != 0)
    return failed("mount");
  return {};
}

Status enterRoot(const std::string& root) {
  if (chdir(root.c_str()) != 0) return failed("chdir");
  if (syscall(SYS_pivot_root, ".", ".") != 0) return failed("pivot_root");
  if (umount2(".", MNT_DETACH) != 0) return failed("detach the old root");
  if (chdir("/") != 0) return failed("chdir /");
  return {};
}

Status mountProc() {
  if (Status there = needDirectory("/proc"); !there) return there;
  return mountAt("proc", "/proc", kSafe);
}

Status mountDev() {
  if (Status there = needDirectory("/dev"); !there) return there;
  Status mounted = mountAt("tmpfs", "/dev", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k");
  if (!mounted) return mounted;
  mode_t mask = umask(0);
  for (const Device& d : kDevices) {
    if (mknod(d.path, S_IFCHR | 0666, makedev(d.major, d.minor)) != 0) {
      return failed(std::string("mknod ") + d.path);
    }
  }
  for (const char* directory : {"/dev/pts", "/dev/shm", "/dev/mqueue"}) mkdir(directory, 0755);
  umask(mask);
  for (const Link& l : kLinks) {
    if (symlink(l.target, l.path) != 0) return failed(std::string("link ") + l.path);
  }
  mounted = mountAt("devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC,
                    "newinstance,ptmxmode=0666,mode=0620,gid=5");
  if (!mounted) return mounted;
  // A kernel without POSIX message queues is fine.
  (void)mountAt("mqueue", "/dev/mqueue", kSafe);
  return {};
}

Status mountShm(std::uint64_t bytes) {
  return mountAt("tmpfs", "/dev/shm", kSafe, "mode=1777,size=" + std::to_string(bytes));
}

Status mountSys() {
  if (Status there = needDirectory("/sys"); !there) return there;
  return mountAt("sysfs", "/sys", kSafe | MS_RDONLY);
}

Status mountCgroups(const CgroupLayout& layout) {
  if (!exists("/sys/fs/cgroup")) return {};
  if (layout.v1.empty()) return mountAt("cgroup2", "/sys/fs/cgroup", kSafe | MS_RDONLY);
  if (Status base = mountAt("tmpfs", "/sys/fs/cgroup", kSafe, "mode=755,size=64k"); !base)
    return base;
  for (const Hierarchy& hierarchy : layout.v1) {
    for (Controller controller : hierarchy.controllers) {
      // The freezer and the accounts are the platform's business.
      if (controller != Controller::Memory && controller != Controller::Cpu) continue;
      std::string options;
      for (Controller together : hierarchy.controllers) {
        options += (options.empty() ? "" : ",") + std::string(nameOf(together));
      }
      if (Status mounted = mountV1Group(options); !mounted) return mounted;
      break;
    }
  }
  if (mount(nullptr, "/sys/fs/cgroup", nullptr, MS_REMOUNT | MS_RDONLY | kSafe, nullptr) != 0) {
    return failed("make /sys/fs/cgroup read-only");
  }
  return {};
}

Status maskPaths() {
  for (const char* path : kMasked) {
    if (Status masked = maskPath(path); !masked) return masked;
  }
  for (const char* path : kReadOnly) {
    if (Status done = makeReadOnly(path); !done) return done;
  }
  return {};
}

}  // namespace okibi::launcher::mounts
