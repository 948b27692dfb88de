#include "launcher/seccomp.h"

#include <bit>
#include <cstddef>
#include <initializer_list>
#include <map>
#include <span>
#include <sstream>

#include <linux/audit.h>
#include <linux/bpf_common.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace okibi::launcher {

namespace {

// Names that this libseccomp or this architecture does not know are passed over.
constexpr std::string_view kAllowed =
    "_llseek _newselect accept accept4 access adjtimex alarm arch_prctl arm_fadvise64_64 bind "
    "breakpoint brk cacheflush cachestat capget capset chdir chmod chown chown32 chroot "
    "clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime "
    "clock_gettime64 clock_nanosleep clock_nanosleep_time64 close close_range connect "
    "copy_file_range creat dup dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_ctl_old "
    "epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 execve execveat exit "
    "exit_group faccessat faccessat2 fadvise64 fadvise64_64 fallocate fanotify_mark fchdir "
    "fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64 fdatasync fgetxattr "
    "flistxattr flock fork fremovexattr fsetxattr fstat fstat64 fstatat64 fstatfs fstatfs64 "
    "fsync ftruncate ftruncate64 futex futex_requeue futex_time64 futex_wait futex_waitv "
    "futex_wake futimesat get_robust_list get_thread_area getcpu getcwd getdents getdents64 "
    "getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getitimer "
    "getpeername getpgid getpgrp getpid getppid getpriority getrandom getresgid getresgid32 "
    "getresuid getresuid32 getrlimit getrusage getsid getsockname getsockopt gettid "
    "gettimeofday getuid getuid32 getxattr getxattrat inotify_add_watch inotify_init "
    "inotify_init1 inotify_rm_watch io_cancel io_destroy io_getevents io_pgetevents "
    "io_pgetevents_time64 io_setup io_submit ioctl ioprio_get ioprio_set ipc kill "
    "landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown lchown32 "
    "lgetxattr link linkat listen listmount listxattr listxattrat llistxattr lremovexattr "
    "lseek lsetxattr lsm_get_self_attr lsm_list_modules lstat lstat64 madvise map_shadow_stack "
    "membarrier memfd_create memfd_secret mincore mkdir mkdirat mknod mknodat mlock mlock2 "
    "mlockall mmap mmap2 modify_ldt mprotect mq_getsetattr mq_notify mq_open mq_timedreceive "
    "mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink mremap msgctl msgget "
    "msgrcv msgsnd msync munlock munlockall munmap name_to_handle_at nanosleep newfstatat open "
    "openat openat2 pause pidfd_open pidfd_send_signal pipe pipe2 pkey_alloc pkey_free "
    "pkey_mprotect poll ppoll ppoll_time64 prctl pread64 preadv preadv2 prlimit64 "
    "process_mrelease process_vm_readv process_vm_writev pselect6 pselect6_time64 ptrace "
    "pwrite64 pwritev pwritev2 read readahead readdir readlink readlinkat readv recv recvfrom "
    "recvmmsg recvmmsg_time64 recvmsg remap_file_pages removexattr removexattrat rename "
    "renameat renameat2 restart_syscall riscv_flush_icache riscv_hwprobe rmdir rseq "
    "rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend "
    "rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sched_get_priority_max "
    "sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler "
    "sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity sched_setattr "
    "sched_setparam sched_setscheduler sched_yield seccomp select semctl semget semop "
    "semtimedop semtimedop_time64 send sendfile sendfile64 sendmmsg sendmsg sendto "
    "set_robust_list set_thread_area set_tid_address set_tls setfsgid setfsgid32 setfsuid "
    "setfsuid32 setgid setgid32 setgroups setgroups32 setitimer setpgid setpriority setregid "
    "setregid32 setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setrlimit "
    "setsid setsockopt setuid setuid32 setxattr setxattrat shmat shmctl shmdt shmget shutdown "
    "sigaction sigaltstack signal signalfd signalfd4 sigpending sigprocmask sigreturn "
    "sigsuspend socketcall socketpair splice stat stat64 statfs statfs64 statmount statx "
    "symlink symlinkat sync sync_file_range sync_file_range2 syncfs sysinfo tee tgkill time "
    "timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime "
    "timer_settime64 timerfd timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime "
    "timerfd_settime64 times tkill truncate truncate64 ugetrlimit umask uname unlink unlinkat "
    "uretprobe utime utimensat utimensat_time64 utimes vfork vmsplice wait4 waitid waitpid "
    "write writev";

// Refused with EPERM, as programs expect of a call that needs privileges. Whatever is in neither
// table is answered ENOSYS, so that programs fall back to what an older kernel has.
constexpr std::string_view kDenied =
    "acct add_key bdflush bpf clock_settime clock_settime64 create_module delete_module "
    "fanotify_init finit_module fsconfig fsmount fsopen fspick get_kernel_syms get_mempolicy "
    "init_module io_uring_enter io_uring_register io_uring_setup ioperm iopl kcmp "
    "kexec_file_load kexec_load keyctl lookup_dcookie mbind migrate_pages mount mount_setattr "
    "move_mount move_pages nfsservctl open_by_handle_at open_tree perf_event_open pidfd_getfd "
    "pivot_root process_madvise query_module quotactl quotactl_fd reboot request_key "
    "set_mempolicy set_mempolicy_home_node setdomainname sethostname setns settimeofday stime "
    "swapoff swapon sysfs syslog umount umount2 unshare uselib userfaultfd ustat vhangup vm86 "
    "vm86old";

// Each of these bits of clone(2) makes a namespace.
constexpr std::uint32_t kNamespaceFlags = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS |
                                          CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |
                                          CLONE_NEWNET;
// The execution domains that only change the look of things (PER_LINUX, PER_LINUX32, UNAME26,
// query).
constexpr std::uint32_t kPersonalities[] = {0x0, 0x8, 0x20000, 0x20008, 0xffffffff};

constexpr std::uint32_t kAllow = SECCOMP_RET_ALLOW;
constexpr std::uint32_t kDeny = SECCOMP_RET_ERRNO | EPERM;
constexpr std::uint32_t kUnknown = SECCOMP_RET_ERRNO | ENOSYS;

// What a system call number leads to: a constant answer, or a look at the first argument.
enum class Verdict { Unknown, Deny, Allow, Clone, Socket, Personality };

using Program = SeccompProgram;

sock_filter statement(int code, std::uint32_t k) {
  return BPF_STMT(static_cast<__u16>(code), k);
}
sock_filter jump(int code, std::uint32_t k, std::size_t yes, std::size_t no) {
  return BPF_JUMP(static_cast<__u16>(code), k, static_cast<__u8>(yes), static_cast<__u8>(no));
}
sock_filter answer(std::uint32_t action) {
  return statement(BPF_RET | BPF_K, action);
}
// The kernel takes these arguments as 32-bit integers, and so does the filter.
sock_filter loadFirstArgument() {
  constexpr bool kLittle = std::endian::native == std::endian::little;
  return statement(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args) + (kLittle ? 0 : 4));
}

