#include "runtime/native_runtime.h"

#include <fstream>
#include <set>
#include <sstream>
#include <thread>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/testing/sandbox_fixture.h"

namespace okibi::runtime::testing {
namespace {

namespace fs = std::filesystem;

std::string text(const fs::path& file) {
  std::stringstream all;
  all << std::ifstream(file).rdbuf();
  return all.str();
}

// A zombie that the host's init has not collected yet does not run.
bool isRunning(int pid) {
  std::string status = text("/proc/" + std::to_string(pid) + "/status");
  return !status.empty() && !status.contains("State:\tZ") && !status.contains("State:\tX");
}

TEST_F(SandboxTest, OutputAndExitCodeArriveInOrder) {
  seams::InstanceExit exit = runToEnd(spec({"exit", "7"}));
  EXPECT_EQ(exit.exitCode, 7);
  EXPECT_EQ(exit.signal, 0);
  EXPECT_FALSE(exit.outOfMemory);
  seams::InstanceSpec s = spec({"report"});
  runToEnd(s);
  EXPECT_NE(recorder_.out[s.id].find("hostname=" + s.name), std::string::npos);
}

TEST_F(SandboxTest, ASignalIsReportedAsOne) {
  EXPECT_EQ(runToEnd(spec({"raise", std::to_string(SIGABRT)})).signal, SIGABRT);
}

TEST_F(SandboxTest, EveryNamespaceIsItsOwn) {
  auto report = reportOf({"report"});
  for (const char* ns : {"pid", "mnt", "ipc", "uts", "net", "cgroup"}) {
    std::string host = fs::read_symlink(std::string("/proc/self/ns/") + ns);
    EXPECT_NE(report["ns." + std::string(ns)], host) << ns;
    EXPECT_FALSE(report["ns." + std::string(ns)].empty());
  }
  EXPECT_EQ(report["ppid"], "1");
}

TEST_F(SandboxTest, RootHasTheDefaultCapabilitiesAndNoNewPrivileges) {
  auto report = reportOf({"report"});
  // chown dac_override fowner fsetid kill setgid setuid setpcap net_bind_service sys_chroot
  // audit_write setfcap: Docker's defaults without net_raw and mknod.
  constexpr unsigned long kExpected = 0xa80425fbUL & ~(1UL << 13) & ~(1UL << 27);
  EXPECT_EQ(std::stoul(report["CapBnd"], nullptr, 16), kExpected);
  EXPECT_EQ(std::stoul(report["CapEff"], nullptr, 16), kExpected);
  EXPECT_EQ(std::stoul(report["CapInh"], nullptr, 16), 0u);
  EXPECT_EQ(std::stoul(report["CapAmb"], nullptr, 16), 0u);
  EXPECT_EQ(report["NoNewPrivs"], "1");
  EXPECT_EQ(report["Seccomp"], "2");
}

TEST_F(SandboxTest, UsersAreResolvedInsideTheImage) {
  auto report = reportOf({"report"}, [](auto& s) { s.user = "app"; });
  EXPECT_EQ(report["uid"], "1000");
  EXPECT_EQ(report["gid"], "1001");
  EXPECT_EQ(report["groups"], "29,44");
  EXPECT_EQ(std::stoul(report["CapEff"], nullptr, 16), 0u);
  report = reportOf({"report"}, [](auto& s) { s.user = "4242:4343"; });
  EXPECT_EQ(report["uid"], "4242");
  EXPECT_EQ(report["gid"], "4343");
  EXPECT_EQ(report["groups"], "");
  report = reportOf({"report"}, [](auto& s) { s.user = "app:video"; });
  EXPECT_EQ(report["gid"], "44");
}

TEST_F(SandboxTest, EnvironmentIsTheSpecsCompleted) {
  auto environment = reportOf({"environment"}, [](auto& s) {
    s.user = "app";
    s.environment = {"GREETING=hello"};
  });
  EXPECT_EQ(environment["GREETING"], "hello");
  EXPECT_EQ(environment["HOME"], "/home/app");
  EXPECT_NE(environment["PATH"].find("/usr/bin"), std::string::npos);
  EXPECT_EQ(environment.size(), 4u);  // and HOSTNAME: nothing of the host
}

TEST_F(SandboxTest, TheWorkingDirectoryIsMadeWhenMissing) {
  auto report = reportOf({"report"}, [](auto& s) { s.workingDirectory = "/srv/deep/app"; });
  EXPECT_EQ(report["cwd"], "/srv/deep/app");
  EXPECT_FALSE(fs::exists(image_ / "srv"));
}

TEST_F(SandboxTest, OnlyTheStandardStreamsAreInherited) {
  auto fds = reportOf({"descriptors"});
  EXPECT_EQ(fds.size(), 3u);
  EXPECT_EQ(fds["0"], "/dev/null");
  EXPECT_TRUE(fds["1"].starts_with("pipe:"));
  EXPECT_TRUE(fds["2"].starts_with("pipe:"));
}

TEST_F(SandboxTest, PrivilegedCallsAreRefused) {
  auto got = reportOf({"attempts"});
  const char* denied[] = {
      "unshare_user", "unshare_mount", "clone_user",  "mount",       "umount",  "fsopen",
      "pivot_root",   "setns",         "keyctl",      "bpf",         "perf",    "io_uring",
      "userfaultfd",  "reboot",        "init_module", "sethostname", "settime", "open_by_handle",
      "mknod",        "raw_socket",    "vsock",       "ptrace_init"};
  for (const char* call : denied) EXPECT_EQ(got[call], std::to_string(EPERM)) << call;
  EXPECT_EQ(got["clone3"], std::to_string(ENOSYS));
}

TEST_F(SandboxTest, ProcAndSysAreMasked) {
  auto got = reportOf({"attempts"});
  EXPECT_EQ(got["kcore_bytes"], "0");
  EXPECT_EQ(got["keys_bytes"], "0");
  EXPECT_EQ(got["firmware_entries"], "0");
  EXPECT_NE(got["write_sysrq"], "0");  // not every kernel has it
  for (const char* path : {"write_sysctl", "write_sys"}) {
    EXPECT_EQ(got[path], std::to_string(EROFS)) << path;
  }
  EXPECT_NE(got["write_cgroup"], "0");
  for (const char* path : {"read_init_memory", "read_init_environ"}) {
    EXPECT_EQ(got[path], std::to_string(EACCES)) << path;
  }
}

TEST_F(SandboxTest, DevicesAreTheMinimalSetAndTheImagesOwnDoNotOpen) {
  seams::InstanceSpec s = spec({"list", "/dev"});
  runToEnd(s);
  std::stringstream lines(recorder_.out[s.id]);
  std::set<std::string> names;
  for (std::string name; std::getline(lines, name);) names.insert(name);
  std::set<std::string> expected = {".",       "..",    "null",   "zero",  "full", "random",
                                    "urandom", "tty",   "ptmx",   "pts",   "shm",  "mqueue",
                                    "fd",      "stdin", "stdout", "stderr"};
  EXPECT_EQ(names, expected);
  EXPECT_EQ(reportOf({"attempts"})["nodev"], std::to_string(EACCES));
}

TEST_F(SandboxTest, NetworkFilesAreTheInstancesAndTheImageStaysAsItWas) {
  seams::InstanceSpec s = spec({"show", "/etc/hosts"});
  runToEnd(s);
  EXPECT_NE(recorder_.out[s.id].find(s.name), std::string::npos);
  EXPECT_EQ(text(image_ / "etc/hosts"), "127.0.0.1 from-the-image\n");
  EXPECT_TRUE(fs::is_symlink(image_ / "etc/resolv.conf"));
  s = spec({"show", "/etc/resolv.conf"});
  EXPECT_EQ(runToEnd(s).exitCode, 0);
  EXPECT_EQ(runToEnd(spec({"write", "/etc/new", "x"})).exitCode, 0);
  EXPECT_FALSE(fs::exists(image_ / "etc/new"));
}

TEST_F(SandboxTest, MemoryLimitKillsAndIsReported) {
  seams::InstanceSpec s = spec({"eat", "400"});
  s.memory = Bytes::mib(64);
  seams::InstanceExit exit = runToEnd(s);
  EXPECT_EQ(exit.signal, SIGKILL);
  EXPECT_TRUE(exit.outOfMemory);
}

TEST_F(SandboxTest, PidsLimitAnswersEagain) {
  auto got = reportOf({"forks", "100"}, [](auto& s) { s.pids = 10; });
  EXPECT_EQ(got["error"], std::to_string(EAGAIN));
  EXPECT_LE(std::stoi(got["made"]), 10);
  EXPECT_GE(std::stoi(got["made"]), 8);
}

TEST_F(SandboxTest, DiskLimitAnswersEnospc) {
  auto got = reportOf({"fill", "/big", "100"});
  EXPECT_EQ(got["error"], std::to_string(ENOSPC));
  EXPECT_LT(std::stol(got["written"]), Bytes::mib(33).count());
  EXPECT_GT(std::stol(got["written"]), Bytes::mib(20).count());
}

TEST_F(SandboxTest, SharedMemoryHasItsSize) {
  EXPECT_EQ(reportOf({"report"})["shm"], std::to_string(Bytes::mib(8).count()));
  auto got = reportOf({"fill", "/dev/shm/big", "20"});
  EXPECT_EQ(got["error"], std::to_string(ENOSPC));
}

TEST_F(SandboxTest, CpuQuotaHolds) {
  seams::InstanceSpec s = spec({"spin"});
  s.cpu = MilliCpu{100};
  ASSERT_TRUE(start(s));
  awaitVoid(loop_->sleep(std::chrono::milliseconds(1000)));
  auto use = runtime_->resourceUse(s.id);
  ASSERT_TRUE(use) << use.error().message;
  // A tenth of a second of a second that may well be stretched on a busy machine, never half.
  EXPECT_LT(use->cpu, std::chrono::milliseconds(500));
  EXPECT_GT(use->cpu, Duration{});
  EXPECT_GT(use->memory.count(), 0);
  stop(s.id);
}

void expectStartError(Result<void> result, const std::string& step, const std::string& reason) {
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message.find(step + ": "), 0u) << result.error().message;
  EXPECT_NE(result.error().message.find(reason), std::string::npos) << result.error().message;
}

TEST_F(SandboxTest, FailedStartsNameTheStep) {
  seams::InstanceSpec s = spec({});
  s.arguments = {"/missing"};
  expectStartError(start(s), "exec", "'/missing': No such file or directory");
  s = spec({});
  s.arguments = {"missing-in-path"};
  expectStartError(start(s), "exec", "'missing-in-path': No such file");
  s = spec({});
  s.arguments = {"/notexecutable"};
  expectStartError(start(s), "exec", "Permission denied");
  s = spec({"report"});
  s.user = "nobody-here";
  expectStartError(start(s), "user", "nobody-here");
  s = spec({"report"});
  s.layers.push_back(image_ / "missing");
  expectStartError(start(s), "overlay", "open layer");
  s = spec({"report"});
  s.workingDirectory = "/probe/inside-a-file";
  expectStartError(start(s), "working directory", "Not a directory");
  s = spec({"report"});
  s.disk = Bytes(4096);
  expectStartError(start(s), "disk", "below");
  EXPECT_TRUE(recorder_.exits.empty());  // none of them ever started
}

// Its init may have been reaped before the launcher hears that it was made.
TEST_F(SandboxTest, AnInstanceThatDiesAtOnceTakesNothingElseAlong) {
  seams::InstanceSpec bystander = spec({"sleep"});
  ASSERT_TRUE(start(bystander));
  for (int i = 0; i < 50; ++i) {
    seams::InstanceSpec s = spec({});
    s.arguments = {"/missing"};
    expectStartError(start(s), "exec", "'/missing': No such file or directory");
  }
  EXPECT_TRUE(runtime_->pidOf(bystander.id));
  EXPECT_TRUE(recorder_.exits.empty());
  stop(bystander.id);
}

TEST_F(SandboxTest, AnImageWhoseProcIsALinkIsRefused) {
  fs::create_symlink("/etc", image_ / "proc");
  expectStartError(start(spec({"report"})), "proc", "/proc is not a plain directory");
}

TEST_F(SandboxTest, AnEmptyCommandIsInvalid) {
  seams::InstanceSpec s = spec({});
  s.arguments.clear();
  Result<void> result = start(s);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::Invalid);
}

