#include "launcher/disk.h"

#include <cstdio>
#include <cstdlib>

#include <fcntl.h>
#include <linux/loop.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

namespace okibi::launcher::disk {

namespace {

// No journal: the disk does not outlive a crash. No reserved blocks: the size is the user's.
Status runMkfs(const Fd& file) {
  int output[2];
  if (pipe2(output, O_CLOEXEC) != 0) return failed("pipe");
  Fd readEnd(output[0]), writeEnd(output[1]);
  int pid = fork();
  if (pid < 0) return failed("fork");
  if (pid == 0) {
    dup2(file.get(), STDIN_FILENO);  // named by /proc/self/fd/0 below
    dup2(writeEnd.get(), STDOUT_FILENO);
    dup2(writeEnd.get(), STDERR_FILENO);
    const char* environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", nullptr};
    execle("/sbin/mkfs.ext4", "mkfs.ext4", "-q", "-F", "-m", "0", "-E",
           "lazy_itable_init=1,nodiscard", "-O", "^has_journal,^resize_inode", "/proc/self/fd/0",
           nullptr, environment);
    dprintf(STDERR_FILENO, "cannot run /sbin/mkfs.ext4 (package e2fsprogs)");
    _exit(127);
  }
  writeEnd.reset();
  std::string said(512, '\0');
  ssize_t size = read(readEnd.get(), said.data(), said.size());
  said.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  int status = 0;
  waitpid(pid, &status, 0);
  while (!said.empty() && said.back() == '\n') said.pop_back();
  if (status != 0) return refused("mkfs.ext4: " + said);
  return {};
}

Outcome<Fd> openLoop(int number) {
  std::string path = "/dev/loop" + std::to_string(number);
  Fd loop(open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!loop && errno == ENOENT) {
    // A /dev that is not devtmpfs does not grow nodes by itself.
    mknod(path.c_str(), S_IFBLK | 0600, makedev(7, static_cast<unsigned>(number)));
    loop = Fd(open(path.c_str(), O_RDWR | O_CLOEXEC));
  }
  if (!loop) return failed("open " + path);
  return loop;
}

struct Loop {
  Fd fd;
  std::string path;
};

// Another process may take the free device first; then the next one is asked for.
Outcome<Loop> attachLoop(const Fd& file) {
  Fd control(open("/dev/loop-control", O_RDWR | O_CLOEXEC));
  if (!control) return failed("open /dev/loop-control");
  for (int attempt = 0; attempt < 64; ++attempt) {
    int number = ioctl(control.get(), LOOP_CTL_GET_FREE);
    if (number < 0) return failed("no free loop device");
    Outcome<Fd> loop = openLoop(number);
    if (!loop) return std::unexpected(loop.error());
    loop_config config{};
    config.fd = static_cast<unsigned>(file.get());
    config.info.lo_flags = LO_FLAGS_AUTOCLEAR;
    if (ioctl(loop->get(), LOOP_CONFIGURE, &config) == 0) {
      return Loop{std::move(*loop), "/dev/loop" + std::to_string(number)};
    }
    if (errno != EBUSY) return failed("configure /dev/loop" + std::to_string(number));
  }
  return failed("every free loop device was taken by others");
}

Status mountImage(const Fd& file, const std::string& mountPoint) {
  Outcome<Loop> loop = attachLoop(file);
  if (!loop) return std::unexpected(loop.error());
  unsigned long flags = MS_NOATIME | MS_NODEV;
  // The inode tables are zero already: the file is sparse.
  if (mount(loop->path.c_str(), mountPoint.c_str(), "ext4", flags, "noinit_itable") != 0) {
    return failed("mount " + loop->path);
  }
  return {};
}

// A fresh file system answers its first operations by reading bitmaps and inode tables through the
// loop device. An overlay made and used once, in a mount namespace that then goes, leaves them in
// memory, so that the launch finds them: 1.0 ms of its overlay step becomes 0.4.
void rehearse(const std::string& mountPoint) {
  if (unshare(CLONE_NEWNS) != 0 || mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    return;
  std::string lower = mountPoint + "/lower", root = mountPoint + "/root";
  if (mkdir(lower.c_str(), 0755) != 0 || mkdir(root.c_str(), 0755) != 0) return;
  std::string options =
      "lowerdir=" + lower + ",upperdir=" + mountPoint + "/upper,workdir=" + mountPoint + "/work";
  if (mount("overlay", root.c_str(), "overlay", 0, options.c_str()) == 0) {
    for (const char* name : {"/a", "/b"}) {
      std::string directory = root + name, file = directory + "/file";
      mkdir(directory.c_str(), 0755);
      const Fd made(open(file.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
      unlink(file.c_str());
      rmdir(directory.c_str());
    }
    umount2(root.c_str(), 0);
  }
  rmdir(root.c_str());
  rmdir(lower.c_str());
}

Status copyData(const Fd& from, const Fd& to) {
  for (off_t at = 0;;) {
    off_t data = lseek(from.get(), at, SEEK_DATA);
    if (data < 0 && errno == ENXIO) return {};
    if (data < 0) return failed("seek");
    off_t end = lseek(from.get(), data, SEEK_HOLE);
    off_t source = data, target = data;
    while (source < end) {
      ssize_t size = copy_file_range(from.get(), &source, to.get(), &target,
                                     static_cast<std::size_t>(end - source), 0);
      if (size <= 0) return failed("copy");
    }
    at = end;
  }
}

}  // namespace

Outcome<Fd> makeSparseFile(const std::string& directory, std::uint64_t bytes) {
  std::string path = directory + "/disk-XXXXXX";
  Fd file(mkostemp(path.data(), O_CLOEXEC));
  if (!file) return failed("create " + path);
  unlink(path.c_str());
  if (ftruncate(file.get(), static_cast<off_t>(bytes)) != 0) return failed("grow " + path);
  return file;
}

Outcome<Fd> makeTemplate(const std::string& directory, std::uint64_t bytes) {
  Outcome<Fd> file = makeSparseFile(directory, bytes);
  if (!file) return file;
  if (Status made = runMkfs(*file); !made) return std::unexpected(made.error());
  std::string mountPoint = directory + "/mnt/template-XXXXXX";
  if (mkdtemp(mountPoint.data()) == nullptr) return failed("mkdtemp " + mountPoint);
  Status mounted = mountImage(*file, mountPoint);
  if (mounted) {
    rmdir((mountPoint + "/lost+found").c_str());
    if (mkdir((mountPoint + "/upper").c_str(), 0755) != 0) mounted = failed("mkdir upper");
    if (mkdir((mountPoint + "/work").c_str(), 0755) != 0) mounted = failed("mkdir work");
    if (umount2(mountPoint.c_str(), 0) != 0 && mounted) mounted = failed("unmount");
  }
  rmdir(mountPoint.c_str());
  if (!mounted) return std::unexpected(mounted.error());
  return file;
}

Status mountCopy(const Fd& source, std::uint64_t bytes, const std::string& directory,
                 const std::string& mountPoint) {
  Outcome<Fd> file = makeSparseFile(directory, bytes);
  if (!file) return std::unexpected(file.error());
  if (Status copied = copyData(source, *file); !copied) return copied;
  if (Status made = makeDirectory(mountPoint, 0700); !made) return made;
  Status mounted = mountImage(*file, mountPoint);
  if (!mounted) {
    rmdir(mountPoint.c_str());
    return mounted;
  }
  rehearse(mountPoint);
  return {};
}

void unmount(const std::string& mountPoint) {
  umount2(mountPoint.c_str(), MNT_DETACH);
  rmdir(mountPoint.c_str());
}

}  // namespace okibi::launcher::disk
