#include "launcher/models.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "launcher/bind.h"

namespace okibi::launcher::models {

namespace {

constexpr std::uint64_t kReadOnly = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;

std::string describe(const runtime::ModelDirectory& wanted) {
  const std::string root = "the model root '" + wanted.root + "'";
  return wanted.subdirectory.empty() ? root : "'" + wanted.subdirectory + "' in " + root;
}

Outcome<Fd> openBelow(const Fd& root, const runtime::ModelDirectory& wanted) {
  open_how how{};
  how.flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  const char* path = wanted.subdirectory.c_str();
  // EAGAIN: something was renamed meanwhile, so that the kernel could not be sure.
  for (int attempt = 0; attempt < 10; ++attempt) {
    Fd found(static_cast<int>(syscall(SYS_openat2, root.get(), path, &how, sizeof(how))));
    if (found) return found;
    if (errno != EAGAIN) break;
  }
  if (errno == EXDEV) return refused(describe(wanted) + " leads out of it by a link");
  return failed(describe(wanted));
}

Outcome<Fd> openSource(const runtime::ModelDirectory& wanted, const Roots& roots) {
  const auto known = roots.find(wanted.root);
  if (known == roots.end()) return refused("there is no model root '" + wanted.root + "'");
  // By its path at each start: the host may have mounted it anew since.
  Fd root(open(known->second.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root) return failed("the model root '" + wanted.root + "'");
  if (!wanted.subdirectory.empty()) {
    Outcome<Fd> below = openBelow(root, wanted);
    if (!below) return below;
    root = std::move(*below);
  }
  return bind::copyOf(root.get(), "", kReadOnly, describe(wanted));
}

}  // namespace

Outcome<std::vector<Fd>> openSources(const std::vector<runtime::ModelDirectory>& wanted,
                                     const Roots& roots) {
  std::vector<Fd> sources;
  for (const runtime::ModelDirectory& one : wanted) {
    Outcome<Fd> source = openSource(one, roots);
    if (!source) return std::unexpected(source.error());
    sources.push_back(std::move(*source));
  }
  return sources;
}

Status place(const std::vector<runtime::ModelDirectory>& wanted, const std::vector<Fd>& sources) {
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const std::string& path = wanted[i].path;
    Outcome<Fd> target = bind::needDirectory(path, bind::Links::None);
    if (!target && (target.error().error == ELOOP || target.error().error == ENOTDIR)) {
      return refused("the image has a link or a file on the way to " + path);
    }
    if (!target) return std::unexpected(target.error());
    if (Status done = bind::attach(sources[i], *target, path); !done) return done;
  }
  return {};
}

}  // namespace okibi::launcher::models