TEST_F(SandboxTest, StopSendsTermAndTheApplicationMayFinish) {
  seams::InstanceSpec s = spec({"on-term", "9"});
  ASSERT_TRUE(start(s));
  ASSERT_TRUE(until([&] { return recorder_.out[s.id].contains("asleep"); }));
  stop(s.id, std::chrono::seconds(20));
  ASSERT_EQ(recorder_.exits.size(), 1u);
  EXPECT_EQ(recorder_.exits[0].exitCode, 9);
  EXPECT_TRUE(recorder_.out[s.id].contains("terminated"));
  stop(s.id);  // idempotent
}

TEST_F(SandboxTest, StopKillsWhatIgnoresTerm) {
  seams::InstanceSpec s = spec({"ignore-term"});
  ASSERT_TRUE(start(s));
  ASSERT_TRUE(until([&] { return recorder_.out[s.id].contains("asleep"); }));
  int pid = runtime_->pidOf(s.id).value();
  stop(s.id, std::chrono::milliseconds(50));
  ASSERT_EQ(recorder_.exits.size(), 1u);
  EXPECT_EQ(recorder_.exits[0].signal, SIGKILL);
  EXPECT_FALSE(isRunning(pid));
  EXPECT_FALSE(runtime_->pidOf(s.id));
}

