#include "launcher/devices.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "launcher/bind.h"

namespace okibi::launcher::devices {

namespace {

using bind::attach;
using bind::copyOf;
using bind::needDirectory;
using bind::openInside;
using bind::setAttributes;

constexpr unsigned long kSafe = MS_NOSUID | MS_NODEV | MS_NOEXEC;
constexpr unsigned kMemoryMajor = 1;  // null, zero … but also mem, kmem and port

std::string parentOf(const std::string& path) {
  return path.substr(0, path.rfind('/'));
}
std::string nameOf(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

enum class Kind { Directory, Other };

// Where a mount goes: what is there, or something empty made for it.
Outcome<Fd> needTarget(const std::string& path, Kind kind) {
  if (kind == Kind::Directory) return needDirectory(path);
  Outcome<Fd> parent = needDirectory(parentOf(path));
  if (!parent) return parent;
  const std::string name = nameOf(path);
  Fd there = openInside(parent->get(), name, 0);
  if (there) return there;
  Fd made(openat(parent->get(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (!made) return failed("make " + path);
  return openInside(parent->get(), name, 0);
}

// Resolved, so that a link in the state directory leads nowhere.
bool isBelow(const std::string& path, const std::string& directory) {
  char* resolved = realpath(path.c_str(), nullptr);
  char* base = realpath(directory.c_str(), nullptr);
  const bool below = resolved != nullptr && base != nullptr &&
                     std::string(resolved).starts_with(std::string(base) + "/");
  free(resolved);
  free(base);
  return below;
}

Outcome<Fd> openNode(const runtime::DeviceNode& node, const std::string& state, Sources& sources) {
  if (!node.hostPath.starts_with("/dev/") && !isBelow(node.hostPath, state)) {
    return refused(node.hostPath + " is not below /dev");
  }
  Outcome<Fd> copy =
      copyOf(AT_FDCWD, node.hostPath, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, node.hostPath);
  if (!copy) return copy;
  struct stat info{};
  if (fstat(copy->get(), &info) != 0) return failed("stat " + node.hostPath);
  const bool harmless = minor(info.st_rdev) == 3 || minor(info.st_rdev) == 5;  // null, zero
  if (!S_ISCHR(info.st_mode) || (major(info.st_rdev) == kMemoryMajor && !harmless)) {
    return refused(node.hostPath + " is not a device that may be given away");
  }
  const bool everybody = (info.st_mode & 0006) == 0006;
  if (!everybody && (info.st_mode & 0060) == 0060 && info.st_gid != 0) {
    sources.groups.push_back(info.st_gid);
  }
  return copy;
}

Outcome<Fd> openMount(const runtime::HostMount& mount, const std::string& state) {
  if (!mount.writable) {
    return copyOf(AT_FDCWD, mount.hostPath,
                  MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, mount.hostPath);
  }
  if (!isBelow(mount.hostPath, state)) {
    return refused(mount.hostPath + " may not be written: it is not the platform's");
  }
  Outcome<Fd> copy =
      copyOf(AT_FDCWD, mount.hostPath, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
             mount.hostPath);
  struct stat info{};
  if (copy && (fstat(copy->get(), &info) != 0 || !S_ISREG(info.st_mode))) {
    return refused(mount.hostPath + " is not a file");
  }
  return copy;
}

Status placeSource(const Fd& source, const std::string& path) {
  struct stat info{};
  if (fstat(source.get(), &info) != 0) return failed("stat " + path);
  Outcome<Fd> target = needTarget(path, S_ISDIR(info.st_mode) ? Kind::Directory : Kind::Other);
  if (!target) return std::unexpected(target.error());
  return attach(source, *target, path);
}

Status mountFresh(const Fd& directory, const std::string& path, unsigned long flags) {
  if (mount("tmpfs", procFd(directory.get()).c_str(), "tmpfs", flags, "size=64k,mode=755") != 0) {
    return failed("mount tmpfs at " + path);
  }
  return {};
}

Status hide(const std::string& path) {
  const Fd directory = openInside(AT_FDCWD, path, O_DIRECTORY);
  if (!directory) return {};  // the image does not have it
  return mountFresh(directory, path, kSafe | MS_RDONLY);
}

Status makeFresh(const std::string& path) {
  Outcome<Fd> directory = needDirectory(path);
  if (!directory) return std::unexpected(directory.error());
  return mountFresh(*directory, path, MS_NOSUID | MS_NODEV);
}

Status makeLink(const runtime::SymbolicLink& link) {
  Outcome<Fd> parent = needDirectory(parentOf(link.path));
  if (!parent) return std::unexpected(parent.error());
  if (symlinkat(link.target.c_str(), parent->get(), nameOf(link.path).c_str()) != 0) {
    return failed("link " + link.path);
  }
  return {};
}

Status seal(const std::string& path) {
  const Fd directory = openInside(AT_FDCWD, path, O_DIRECTORY);
  if (!directory) return failed("open " + path);
  return setAttributes(directory.get(), MOUNT_ATTR_RDONLY, path);
}

Status placeMount(const runtime::HostMount& mount, const Fd& source) {
  if (mount.onlyIfThere && !openInside(AT_FDCWD, mount.path, 0)) return {};
  return placeSource(source, mount.path);
}

}  // namespace

Outcome<Sources> openSources(const runtime::Devices& wanted, const std::string& stateDirectory) {
  Sources sources;
  for (const runtime::HostMount& mount : wanted.mounts) {
    Outcome<Fd> opened = openMount(mount, stateDirectory);
    if (!opened) return std::unexpected(opened.error());
    sources.mounts.push_back(std::move(*opened));
  }
  for (const runtime::DeviceNode& node : wanted.nodes) {
    Outcome<Fd> opened = openNode(node, stateDirectory, sources);
    if (!opened) return std::unexpected(opened.error());
    sources.nodes.push_back(std::move(*opened));
  }
  return sources;
}

Status place(const runtime::Devices& wanted, const Sources& sources) {
  Status done;
  for (const std::string& path : wanted.hidden) {
    if (done) done = hide(path);
  }
  for (const std::string& path : wanted.directories) {
    if (done) done = makeFresh(path);
  }
  for (std::size_t i = 0; done && i < wanted.mounts.size(); ++i) {
    done = placeMount(wanted.mounts[i], sources.mounts[i]);
  }
  for (const runtime::SymbolicLink& link : wanted.links) {
    if (done) done = makeLink(link);
  }
  for (std::size_t i = 0; done && i < wanted.nodes.size(); ++i) {
    done = placeSource(sources.nodes[i], wanted.nodes[i].path);
  }
  for (const std::string& path : wanted.directories) {
    if (done) done = seal(path);
  }
  return done;
}

}  // namespace okibi::launcher::devices
