// sandbox_probe: one static file that is a whole container image for the runtime's tests. The first
// argument says what to do or what to report about where it runs; reports are lines "key=value".

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

namespace {

using Arguments = std::vector<std::string>;

void say(const std::string& key, const std::string& value) {
  std::cout << key << "=" << value << "\n";
}
void say(const std::string& key, long value) {
  say(key, std::to_string(value));
}
// 0 or the errno of the call that was just made.
void sayCall(const std::string& key, long result) {
  say(key, result < 0 ? errno : 0);
}

int report(const Arguments&) {
  char text[4096] = {};
  say("pid", getpid());
  say("ppid", getppid());
  say("uid", getuid());
  say("euid", geteuid());
  say("gid", getgid());
  gid_t groups[64];
  std::string list;
  for (int i = 0, n = getgroups(64, groups); i < n; ++i)
    list += (i ? "," : "") + std::to_string(groups[i]);
  say("groups", list);
  gethostname(text, sizeof(text) - 1);
  say("hostname", text);
  say("cwd", getcwd(text, sizeof(text) - 1) ? text : "");
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  say("nofile", static_cast<long>(files.rlim_max));
  struct statvfs shm{};
  statvfs("/dev/shm", &shm);
  say("shm", static_cast<long>(shm.f_blocks * shm.f_frsize));
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    for (const char* key :
         {"CapEff", "CapBnd", "CapPrm", "CapInh", "CapAmb", "NoNewPrivs", "Seccomp"}) {
      if (line.rfind(std::string(key) + ":\t", 0) == 0) say(key, line.substr(std::strlen(key) + 2));
    }
  }
  for (const char* ns : {"pid", "mnt", "ipc", "uts", "net", "cgroup", "user"}) {
    ssize_t n = readlink((std::string("/proc/self/ns/") + ns).c_str(), text, sizeof(text) - 1);
    say(std::string("ns.") + ns, std::string(text, n > 0 ? static_cast<std::size_t>(n) : 0));
  }
  return 0;
}

int environment(const Arguments&) {
  for (char** variable = environ; *variable != nullptr; ++variable) std::cout << *variable << "\n";
  return 0;
}

int descriptors(const Arguments&) {
  DIR* directory = opendir("/proc/self/fd");
  while (dirent* entry = readdir(directory)) {
    if (entry->d_name[0] == '.' || std::atoi(entry->d_name) == dirfd(directory)) continue;
    char target[256] = {};
    if (readlink((std::string("/proc/self/fd/") + entry->d_name).c_str(), target, 255) < 0)
      continue;
    say(entry->d_name, target);
  }
  return 0;
}

// What a container must not be able to do, with the errno each attempt ends in.
int attempts(const Arguments&) {
  sayCall("unshare_user", unshare(CLONE_NEWUSER));
  sayCall("unshare_mount", unshare(CLONE_NEWNS));
  sayCall("clone_user", syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0));
  sayCall("clone3", syscall(SYS_clone3, nullptr, 0));
  sayCall("mount", mount("none", "/tmp", "tmpfs", 0, nullptr));
  sayCall("umount", umount2("/proc", MNT_DETACH));
  sayCall("fsopen", syscall(SYS_fsopen, "tmpfs", 0));
  sayCall("pivot_root", syscall(SYS_pivot_root, "/", "/"));
  sayCall("setns", syscall(SYS_setns, 0, 0));
  sayCall("keyctl", syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0));
  sayCall("bpf", syscall(SYS_bpf, 0, nullptr, 0));
  sayCall("perf", syscall(SYS_perf_event_open, nullptr, 0, -1, -1, 0));
  sayCall("io_uring", syscall(SYS_io_uring_setup, 1, nullptr));
  sayCall("userfaultfd", syscall(SYS_userfaultfd, 0));
  sayCall("reboot", syscall(SYS_reboot, 0, 0, 0, 0));
  sayCall("init_module", syscall(SYS_init_module, nullptr, 0, ""));
  sayCall("sethostname", sethostname("x", 1));
  sayCall("settime", syscall(SYS_clock_settime, 0, nullptr));
  sayCall("open_by_handle", syscall(SYS_open_by_handle_at, -1, nullptr, 0));
  sayCall("ptrace_init", ptrace(PTRACE_ATTACH, 1, nullptr, nullptr));
  sayCall("mknod", mknod("/tmp/disk", S_IFBLK | 0600, makedev(254, 0)));
  sayCall("raw_socket", socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
  sayCall("vsock", socket(AF_VSOCK, SOCK_STREAM, 0));
  sayCall("read_init_memory", open("/proc/1/mem", O_RDONLY));
  sayCall("read_init_environ", open("/proc/1/environ", O_RDONLY));
  sayCall("write_sysctl", open("/proc/sys/kernel/hostname", O_WRONLY));
  sayCall("write_sysrq", open("/proc/sysrq-trigger", O_WRONLY));
  sayCall("write_sys", open("/sys/kernel/mm/transparent_hugepage/enabled", O_WRONLY));
  sayCall("write_cgroup", open("/sys/fs/cgroup/cgroup.procs", O_WRONLY));
  sayCall("nodev", open("/imagedevice", O_RDONLY));
  char byte;
  int kcore = open("/proc/kcore", O_RDONLY);
  say("kcore_bytes", kcore < 0 ? 0 : read(kcore, &byte, 1));
  int keys = open("/proc/keys", O_RDONLY);
  say("keys_bytes", keys < 0 ? 0 : read(keys, &byte, 1));
  DIR* firmware = opendir("/sys/firmware");
  int entries = 0;
  while (firmware != nullptr && readdir(firmware) != nullptr) ++entries;
  say("firmware_entries", firmware == nullptr ? 0 : entries - 2);
  kill(-1, 0);
  return 0;
}