TEST_F(SandboxTest, OrphansEndWithTheApplication) {
  EXPECT_EQ(runToEnd(spec({"orphan"})).exitCode, 0);
}

TEST_F(SandboxTest, AChattyApplicationIsReadToTheEndInPieces) {
  seams::InstanceSpec s = spec({"chatter", "4"});
  runToEnd(s);
  EXPECT_EQ(recorder_.out[s.id].size(), 4u << 20);
}

TEST_F(SandboxTest, FreezeStopsAndThawContinues) {
  seams::InstanceSpec s = spec({"count"});
  ASSERT_TRUE(start(s));
  ASSERT_TRUE(until([&] { return recorder_.out[s.id].size() > 4; }));
  Result<void> frozen = runtime_->freeze(s.id);
  ASSERT_TRUE(frozen) << frozen.error().message;
  // What was already in the pipe may take its time on a busy machine, but it ends.
  std::size_t size = 0;
  for (int round = 0; round < 1000 && size != recorder_.out[s.id].size(); ++round) {
    size = recorder_.out[s.id].size();
    awaitVoid(loop_->sleep(std::chrono::milliseconds(30)));
  }
  awaitVoid(loop_->sleep(std::chrono::milliseconds(50)));
  EXPECT_EQ(recorder_.out[s.id].size(), size);
  ASSERT_TRUE(runtime_->thaw(s.id));
  EXPECT_TRUE(until([&] { return recorder_.out[s.id].size() > size; }));
  ASSERT_TRUE(runtime_->freeze(s.id));
  stop(s.id);  // a frozen instance can be stopped
  EXPECT_EQ(recorder_.exits.size(), 1u);
  EXPECT_FALSE(runtime_->freeze(s.id));
}