Program verdictCode(Verdict verdict) {
  switch (verdict) {
    case Verdict::Unknown:
      return {answer(kUnknown)};
    case Verdict::Deny:
      return {answer(kDeny)};
    case Verdict::Allow:
      return {answer(kAllow)};
    case Verdict::Clone:
      return {loadFirstArgument(), jump(BPF_JMP | BPF_JSET | BPF_K, kNamespaceFlags, 0, 1),
              answer(kDeny), answer(kAllow)};
    case Verdict::Socket:
      return {loadFirstArgument(), jump(BPF_JMP | BPF_JEQ | BPF_K, AF_VSOCK, 0, 1), answer(kDeny),
              answer(kAllow)};
    case Verdict::Personality:
      break;
  }
  Program code = {loadFirstArgument()};
  for (std::uint32_t domain : kPersonalities) {
    code.push_back(jump(BPF_JMP | BPF_JEQ | BPF_K, domain, 0, 1));
    code.push_back(answer(kAllow));
  }
  code.push_back(answer(kUnknown));
  return code;
}

using Verdicts = std::map<std::uint32_t, Verdict>;  // by system call number; the rest is Unknown

void addAll(Verdicts& verdicts, std::uint32_t architecture, Verdict verdict,
            std::string_view names) {
  std::stringstream words{std::string(names)};
  for (std::string name; words >> name;) {
    int number = seccomp_syscall_resolve_name_arch(architecture, name.c_str());
    if (number >= 0) verdicts[static_cast<std::uint32_t>(number)] = verdict;
  }
}