int list(const Arguments& a) {
  DIR* directory = opendir(a[0].c_str());
  if (directory == nullptr) return errno;
  while (dirent* entry = readdir(directory)) std::cout << entry->d_name << "\n";
  return 0;
}

int show(const Arguments& a) {
  std::ifstream file(a[0]);
  if (!file) return 1;
  std::cout << file.rdbuf();
  return 0;
}

int writeText(const Arguments& a) {
  std::ofstream file(a[0]);
  file << a[1] << std::flush;
  return file ? 0 : 1;
}

// What may be done with a file and in its mount; 0 or an errno each.
int tryFile(const Arguments& a) {
  const std::string& file = a[0];
  sayCall("read", open(file.c_str(), O_RDONLY));
  sayCall("write", open(file.c_str(), O_WRONLY));
  sayCall("truncate", truncate(file.c_str(), 0));
  sayCall("create", open((file + ".new").c_str(), O_WRONLY | O_CREAT, 0600));
  sayCall("remove", unlink(file.c_str()));
  sayCall("chmod", chmod(file.c_str(), 0777));
  sayCall("remount", mount(nullptr, file.c_str(), nullptr, MS_REMOUNT | MS_BIND, nullptr));
  struct statvfs mount{};
  sayCall("statvfs", statvfs(file.c_str(), &mount));
  say("readonly", (mount.f_flag & ST_RDONLY) != 0);
  say("nosuid", (mount.f_flag & ST_NOSUID) != 0);
  say("nodev", (mount.f_flag & ST_NODEV) != 0);
  return 0;
}

int exitWith(const Arguments& a) {
  return std::atoi(a[0].c_str());
}
int raiseSignal(const Arguments& a) {
  return raise(std::atoi(a[0].c_str()));
}

int eat(const Arguments& a) {
  std::size_t bytes = std::strtoull(a[0].c_str(), nullptr, 10) << 20;
  std::vector<char> memory(bytes);
  for (std::size_t i = 0; i < bytes; i += 4096) memory[i] = static_cast<char>(i);
  std::cout << "ate " << memory[bytes / 2] + 0 << "\n" << std::flush;
  pause();
  return 0;
}

int forks(const Arguments& a) {
  int made = 0;
  for (; made < std::atoi(a[0].c_str()); ++made) {
    int pid = fork();
    if (pid == 0) {
      pause();
      _exit(0);
    }
    if (pid < 0) break;
  }
  say("error", errno);
  say("made", made);
  return 0;
}

int fill(const Arguments& a) {
  int fd = open(a[0].c_str(), O_WRONLY | O_CREAT, 0600);
  std::vector<char> block(1 << 20, 'x');
  long written = 0;
  for (int i = 0; i < std::atoi(a[1].c_str()); ++i) {
    ssize_t n = ::write(fd, block.data(), block.size());
    if (n < 0) {
      say("error", errno);
      break;
    }
    written += n;
  }
  say("written", written);
  return 0;
}

int sleepForever(const Arguments&) {
  std::cout << "asleep\n" << std::flush;
  for (;;) pause();
}

int onTerm(const Arguments& a) {
  static int code = std::atoi(a[0].c_str());
  signal(SIGTERM, [](int) {
    [[maybe_unused]] ssize_t n = ::write(1, "terminated\n", 11);
    _exit(code);
  });
  return sleepForever(a);
}

int ignoreTerm(const Arguments& a) {
  signal(SIGTERM, SIG_IGN);
  return sleepForever(a);
}

int orphan(const Arguments&) {
  if (fork() == 0) {
    if (fork() == 0) {
      setsid();
      for (;;) pause();
    }
    _exit(0);
  }
  wait(nullptr);
  std::cout << "orphaned\n" << std::flush;
  return 0;
}