TEST_F(SandboxTest, ExecuteRunsInsideWithTheInstancesIdentity) {
  seams::InstanceSpec s = spec({"sleep"});
  s.user = "app";
  s.environment = {"GREETING=hello"};
  ASSERT_TRUE(start(s));
  ASSERT_TRUE(until([&] { return recorder_.out[s.id].contains("asleep"); }));
  Result<int> code =
      await(runtime_->execute(s.id, {"/probe", "exit", "5"}, std::chrono::seconds(20)));
  ASSERT_TRUE(code) << code.error().message;
  EXPECT_EQ(*code, 5);
  code = await(runtime_->execute(s.id, {"/probe", "raise", "6"}, std::chrono::seconds(20)));
  EXPECT_EQ(code.value_or(-1), 128 + SIGABRT);
  ASSERT_TRUE(await(runtime_->execute(s.id, {"/probe", "report"}, std::chrono::seconds(20))));
  auto report = parseReport(recorder_.out[s.id]);
  EXPECT_EQ(report["uid"], "1000");
  EXPECT_EQ(report["Seccomp"], "2");
  EXPECT_EQ(report["hostname"], s.name);
  code = await(runtime_->execute(s.id, {"/missing"}, std::chrono::seconds(20)));
  ASSERT_FALSE(code);
  EXPECT_TRUE(code.error().message.starts_with("exec: '/missing'")) << code.error().message;
  code = await(runtime_->execute(s.id, {"/probe", "sleep"}, std::chrono::milliseconds(100)));
  ASSERT_FALSE(code);
  EXPECT_EQ(code.error().kind, ErrorKind::TimedOut);
  EXPECT_TRUE(recorder_.exits.empty());
  stop(s.id);
}

