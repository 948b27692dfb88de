#pragma once
// A piece of the host attached inside a sandbox: copied as a detached mount before pivot_root, and
// attached afterwards at a path that is resolved inside the image.

#include <cstdint>
#include <string>

#include "launcher/sys.h"

namespace okibi::launcher::bind {

// Links of the image may lead elsewhere in the image, never through a descriptor of this process.
enum class Links { WithinImage, None };
// O_PATH. Invalid: see errno.
Fd openInside(int directory, const std::string& name, unsigned long long flags,
              Links links = Links::WithinImage);
// The directory at an absolute path; missing parts of it are made.
Outcome<Fd> needDirectory(const std::string& path, Links links = Links::WithinImage);

// A detached copy of one mount, without what is mounted below it, with MOUNT_ATTR_…. `path` empty:
// of `directory` itself. `what`: for the failure.
Outcome<Fd> copyOf(int directory, const std::string& path, std::uint64_t attributes,
                   const std::string& what);
Status setAttributes(int fd, std::uint64_t attributes, const std::string& what);
// A detached copy is attached once; what the image has under it stays as it is.
Status attach(const Fd& source, const Fd& target, const std::string& path);

}  // namespace okibi::launcher::bind