// i386 has its socket and System V calls twice: bundled (socketcall, ipc), which is all that
// libseccomp names there, and one by one under these numbers.
void addUnbundled(Verdicts& verdicts) {
  constexpr std::uint32_t kRecvmmsg = 337, kSendmmsg = 345, kSocket = 359, kShutdown = 373;
  constexpr std::uint32_t kSemget = 393, kMsgctl = 402;
  for (std::uint32_t number : {kRecvmmsg, kSendmmsg}) verdicts[number] = Verdict::Allow;
  for (std::uint32_t number = kSocket; number <= kShutdown; ++number)
    verdicts[number] = Verdict::Allow;
  for (std::uint32_t number = kSemget; number <= kMsgctl; ++number)
    verdicts[number] = Verdict::Allow;
  verdicts[kSocket] = Verdict::Socket;
}

Verdicts verdictsFor(std::uint32_t architecture) {
  Verdicts verdicts;
  addAll(verdicts, architecture, Verdict::Allow, kAllowed);
  addAll(verdicts, architecture, Verdict::Deny, kDenied);
  // clone3 is in no table, so glibc falls back on ENOSYS to clone, whose flags a filter can see.
  addAll(verdicts, architecture, Verdict::Clone, "clone");
  addAll(verdicts, architecture, Verdict::Socket, "socket");
  addAll(verdicts, architecture, Verdict::Personality, "personality");
  if (architecture == SCMP_ARCH_X86) addUnbundled(verdicts);
  return verdicts;
}

// Neighbouring numbers with one verdict, from `first` to the next range.
struct Range {
  std::uint32_t first;
  Verdict verdict;
};

std::vector<Range> toRanges(const Verdicts& verdicts) {
  std::vector<Range> ranges = {{0, Verdict::Unknown}};
  std::uint32_t next = 0;
  for (const auto& [number, verdict] : verdicts) {
    if (number != next && ranges.back().verdict != Verdict::Unknown) {
      ranges.push_back({next, Verdict::Unknown});
    }
    if (ranges.back().verdict != verdict) ranges.push_back({number, verdict});
    next = number + 1;
  }
  ranges.push_back({next, Verdict::Unknown});
  return ranges;
}

// Binary search: "number >= middle?" leads over the lower half to the upper one.
Program searchCode(std::span<const Range> ranges) {
  if (ranges.size() == 1) return verdictCode(ranges[0].verdict);
  std::size_t middle = ranges.size() / 2;
  Program lower = searchCode(ranges.first(middle)), upper = searchCode(ranges.subspan(middle));
  Program code;
  if (lower.size() <= 255) {
    code.push_back(jump(BPF_JMP | BPF_JGE | BPF_K, ranges[middle].first, lower.size(), 0));
  } else {
    code.push_back(jump(BPF_JMP | BPF_JGE | BPF_K, ranges[middle].first, 0, 1));
    code.push_back(statement(BPF_JMP | BPF_JA, static_cast<std::uint32_t>(lower.size())));
  }
  code.insert(code.end(), lower.begin(), lower.end());
  code.insert(code.end(), upper.begin(), upper.end());
  return code;
}

// Does nothing for another architecture than `architecture`.
void addArchitecture(Program& program, std::uint32_t architecture) {
  Program search = {statement(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};
  Program tree = searchCode(toRanges(verdictsFor(architecture)));
  search.insert(search.end(), tree.begin(), tree.end());
  program.push_back(jump(BPF_JMP | BPF_JEQ | BPF_K, architecture, 1, 0));
  program.push_back(statement(BPF_JMP | BPF_JA, static_cast<std::uint32_t>(search.size())));
  program.insert(program.end(), search.begin(), search.end());
}

}  // namespace

Outcome<SeccompProgram> compileSeccomp() {
  std::uint32_t native = seccomp_arch_native();
  Program program = {statement(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch))};
  addArchitecture(program, native);
  if (native == SCMP_ARCH_X86_64) addArchitecture(program, SCMP_ARCH_X86);
  program.push_back(answer(kUnknown));
  if (program.size() > BPF_MAXINSNS) return refused("the filter is too long");
  return program;
}

Status loadSeccomp(const SeccompProgram& program) {
  sock_fprog filter{static_cast<unsigned short>(program.size()),
                    const_cast<sock_filter*>(program.data())};
  if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) != 0) return failed("load");
  return {};
}

}  // namespace okibi::launcher