int connectFrom(int fd, std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) return 0;
  return errno;
}

TEST_F(SandboxTest, SocketsReachThisInstanceOnlyAndMoreAreMadeOnDemand) {
  seams::InstanceSpec a = spec({"serve", "80"}), b = spec({"sleep"});
  a.user = "app";  // ports below 1024 are open to everyone inside
  ASSERT_TRUE(start(a));
  ASSERT_TRUE(start(b));
  for (int i = 0; i < 6; ++i) {
    auto fd = await(runtime_->socket(a.id));
    ASSERT_TRUE(fd) << fd.error().message;
    fcntl(fd->get(), F_SETFL, 0);
    EXPECT_TRUE(eventually([&] { return connectFrom(fd->get(), 80) == 0; }));
  }
  auto other = await(runtime_->socket(b.id));
  ASSERT_TRUE(other);
  fcntl(other->get(), F_SETFL, 0);
  EXPECT_EQ(connectFrom(other->get(), 80), ECONNREFUSED);
  stop(a.id);
  stop(b.id);
  EXPECT_EQ(await(runtime_->socket(a.id)).error().kind, ErrorKind::NotFound);
}

TEST_F(SandboxTest, NeitherHostNorNeighbourIsReachableFromInside) {
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  ASSERT_EQ(listen(listener, 4), 0);
  socklen_t size = sizeof(address);
  getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  std::string port = std::to_string(ntohs(address.sin_port));
  EXPECT_EQ(reportOf({"connect", "127.0.0.1", port})["connect"], std::to_string(ECONNREFUSED));
  EXPECT_EQ(reportOf({"connect", "192.0.2.1", port})["connect"], std::to_string(ENETUNREACH));
  seams::InstanceSpec neighbour = spec({"serve", "8123"});
  ASSERT_TRUE(start(neighbour));
  EXPECT_EQ(reportOf({"connect", "127.0.0.1", "8123"})["connect"], std::to_string(ECONNREFUSED));
  stop(neighbour.id);
  close(listener);
}

TEST_F(SandboxTest, FiftyAtOnceAndNothingLeaks) {
  stop(InstanceId(0));
  int ours = openDescriptors(getpid()), theirs = openDescriptors(runtime_->launcherPid());
  std::vector<seams::InstanceSpec> specs;
  for (int i = 0; i < 50; ++i) specs.push_back(spec({"sleep"}));
  int good = 0, done = 0;
  for (const seams::InstanceSpec& s : specs) {
    loop_->spawn([](NativeRuntime& runtime, const seams::InstanceSpec& one, int& started,
                    int& ended, net::Loop& loop) -> net::Task<void> {
      Result<void> result = co_await runtime.start(one);
      EXPECT_TRUE(result) << result.error().message;
      started += result ? 1 : 0;
      co_await runtime.stop(one.id, Duration{});
      if (++ended == 50) loop.stop();
    }(*runtime_, s, good, done, *loop_));
  }
  loop_->run();
  EXPECT_EQ(good, 50);
  EXPECT_EQ(recorder_.exits.size(), 50u);
  EXPECT_LE(openDescriptors(getpid()), ours + 1);
  // The disks' template and a few more slots may have been added since the first look.
  EXPECT_TRUE(eventually([&] { return openDescriptors(runtime_->launcherPid()) <= theirs + 40; }));
}

TEST_F(SandboxTest, TheLaunchersEndTakesEveryInstanceAndAnotherComes) {
  seams::InstanceSpec a = spec({"sleep"}), b = spec({"sleep"});
  ASSERT_TRUE(start(a));
  ASSERT_TRUE(start(b));
  ASSERT_TRUE(runtime_->freeze(b.id));
  int pid = *runtime_->pidOf(a.id);
  kill(runtime_->launcherPid(), SIGKILL);
  ASSERT_TRUE(until([&] { return recorder_.lost == 1; }));
  EXPECT_EQ(recorder_.exitsWhenLost, 2u);
  EXPECT_FALSE(isRunning(pid));
  EXPECT_EQ(start(spec({"sleep"})).error().kind, ErrorKind::Unavailable);
  ASSERT_TRUE(until([&] { return recorder_.restored == 1; }));
  EXPECT_EQ(runToEnd(spec({"exit", "3"})).exitCode, 3);
}

