#include "launcher/rootfs.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace okibi::launcher::rootfs {

namespace {

Status replaceFile(const std::string& path, const std::string& text) {
  constexpr int kFlags = O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC;
  Fd fd(open(path.c_str(), kFlags, 0644));
  if (!fd && (errno == ELOOP || errno == EISDIR || errno == ENXIO)) {
    // resolv.conf is often a link to a file that only a running system has.
    unlink(path.c_str());
    fd = Fd(open(path.c_str(), kFlags, 0644));
  }
  if (!fd) return failed("open " + path);
  if (write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return failed("write " + path);
  }
  return {};
}

}  // namespace

Status writeNetworkFiles(const std::string& hostname) {
  if (Status made = makeDirectory("/etc", 0755); !made) return made;
  const std::pair<const char*, std::string> files[] = {
      {"/etc/hostname", hostname + "\n"},
      {"/etc/hosts",
       "127.0.0.1\tlocalhost " + hostname + "\n::1\tlocalhost ip6-localhost ip6-loopback\n"},
      {"/etc/resolv.conf",
       "# This instance has no network but its own loopback.\n"
       "options timeout:1 attempts:1\n"},
  };
  for (const auto& [path, text] : files) {
    if (Status written = replaceFile(path, text); !written) return written;
  }
  return {};
}

Status makeDirectories(const std::string& workingDirectory) {
  if (mkdir("/tmp", 01777) == 0) chmod("/tmp", 01777);
  for (std::size_t end = 1; end < workingDirectory.size() && end != std::string::npos;) {
    end = workingDirectory.find('/', end + 1);
    std::string part = workingDirectory.substr(0, end);
    if (mkdir(part.c_str(), 0755) != 0 && errno != EEXIST) return failed("mkdir " + part);
  }
  return {};
}

}  // namespace okibi::launcher::rootfs
