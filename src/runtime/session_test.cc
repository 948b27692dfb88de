// Sessions: programs run inside a living instance, with pipes and with a terminal.

#include <fstream>
#include <set>
#include <sstream>

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "base/random.h"
#include "runtime/testing/sandbox_fixture.h"

namespace okibi::runtime::testing {
namespace {

namespace fs = std::filesystem;

std::string text(const fs::path& file) {
  std::stringstream all;
  all << std::ifstream(file).rdbuf();
  return all.str();
}

using Session = std::unique_ptr<seams::ProgramSession>;

class SessionTest : public SandboxTest {
 protected:
  void SetUp() override {
    SandboxTest::SetUp();
    if (IsSkipped()) return;
    spec_ = spec({"sleep"});
    spec_.user = "app";
    spec_.environment = {"GREETING=hello"};
    ASSERT_TRUE(start(spec_));
    ASSERT_TRUE(until([&] { return recorder_.out[spec_.id].contains("asleep"); }));
  }

  Result<Session> run(std::vector<std::string> command,
                      std::optional<seams::TerminalSize> size = std::nullopt) {
    return await(runtime_->run(spec_.id, {std::move(command), size}));
  }
  int endOf(seams::ProgramSession& session) { return await(session.ended()).value_or(-1); }
  // What comes from `fd` until `word` has come, or its end.
  std::string readUntil(net::UniqueFd& fd, const std::string& word) {
    fcntl(fd.get(), F_SETFL, O_NONBLOCK);
    std::string all;
    const bool ended = eventually([&] {
      char piece[64 * 1024];
      for (;;) {
        const ssize_t n = read(fd.get(), piece, sizeof(piece));
        if (n < 0) return errno != EAGAIN;
        if (n == 0) return true;
        all.append(piece, static_cast<std::size_t>(n));
        if (!word.empty() && all.contains(word)) return true;
      }
    });
    EXPECT_TRUE(ended) << "neither '" << word << "' nor the end came: " << all;
    return all;
  }
  // Host pids of everything in the instance's cgroups.
  std::set<int> processes() {
    const std::string mine =
        text("/proc/" + std::to_string(*runtime_->pidOf(spec_.id)) + "/cgroup");
    std::set<int> found;
    for (const auto& entry : fs::directory_iterator("/proc")) {
      const int pid = std::atoi(entry.path().filename().c_str());
      if (pid > 0 && text(entry.path() / "cgroup") == mine) found.insert(pid);
    }
    return found;
  }

