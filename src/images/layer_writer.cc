#include "images/layer_writer.h"

#include <cerrno>

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/encoding.h"
#include "images/files.h"
#include "images/image_limits.h"

namespace okibi::images {

namespace {

constexpr std::string_view kWhiteout = ".wh.";
constexpr std::string_view kOpaqueName = ".wh..wh..opq";
constexpr const char* kOpaqueXattr = "trusted.overlay.opaque";
constexpr std::size_t kOpenParentsMax = 48;  // of the 1024 descriptors a process has by default

int openBeneath(int root, const std::string& path, int flags) {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  // EAGAIN: a rename somewhere raced with the walk; the kernel asks to try again.
  for (int attempt = 0;; ++attempt) {
    const long fd = ::syscall(SYS_openat2, root, path.c_str(), &how, sizeof how);
    if (fd >= 0 || errno != EAGAIN || attempt == 100) return static_cast<int>(fd);
  }
}

std::unexpected<Error> refuse(const std::string& path, std::string_view why) {
  return fail(ErrorKind::Invalid, fmt::format("layer entry \"{}\" {}", path, why));
}

std::unexpected<Error> failEntry(const std::string& path, int error) {
  if (error == EXDEV || error == ELOOP) {
    return refuse(path, "leaves the image's root through a symbolic link; refused");
  }
  if (error == ENAMETOOLONG) return refuse(path, "has a name that is too long");
  Error why = failFile("layer entry \"" + path + "\"", error).error();
  if (error == EPERM) why.message += " (unpacking images needs root)";
  return fail(std::move(why));
}

// The path without "." and double slashes; empty for the root itself.
Result<std::string> normalize(const std::string& path) {
  if (path.empty()) return refuse(path, "has no name");
  if (path.size() > kPathMax)
    return refuse(path.substr(0, 64) + "…", "has a name that is too long");
  if (path.contains('\0')) return refuse(std::string(path.c_str()), "has a zero byte in its name");
  if (path.front() == '/') return refuse(path, "is absolute; refused");
  std::string result;
  for (std::string_view part : split(path, '/')) {
    if (part.empty() || part == ".") continue;
    if (part == "..") return refuse(path, "leaves the image's root by \"..\"; refused");
    if (!result.empty()) result += '/';
    result += part;
  }
  return result;
}

bool isWhiteout(const struct stat& status) {
  return S_ISCHR(status.st_mode) && status.st_rdev == makedev(0, 0);
}

bool keepXattr(const std::string& name) {
  if (name.contains('\0')) return false;
  if (name == "security.capability") return true;
  return name.starts_with("user.") && !name.starts_with("user.overlay.");
}

// Directory content below `fd`, which is consumed.
int removeContent(net::UniqueFd fd) {
  DIR* directory = ::fdopendir(fd.get());
  if (directory == nullptr) return errno;
  fd.release();
  int error = 0;
  while (dirent* item = ::readdir(directory)) {
    const std::string_view name = item->d_name;
    if (name == "." || name == "..") continue;
    if (::unlinkat(::dirfd(directory), item->d_name, 0) == 0) continue;
    if (errno != EISDIR) {
      error = errno;
      break;
    }
    net::UniqueFd child(::openat(::dirfd(directory), item->d_name,
                                 O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    error = child ? removeContent(std::move(child)) : errno;
    if (error == 0 && ::unlinkat(::dirfd(directory), item->d_name, AT_REMOVEDIR) != 0)
      error = errno;
    if (error != 0) break;
  }
  ::closedir(directory);
  return error;
}

}  // namespace

Result<void> LayerWriter::apply(const TarEntry& entry, TarReader& reader) {
  if (++entries_ > kLayerEntriesMax) {
    return fail(ErrorKind::Invalid,
                fmt::format("the layer has more than the allowed {} entries", kLayerEntriesMax));
  }
  Result<std::string> path = normalize(entry.path);
  if (!path) return fail(std::move(path.error()));
  if (path->empty()) return applyRoot(entry);
  Result<Place> place = locate(*path);
  if (!place) return fail(std::move(place.error()));
  Result<bool> whiteout = applyWhiteout(*place);
  if (!whiteout) return fail(std::move(whiteout.error()));
  if (*whiteout) return {};
  switch (entry.type) {
    case EntryType::Directory:
      return writeDirectory(entry, *place);
    case EntryType::File:
      return writeFile(entry, *place, reader);
    case EntryType::HardLink:
      return writeHardLink(entry, *place);
    case EntryType::Symlink:
    case EntryType::Fifo:
      return writeNode(entry, *place);
    case EntryType::CharDevice:
    case EntryType::BlockDevice:
      ++devicesSkipped_;
      return {};
  }
  return {};
}

Result<LayerWriter::Place> LayerWriter::locate(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const std::string directory = slash == std::string::npos ? "" : path.substr(0, slash);
  Result<int> parent = openParent(directory);
  if (!parent) return fail(std::move(parent.error()));
  return Place{*parent, slash == std::string::npos ? path : path.substr(slash + 1), path};
}

// A descriptor of the directory `path`, made if missing; owned by the cache.
Result<int> LayerWriter::openParent(const std::string& path) {
  if (path.empty()) return root_.get();
  if (auto known = parents_.find(path); known != parents_.end()) return known->second.get();
  net::UniqueFd fd(openBeneath(root_.get(), path, O_PATH | O_DIRECTORY));
  if (!fd) {
    if (errno != ENOENT && errno != ENOTDIR) return failEntry(path, errno);
    return makeParent(path);
  }
  if (parents_.size() >= kOpenParentsMax) forgetParents();
  return parents_.emplace(path, std::move(fd)).first->second.get();
}

// Some tars name no directories. What lies in the way is replaced only if it is this layer's
// whiteout; the directory then hides what the layers below have there.
Result<int> LayerWriter::makeParent(const std::string& path) {
  Result<Place> place = locate(path);
  if (!place) return fail(std::move(place.error()));
  struct stat status{};
  const bool exists =
      ::fstatat(place->parent, place->leaf.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
  if (exists && !isWhiteout(status))
    return refuse(path, "is not a directory, but others lie in it");
  if (exists && ::unlinkat(place->parent, place->leaf.c_str(), 0) != 0)
    return failEntry(path, errno);
  if (::mkdirat(place->parent, place->leaf.c_str(), 0755) != 0) return failEntry(path, errno);
  net::UniqueFd fd(::openat(place->parent, place->leaf.c_str(),
                            O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd || ::fchmod(fd.get(), 0755) != 0) return failEntry(path, errno);
  if (exists && ::fsetxattr(fd.get(), kOpaqueXattr, "y", 1, 0) != 0) return failEntry(path, errno);
  if (parents_.size() >= kOpenParentsMax) forgetParents();
  return parents_.emplace(path, std::move(fd)).first->second.get();
}

void LayerWriter::forgetParents() {
  parents_.clear();
}

Result<void> LayerWriter::applyRoot(const TarEntry& entry) {
  if (entry.type != EntryType::Directory) return refuse(entry.path, "replaces the image's root");
  if (Result<void> set = setAttributes(entry, root_.get()); !set) return set;
  directoryTimes_[""] = entry.modified;
  return {};
}

// True if the entry was a whiteout or another of AUFS's marks, and is dealt with.
Result<bool> LayerWriter::applyWhiteout(const Place& place) {
  if (!place.leaf.starts_with(kWhiteout)) return false;
  if (place.leaf == kOpaqueName) {
    if (Result<void> marked = markOpaqueParent(place); !marked)
      return fail(std::move(marked.error()));
    return true;
  }
  if (place.leaf.starts_with(".wh..wh.")) return true;  // AUFS's own bookkeeping
  const std::string hidden = place.leaf.substr(kWhiteout.size());
  if (hidden.empty() || hidden == "." || hidden == "..") {
    return refuse(place.path, "hides nothing that can have such a name");
  }
  if (::mknodat(place.parent, hidden.c_str(), S_IFCHR, makedev(0, 0)) == 0) return true;
  if (errno != EEXIST) return failEntry(place.path, errno);
  // The layer has the name itself. A whiteout is about the layers below: a directory must not be
  // merged with theirs, anything else hides them anyway.
  net::UniqueFd directory(
      ::openat(place.parent, hidden.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (directory && ::fsetxattr(directory.get(), kOpaqueXattr, "y", 1, 0) != 0) {
    return failEntry(place.path, errno);
  }
  return true;
}

Result<void> LayerWriter::markOpaqueParent(const Place& place) {
  net::UniqueFd fd(::openat(place.parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::fsetxattr(fd.get(), kOpaqueXattr, "y", 1, 0) != 0) {
    return failEntry(place.path, errno);
  }
  return {};
}

Result<void> LayerWriter::writeDirectory(const TarEntry& entry, const Place& place) {
  Opaque opaque = Opaque::No;
  struct stat status{};
  const bool exists =
      ::fstatat(place.parent, place.leaf.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
  if (!exists || !S_ISDIR(status.st_mode)) {
    if (exists) {
      Result<Opaque> cleared = clear(place);
      if (!cleared) return fail(std::move(cleared.error()));
      opaque = *cleared;
    }
    if (::mkdirat(place.parent, place.leaf.c_str(), 0700) != 0) return failEntry(place.path, errno);
  }
  net::UniqueFd fd(
      ::openat(place.parent, place.leaf.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return failEntry(place.path, errno);
  if (opaque == Opaque::Yes && ::fsetxattr(fd.get(), kOpaqueXattr, "y", 1, 0) != 0) {
    return failEntry(place.path, errno);
  }
  directoryTimes_[place.path] = entry.modified;
  return setAttributes(entry, fd.get());
}

// Takes away what is at the place. Yes: it was a whiteout, so a directory there must be opaque.
Result<LayerWriter::Opaque> LayerWriter::clear(const Place& place) {
  struct stat status{};
  if (::fstatat(place.parent, place.leaf.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return Opaque::No;
    return failEntry(place.path, errno);
  }
  if (Result<void> removed = removeExisting(place); !removed)
    return fail(std::move(removed.error()));
  return isWhiteout(status) ? Opaque::Yes : Opaque::No;
}

Result<void> LayerWriter::removeExisting(const Place& place) {
  // What goes may be part of the way to any cached directory, directly or through links.
  std::erase_if(parents_, [&](const auto& known) { return known.second.get() != place.parent; });
  if (::unlinkat(place.parent, place.leaf.c_str(), 0) == 0) return {};
  if (errno != EISDIR) return failEntry(place.path, errno);
  net::UniqueFd directory(
      ::openat(place.parent, place.leaf.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!directory) return failEntry(place.path, errno);
  if (int error = removeContent(std::move(directory)); error != 0) {
    return failEntry(place.path, error);
  }
  if (::unlinkat(place.parent, place.leaf.c_str(), AT_REMOVEDIR) != 0) {
    return failEntry(place.path, errno);
  }
  std::erase_if(directoryTimes_, [&](const auto& known) {
    return known.first == place.path || known.first.starts_with(place.path + "/");
  });
  return {};
}

Result<void> LayerWriter::writeFile(const TarEntry& entry, const Place& place, TarReader& reader) {
  constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  net::UniqueFd fd(::openat(place.parent, place.leaf.c_str(), kFlags, 0600));
  if (!fd && errno == EEXIST) {
    if (Result<void> removed = removeExisting(place); !removed) return removed;
    fd.reset(::openat(place.parent, place.leaf.c_str(), kFlags, 0600));
  }
  if (!fd) return failEntry(place.path, errno);
  if (Result<void> copied = copyContent(entry, fd.get(), reader); !copied) return copied;
  if (Result<void> set = setAttributes(entry, fd.get()); !set) return set;
  const timespec times[2] = {entry.modified, entry.modified};
  if (::futimens(fd.get(), times) != 0) return failEntry(place.path, errno);
  return {};
}

Result<void> LayerWriter::copyContent(const TarEntry& entry, int fd, TarReader& reader) {
  bytes_ += entry.size;
  if (bytes_ > kLayerUnpackedMax.count()) {
    return fail(ErrorKind::Invalid, fmt::format("the layer unpacks to more than the allowed {} GiB",
                                                kLayerUnpackedMax.wholeGib()));
  }
  for (;;) {
    Result<std::span<const std::byte>> piece = reader.data();
    if (!piece) return fail(std::move(piece.error()));
    if (piece->empty()) return {};
    while (!piece->empty()) {
      const ssize_t n = ::write(fd, piece->data(), piece->size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return failEntry(entry.path, errno);
      *piece = piece->subspan(static_cast<std::size_t>(n));
    }
  }
}

Result<void> LayerWriter::writeHardLink(const TarEntry& entry, const Place& place) {
  Result<std::string> target = normalize(entry.linkTarget);
  if (!target || target->empty()) {
    return refuse(entry.path, fmt::format("is a hard link to \"{}\", outside of the image's root; "
                                          "refused",
                                          entry.linkTarget));
  }
  if (*target == place.path) return refuse(entry.path, "is a hard link to itself");
  const std::size_t slash = target->rfind('/');
  const std::string directory = slash == std::string::npos ? "." : target->substr(0, slash);
  const std::string leaf = slash == std::string::npos ? *target : target->substr(slash + 1);
  net::UniqueFd from(openBeneath(root_.get(), directory, O_PATH | O_DIRECTORY));
  if (!from && (errno == EXDEV || errno == ELOOP)) return failEntry(entry.path, errno);
  struct stat status{};
  if (!from || ::fstatat(from.get(), leaf.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0 ||
      isWhiteout(status) || S_ISDIR(status.st_mode)) {
    return refuse(
        entry.path,
        fmt::format("is a hard link to \"{}\", which is no file of this layer", entry.linkTarget));
  }
  struct stat present{};
  if (::fstatat(place.parent, place.leaf.c_str(), &present, AT_SYMLINK_NOFOLLOW) == 0) {
    // Two names of one file already: linking would change nothing, removing might lose it.
    if (present.st_ino == status.st_ino && present.st_dev == status.st_dev) return {};
    if (Result<void> removed = removeExisting(place); !removed) return removed;
  }
  if (::linkat(from.get(), leaf.c_str(), place.parent, place.leaf.c_str(), 0) != 0) {
    return failEntry(entry.path, errno);
  }
  return {};
}

Result<void> LayerWriter::writeNode(const TarEntry& entry, const Place& place) {
  if (Result<Opaque> cleared = clear(place); !cleared) return fail(std::move(cleared.error()));
  const char* leaf = place.leaf.c_str();
  if (entry.type == EntryType::Symlink) {
    if (entry.linkTarget.empty() || entry.linkTarget.contains('\0')) {
      return refuse(entry.path, "is a symbolic link to nowhere");
    }
    if (::symlinkat(entry.linkTarget.c_str(), place.parent, leaf) != 0) {
      return failEntry(entry.path, errno);
    }
  } else if (::mkfifoat(place.parent, leaf, 0600) != 0) {
    return failEntry(entry.path, errno);
  }
  if (::fchownat(place.parent, leaf, entry.uid, entry.gid, AT_SYMLINK_NOFOLLOW) != 0) {
    return failEntry(entry.path, errno);
  }
  if (entry.type == EntryType::Fifo && ::fchmodat(place.parent, leaf, entry.mode, 0) != 0) {
    return failEntry(entry.path, errno);
  }
  const timespec times[2] = {entry.modified, entry.modified};
  if (::utimensat(place.parent, leaf, times, AT_SYMLINK_NOFOLLOW) != 0) {
    return failEntry(entry.path, errno);
  }
  return {};
}

// Owner before mode (chown clears setuid), capabilities last (chown clears them too).
Result<void> LayerWriter::setAttributes(const TarEntry& entry, int fd) {
  if (::fchown(fd, entry.uid, entry.gid) != 0 || ::fchmod(fd, entry.mode) != 0) {
    return failEntry(entry.path, errno);
  }
  for (const auto& [name, value] : entry.xattrs) {
    if (!keepXattr(name)) continue;
    if (::fsetxattr(fd, name.c_str(), value.data(), value.size(), 0) == 0) continue;
    // user.* is a convenience that some file systems lack; a lost capability would break programs.
    if (errno == EOPNOTSUPP && name.starts_with("user.")) continue;
    if (errno == EINVAL || errno == ERANGE || errno == E2BIG) {
      return refuse(entry.path,
                    fmt::format("has an extended attribute {} that the system refuses", name));
    }
    return failEntry(entry.path, errno);
  }
  return {};
}

Result<void> LayerWriter::finish() {
  for (const auto& [path, modified] : directoryTimes_) {
    const timespec times[2] = {modified, modified};
    net::UniqueFd fd(openBeneath(root_.get(), path.empty() ? "." : path, O_RDONLY | O_DIRECTORY));
    // A directory that a later entry replaced has no time to set.
    if (!fd && (errno == ENOENT || errno == ENOTDIR)) continue;
    if (!fd || ::futimens(fd.get(), times) != 0) return failEntry(path, errno);
  }
  forgetParents();
  return {};
}

bool isOpaqueLayer(const std::filesystem::path& layer) {
  char value = 0;
  return ::lgetxattr(layer.c_str(), kOpaqueXattr, &value, 1) == 1 && value == 'y';
}

}  // namespace okibi::images