// Standard input to standard output, until its end; then a word on standard error.
int copy(const Arguments&) {
  char piece[64 * 1024];
  for (ssize_t n; (n = ::read(0, piece, sizeof(piece))) > 0;) {
    for (ssize_t at = 0; at < n;) {
      const ssize_t m = ::write(1, piece + at, static_cast<std::size_t>(n - at));
      if (m <= 0) return 1;
      at += m;
    }
  }
  std::cerr << "copied\n" << std::flush;
  return 0;
}

void sayTerminal() {
  winsize size{};
  sayCall("winsize", ioctl(0, TIOCGWINSZ, &size));
  say("columns", size.ws_col);
  say("rows", size.ws_row);
}

// What it knows of its terminal, then after each change of its size.
int terminal(const Arguments&) {
  sigset_t changes;
  sigemptyset(&changes);
  sigaddset(&changes, SIGWINCH);
  sigprocmask(SIG_BLOCK, &changes, nullptr);
  say("tty", isatty(0) && isatty(1) && isatty(2) ? "yes" : "no");
  char name[64] = "";
  ttyname_r(0, name, sizeof(name));
  say("name", name);
  say("leader", getpid() == getsid(0) && tcgetsid(0) == getpid() ? "yes" : "no");
  say("TERM", std::getenv("TERM") ? std::getenv("TERM") : "");
  struct stat file{};
  fstat(0, &file);
  say("owner", static_cast<long>(file.st_uid));
  for (int signal = 0;; sigwait(&changes, &signal)) {
    sayTerminal();
    std::cout << "waiting\n" << std::flush;
  }
}

// Leaves a process behind that has nothing to do with this one any more, and stays or ends.
int detach(const Arguments& a) {
  if (fork() == 0) {
    setsid();
    if (fork() == 0) {
      setsid();
      const int null = open("/dev/null", O_RDWR);
      for (int fd : {0, 1, 2}) dup2(null, fd);
      for (;;) pause();
    }
    _exit(0);
  }
  wait(nullptr);
  std::cout << "detached\n" << std::flush;
  while (a[0] == "stay") pause();
  return 0;
}

int chatter(const Arguments& a) {
  std::string line(1023, 'c');
  for (long i = std::atol(a[0].c_str()) * 1024; i > 0; --i) std::cout << line << "\n";
  return 0;
}

int spin(const Arguments& a) {
  timespec now;
  do {
    clock_gettime(CLOCK_MONOTONIC, &now);
  } while (true);
}

int count(const Arguments&) {
  for (long i = 0;; ++i) {
    std::cout << i << "\n" << std::flush;
    usleep(2000);
  }
}

int connectTo(const Arguments& a) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(std::atoi(a[1].c_str())));
  inet_pton(AF_INET, a[0].c_str(), &address.sin_addr);
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  sayCall("connect", connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)));
  return 0;
}

// An HTTP server for one fixed answer, one connection at a time.
int serve(const Arguments& a) {
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  int on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_ANY);
  address.sin_port = htons(static_cast<std::uint16_t>(std::atoi(a[0].c_str())));
  if (bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) return errno;
  listen(listener, 16);
  for (;;) {
    int fd = accept(listener, nullptr, nullptr);
    char request[1024];
    if (read(fd, request, sizeof(request)) > 0) {
      constexpr char kAnswer[] =
          "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
      [[maybe_unused]] ssize_t n = ::write(fd, kAnswer, sizeof(kAnswer) - 1);
    }
    close(fd);
  }
}

}  // namespace

int main(int count_, char** arguments) {
  const std::map<std::string, std::function<int(const Arguments&)>> commands = {
      {"report", report},
      {"environment", environment},
      {"descriptors", descriptors},
      {"attempts", attempts},
      {"list", list},
      {"show", show},
      {"write", writeText},
      {"try", tryFile},
      {"exit", exitWith},
      {"raise", raiseSignal},
      {"eat", eat},
      {"forks", forks},
      {"fill", fill},
      {"sleep", sleepForever},
      {"on-term", onTerm},
      {"ignore-term", ignoreTerm},
      {"orphan", orphan},
      {"copy", copy},
      {"terminal", terminal},
      {"detach", detach},
      {"chatter", chatter},
      {"spin", spin},
      {"count", count},
      {"connect", connectTo},
      {"serve", serve}};
  if (count_ < 2) return 2;
  auto command = commands.find(arguments[1]);
  if (command == commands.end()) return 2;
  Arguments rest(arguments + 2, arguments + count_);
  rest.resize(std::max<std::size_t>(rest.size(), 2));
  int code = command->second(rest);
  std::cout << std::flush;
  return code;
}
