#include "launcher/seccomp.h"

#include <initializer_list>
#include <sstream>

#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
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
constexpr std::uint64_t kNamespaceFlags[] = {CLONE_NEWNS,  CLONE_NEWCGROUP, CLONE_NEWUTS,
                                             CLONE_NEWIPC, CLONE_NEWUSER,   CLONE_NEWPID,
                                             CLONE_NEWNET};
// The execution domains that only change the look of things (PER_LINUX, PER_LINUX32, UNAME26,
// query).
constexpr std::uint64_t kPersonalities[] = {0x0, 0x8, 0x20000, 0x20008, 0xffffffff};

scmp_arg_cmp firstArgument(scmp_compare how, std::uint64_t a, std::uint64_t b) {
  return {0, how, a, b};
}

class Filter {
 public:
  Filter() : context_(seccomp_init(SCMP_ACT_ERRNO(ENOSYS))) {}
  ~Filter() {
    if (context_ != nullptr) seccomp_release(context_);
  }
  Filter(const Filter&) = delete;
  Filter& operator=(const Filter&) = delete;

  void addRule(std::uint32_t action, const char* name,
               std::initializer_list<scmp_arg_cmp> when = {}) {
    int number = seccomp_syscall_resolve_name(name);
    if (number == __NR_SCMP_ERROR || error_ != 0) return;
    int done = seccomp_rule_add_array(context_, action, number, static_cast<unsigned>(when.size()),
                                      when.begin());
    if (done != 0) error_ = -done, culprit_ = name;
  }
  void addArchitecture(std::uint32_t architecture) {
    int done = seccomp_arch_add(context_, architecture);
    if (done != 0 && done != -EEXIST) error_ = -done, culprit_ = "architecture";
  }
  void setAttribute(scmp_filter_attr attribute, std::uint32_t value) {
    int done = seccomp_attr_set(context_, attribute, value);
    if (done != 0) error_ = -done, culprit_ = "attribute";
  }
  Outcome<SeccompProgram> compile() {
    if (context_ == nullptr) return refused("seccomp_init");
    if (error_ != 0) return failed(culprit_, error_);
    Fd file(memfd_create("seccomp", MFD_CLOEXEC));
    if (!file) return failed("memfd_create");
    if (int done = seccomp_export_bpf(context_, file.get()); done != 0)
      return failed("export", -done);
    off_t size = lseek(file.get(), 0, SEEK_END);
    SeccompProgram program(static_cast<std::size_t>(size) / sizeof(sock_filter));
    if (pread(file.get(), program.data(), static_cast<std::size_t>(size), 0) != size)
      return failed("read");
    return program;
  }

 private:
  scmp_filter_ctx context_;
  int error_ = 0;
  std::string culprit_;
};

void addAll(Filter& filter, std::uint32_t action, std::string_view names) {
  std::stringstream words{std::string(names)};
  for (std::string name; words >> name;) filter.addRule(action, name.c_str());
}

void addConditionalRules(Filter& filter) {
  // clone3 is in no table, so glibc falls back on ENOSYS to clone, whose flags a filter can see.
  std::uint64_t all = 0;
  for (std::uint64_t flag : kNamespaceFlags) {
    filter.addRule(SCMP_ACT_ERRNO(EPERM), "clone", {firstArgument(SCMP_CMP_MASKED_EQ, flag, flag)});
    all |= flag;
  }
  filter.addRule(SCMP_ACT_ALLOW, "clone", {firstArgument(SCMP_CMP_MASKED_EQ, all, 0)});
  filter.addRule(SCMP_ACT_ALLOW, "socket", {firstArgument(SCMP_CMP_NE, AF_VSOCK, 0)});
  filter.addRule(SCMP_ACT_ERRNO(EPERM), "socket", {firstArgument(SCMP_CMP_EQ, AF_VSOCK, 0)});
  for (std::uint64_t domain : kPersonalities) {
    filter.addRule(SCMP_ACT_ALLOW, "personality", {firstArgument(SCMP_CMP_EQ, domain, 0)});
  }
}

}  // namespace

Outcome<SeccompProgram> compileSeccomp() {
  Filter filter;
  filter.setAttribute(SCMP_FLTATR_CTL_OPTIMIZE, 2);  // binary tree: 10 comparisons instead of 400
  filter.setAttribute(SCMP_FLTATR_CTL_NNP, 0);       // set by the launch itself
  filter.setAttribute(SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));
#if defined(__x86_64__)
  filter.addArchitecture(SCMP_ARCH_X86);
#endif
  addAll(filter, SCMP_ACT_ALLOW, kAllowed);
  addAll(filter, SCMP_ACT_ERRNO(EPERM), kDenied);
  addConditionalRules(filter);
  return filter.compile();
}

Status loadSeccomp(const SeccompProgram& program) {
  sock_fprog filter{static_cast<unsigned short>(program.size()),
                    const_cast<sock_filter*>(program.data())};
  if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) != 0) return failed("load");
  return {};
}

}  // namespace okibi::launcher