  seams::InstanceSpec spec_;
};

TEST_F(SessionTest, ItIsTheInstancesOwn) {
  auto session = run({"/probe", "report"});
  ASSERT_TRUE(session) << session.error().message;
  auto report = parseReport(readUntil((*session)->out, ""));
  EXPECT_EQ(endOf(**session), 0);
  EXPECT_EQ(report["uid"], "1000");
  EXPECT_EQ(report["groups"], "29,44");
  EXPECT_EQ(report["hostname"], spec_.name);
  EXPECT_EQ(report["cwd"], "/");
  EXPECT_EQ(report["NoNewPrivs"], "1");
  EXPECT_EQ(report["Seccomp"], "2");
  EXPECT_EQ(std::stoul(report["CapBnd"], nullptr, 16), 0xa80425fbUL & ~(1UL << 13) & ~(1UL << 27));
  const fs::path application = "/proc/" + std::to_string(*runtime_->pidOf(spec_.id)) + "/ns";
  for (const char* ns : {"pid", "mnt", "ipc", "uts", "net", "cgroup"}) {
    EXPECT_EQ(report["ns." + std::string(ns)], fs::read_symlink(application / ns)) << ns;
  }
  EXPECT_FALSE(recorder_.out[spec_.id].contains("hostname"));  // it is nobody's log
  auto environment = run({"/probe", "environment"});
  ASSERT_TRUE(environment);
  EXPECT_EQ(parseReport(readUntil((*environment)->out, ""))["GREETING"], "hello");
  auto descriptors = run({"/probe", "descriptors"});
  ASSERT_TRUE(descriptors);
  EXPECT_EQ(parseReport(readUntil((*descriptors)->out, "")).size(), 3u);
}

TEST_F(SessionTest, TenMegabytesPassBothWaysUnharmed) {
  auto session = run({"/probe", "copy"});
  ASSERT_TRUE(session) << session.error().message;
  std::string sent(10 << 20, '\0'), got;
  Random random(7);
  for (char& byte : sent) byte = static_cast<char>(random.next());
  for (net::UniqueFd* fd : {&(*session)->in, &(*session)->out})
    fcntl(fd->get(), F_SETFL, O_NONBLOCK);
  std::size_t written = 0;
  ASSERT_TRUE(eventually([&] {
    for (bool moved = true; moved;) {
      moved = false;
      const ssize_t n = write((*session)->in.get(), sent.data() + written,
                              std::min<std::size_t>(sent.size() - written, 32 * 1024));
      if (n > 0) written += static_cast<std::size_t>(n), moved = true;
      char piece[64 * 1024];
      const ssize_t m = read((*session)->out.get(), piece, sizeof(piece));
      if (m > 0) got.append(piece, static_cast<std::size_t>(m)), moved = true;
    }
    return got.size() == sent.size();
  }));
  EXPECT_TRUE(got == sent);
  (*session)->in.reset();
  EXPECT_EQ(readUntil((*session)->err, ""), "copied\n");
  EXPECT_EQ(endOf(**session), 0);
}

TEST_F(SessionTest, ExitCodesSignalsAndWhatCannotRun) {
  auto session = run({"/probe", "exit", "5"});
  ASSERT_TRUE(session);
  EXPECT_EQ(endOf(**session), 5);
  session = run({"/probe", "raise", "6"});
  ASSERT_TRUE(session);
  EXPECT_EQ(endOf(**session), 128 + SIGABRT);
  session = run({"/missing"});
  ASSERT_FALSE(session);
  EXPECT_EQ(session.error().kind, ErrorKind::Invalid);
  EXPECT_EQ(session.error().message, "exec: '/missing': No such file or directory");
  EXPECT_FALSE(run({}));
  EXPECT_EQ(await(runtime_->run(InstanceId(4711), {{"/probe"}, {}})).error().kind,
            ErrorKind::NotFound);
  EXPECT_TRUE(eventually([&] { return processes().size() == 2; }));
}

TEST_F(SessionTest, ATerminalIsMadeInsideAndChangesItsSize) {
  auto session = run({"/probe", "terminal"}, seams::TerminalSize{132, 43});
  ASSERT_TRUE(session) << session.error().message;
  std::string said = readUntil((*session)->out, "waiting");
  std::erase(said, '\r');
  auto report = parseReport(said);
  EXPECT_EQ(report["tty"], "yes");
  EXPECT_TRUE(report["name"].starts_with("/dev/pts/")) << report["name"];
  EXPECT_EQ(report["leader"], "yes");
  EXPECT_EQ(report["owner"], "1000");
  EXPECT_EQ(report["TERM"], "xterm");
  EXPECT_EQ(report["columns"] + "x" + report["rows"], "132x43");
  (*session)->resize({90, 30});
  said = readUntil((*session)->out, "waiting");
  std::erase(said, '\r');
  report = parseReport(said);
  EXPECT_EQ(report["columns"] + "x" + report["rows"], "90x30");
  ASSERT_EQ(write((*session)->in.get(), "\x03", 1), 1);  // Ctrl-C
  EXPECT_EQ(endOf(**session), 128 + SIGINT);
}

TEST_F(SessionTest, WhatItLeavesBehindEndsWithIt) {
  const std::set<int> before = processes();
  auto session = run({"/probe", "detach", "end"});
  ASSERT_TRUE(session);
  EXPECT_EQ(endOf(**session), 0);
  EXPECT_TRUE(eventually([&] { return processes() == before; }));
}

TEST_F(SessionTest, LettingGoKillsEverythingItHasStarted) {
  const std::set<int> before = processes();
  for (const bool terminal : {false, true}) {
    std::optional<seams::TerminalSize> size;
    if (terminal) size.emplace();
    auto session = run({"/probe", "detach", "stay"}, size);
    ASSERT_TRUE(session);
    readUntil((*session)->out, "detached");
    // Its keeper, the program, and what that has left; who made that may still be going.
    EXPECT_TRUE(eventually([&] { return processes().size() == before.size() + 3; }));
    session->reset();
    EXPECT_TRUE(eventually([&] { return processes() == before; })) << terminal;
  }
  EXPECT_TRUE(recorder_.exits.empty());
}

TEST_F(SessionTest, ItEndsWithTheInstance) {
  auto session = run({"/probe", "ignore-term"});
  ASSERT_TRUE(session);
  readUntil((*session)->out, "asleep");
  stop(spec_.id);
  EXPECT_EQ(readUntil((*session)->out, ""), "");  // its end
  EXPECT_FALSE(await((*session)->ended()));
  EXPECT_FALSE(run({"/probe", "exit", "0"}));
  ASSERT_EQ(recorder_.exits.size(), 1u);
}

TEST_F(SessionTest, ManyAtOnceLeaveNothing) {
  const int descriptors = openDescriptors(getpid());
  {
    std::vector<Session> sessions;
    for (int i = 0; i < 8; ++i) {
      std::optional<seams::TerminalSize> size;
      if (i % 2 == 0) size.emplace();
      auto session = run({"/probe", "sleep"}, size);
      ASSERT_TRUE(session) << session.error().message;
      sessions.push_back(std::move(*session));
    }
  }
  EXPECT_TRUE(eventually([&] { return processes().size() == 2; }));
  EXPECT_EQ(openDescriptors(getpid()), descriptors);
}

}  // namespace
}  // namespace okibi::runtime::testing