TEST_F(SandboxTest, ClosingTheRuntimeLeavesNothing) {
  seams::InstanceSpec s = spec({"sleep"});
  ASSERT_TRUE(start(s));
  int pid = *runtime_->pidOf(s.id);
  EXPECT_FALSE(groupsOf(directory_ / "state").empty());
  loop_.reset();
  runtime_.reset();
  EXPECT_FALSE(isRunning(pid));
  EXPECT_TRUE(eventually([&] { return groupsOf(directory_ / "state").empty(); }));
}

bool anyLoopOf(const fs::path& directory) {
  for (const std::string& device : loopDevices()) {
    if (device.contains(directory.string())) return true;
  }
  return false;
}

// The daemon is a child of this test that runs one instance and is then killed without warning.
TEST(DaemonDeath, NothingIsLeftOfADaemonKilledMidway) {
  std::string path = (fs::temp_directory_path() / "okibi-death-XXXXXX").string();
  ASSERT_NE(mkdtemp(path.data()), nullptr);
  fs::path directory = path;
  makeImage(directory / "image");
  fs::create_directories(directory / "state");
  int pipes[2];
  ASSERT_EQ(pipe2(pipes, O_CLOEXEC), 0);
  int daemon = fork();
  if (daemon == 0) {
    net::Loop loop;
    auto runtime = NativeRuntime::create(
        loop, {.launcherPath = launcherPath(), .stateDirectory = directory / "state"});
    if (!runtime) _exit(1);
    seams::InstanceSpec s;
    s.id = InstanceId(1);
    s.name = "c-1";
    s.layers = {directory / "image"};
    s.arguments = {"/probe", "sleep"};
    s.cpu = MilliCpu{500};
    s.memory = s.disk = Bytes::mib(64);
    s.sharedMemory = Bytes::mib(8);
    loop.spawn([](NativeRuntime& r, const seams::InstanceSpec& one, int fd) -> net::Task<void> {
      Result<void> started = co_await r.start(one);
      int pids[2] = {started ? *r.pidOf(one.id) : 0, r.launcherPid()};
      (void)!write(fd, pids, sizeof(pids));
    }(**runtime, s, pipes[1]));
    loop.run();
  }
  int pids[2] = {};
  ASSERT_EQ(read(pipes[0], pids, sizeof(pids)), static_cast<ssize_t>(sizeof(pids)));
  ASSERT_GT(pids[0], 0);
  EXPECT_TRUE(anyLoopOf(directory));
  EXPECT_FALSE(groupsOf(directory / "state").empty());
  kill(daemon, SIGKILL);
  waitpid(daemon, nullptr, 0);
  EXPECT_TRUE(eventually([&] { return !isRunning(pids[0]) && !isRunning(pids[1]); }));
  EXPECT_TRUE(eventually([&] { return groupsOf(directory / "state").empty(); }));
  EXPECT_TRUE(eventually([&] { return !anyLoopOf(directory); }));
  EXPECT_EQ(text("/proc/self/mountinfo").find(directory.string()), std::string::npos);
  close(pipes[0]);
  close(pipes[1]);
  fs::remove_all(directory);
}

TEST(Spawn, AMissingLauncherIsNamed) {
  Result<LauncherProcess> launcher =
      spawnLauncher({.launcherPath = "/nonexistent/okibi-launcher", .stateDirectory = "/tmp"});
  ASSERT_FALSE(launcher);
  EXPECT_NE(launcher.error().message.find("/nonexistent/okibi-launcher"), std::string::npos);
}

TEST(Check, PrintsWhatTheMachineCanDo) {
  std::string command =
      launcherPath().string() + " --check --state-dir=" + fs::temp_directory_path().string();
  FILE* pipe = popen(command.c_str(), "r");
  ASSERT_NE(pipe, nullptr);
  std::string output(64 * 1024, '\0');
  output.resize(fread(output.data(), 1, output.size(), pipe));
  EXPECT_EQ(pclose(pipe), 0) << output;
  for (const char* check : {"root", "cgroup memory", "overlay", "writable disks", "seccomp"}) {
    EXPECT_NE(output.find("{\"check\":\"" + std::string(check) + "\",\"ok\":true"),
              std::string::npos)
        << output;
  }
}

}  // namespace
}  // namespace okibi::runtime::testing
