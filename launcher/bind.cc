#include "launcher/bind.h"

#include <algorithm>

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace okibi::launcher::bind {

Fd openInside(int directory, const std::string& name, unsigned long long flags, Links links) {
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC | flags;
  how.resolve = links == Links::None ? RESOLVE_NO_SYMLINKS : RESOLVE_NO_MAGICLINKS;
  return Fd(static_cast<int>(syscall(SYS_openat2, directory, name.c_str(), &how, sizeof(how))));
}

Outcome<Fd> needDirectory(const std::string& path, Links links) {
  Fd at = openInside(AT_FDCWD, "/", O_DIRECTORY);
  for (std::size_t begin = 1; begin < path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const std::string part = path.substr(begin, end - begin);
    begin = end + 1;
    if (part.empty()) continue;
    if (mkdirat(at.get(), part.c_str(), 0755) != 0 && errno != EEXIST)
      return failed("mkdir " + path);
    Fd next = openInside(at.get(), part, O_DIRECTORY, links);
    if (!next) return failed("open " + path);
    at = std::move(next);
  }
  return at;
}

Outcome<Fd> copyOf(int directory, const std::string& path, std::uint64_t attributes,
                   const std::string& what) {
  const unsigned itself = path.empty() ? AT_EMPTY_PATH : 0U;
  Fd copy(open_tree(directory, path.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | itself));
  if (!copy) return failed("open " + what);
  if (Status set = setAttributes(copy.get(), attributes, what); !set) {
    return std::unexpected(set.error());
  }
  return copy;
}

Status setAttributes(int fd, std::uint64_t attributes, const std::string& what) {
  mount_attr set{};
  set.attr_set = attributes;
  if (mount_setattr(fd, "", AT_EMPTY_PATH, &set, sizeof(set)) != 0) {
    return failed("set the attributes of " + what);
  }
  return {};
}

Status attach(const Fd& source, const Fd& target, const std::string& path) {
  constexpr unsigned kEmpty = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;
  if (move_mount(source.get(), "", target.get(), "", kEmpty) != 0) return failed("mount " + path);
  return {};
}

}  // namespace okibi::launcher::bind
