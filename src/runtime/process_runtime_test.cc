#include "runtime/process_runtime.h"

#include <csignal>
#include <filesystem>
#include <fstream>
#include <optional>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/child_program.h"

namespace okibi::runtime {
namespace {

using seams::OutputStream;

class ProcessRuntimeTest : public testing::Test, public seams::InstanceListener {
 public:
  ProcessRuntimeTest() : runtime_(std::make_unique<ProcessRuntime>(loop_)) {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "okibi-process-XXXXXX").string();
    layer_ = mkdtemp(pattern.data());
    runtime_->setListener(this);
  }
  ~ProcessRuntimeTest() override {
    runtime_.reset();
    std::filesystem::remove_all(layer_);
  }

  void onOutput(InstanceId, OutputStream stream, std::string_view bytes) override {
    (stream == OutputStream::Stdout ? out_ : err_) += bytes;
  }
  void onExit(const seams::InstanceExit& exit) override { exit_ = exit; }
  void onRuntimeLost(const std::string&) override {}
  void onRuntimeRestored() override {}

  void script(const std::string& name, const std::string& text) {
    const std::filesystem::path path = layer_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << "#!/bin/sh\n" << text << "\n";
    chmod(path.c_str(), 0755);
  }

  seams::InstanceSpec spec(std::vector<std::string> arguments) {
    seams::InstanceSpec spec;
    spec.id = InstanceId(1);
    spec.name = "c-1";
    spec.layers = {layer_};
    spec.arguments = std::move(arguments);
    spec.environment = {"PATH=/usr/bin:/bin", "FC_CUSTOM_LISTEN_PORT=9000", "WORD=hello"};
    return spec;
  }

  // Runs `work` on the loop to its end.
  void run(net::Task<void> work) {
    loop_.spawn(ending(std::move(work)));
    loop_.run();
  }
  net::Task<void> ending(net::Task<void> work) {
    co_await std::move(work);
    loop_.stop();
  }
  net::Task<void> untilExit() {
    while (!exit_) co_await loop_.sleep(std::chrono::milliseconds(2));
  }
  net::Task<void> untilOutput(std::string text) {
    while (out_.find(text) == std::string::npos) co_await loop_.sleep(std::chrono::milliseconds(2));
  }

  net::Loop loop_;
  std::unique_ptr<ProcessRuntime> runtime_;
  std::filesystem::path layer_;
  std::string out_, err_;
  std::optional<seams::InstanceExit> exit_;
  const InstanceId id_ = InstanceId(1);
};

TEST_F(ProcessRuntimeTest, RunsAProgramOfTheImageOnAPortOfItsOwn) {
  script("app/run", "echo \"$WORD $FC_CUSTOM_LISTEN_PORT $1\"; echo trouble >&2; exit 3");
  script("app/argument", "");
  std::uint16_t port = 0;
  run([](ProcessRuntimeTest& t, std::uint16_t& given) -> net::Task<void> {
    const seams::InstanceSpec wanted = t.spec({"/app/run", "/app/argument"});
    const Result<void> started = co_await t.runtime_->start(wanted);
    EXPECT_TRUE(started);
    given = t.runtime_->portOf(t.id_, 9000);
    co_await t.untilExit();
  }(*this, port));
  EXPECT_NE(port, 9000);
  EXPECT_EQ(out_,
            "hello " + std::to_string(port) + " " + (layer_ / "app/argument").string() + "\n");
  EXPECT_EQ(err_, "trouble\n");
  EXPECT_EQ(exit_->exitCode, 3);
  EXPECT_EQ(runtime_->pidOf(id_).error().kind, ErrorKind::NotFound);
}

TEST_F(ProcessRuntimeTest, AProgramThatIsNotThereIsNamed) {
  run([](ProcessRuntimeTest& t) -> net::Task<void> {
    const seams::InstanceSpec wanted = t.spec({"/app/none"});
    const Result<void> started = co_await t.runtime_->start(wanted);
    EXPECT_FALSE(started);
    EXPECT_EQ(started.error().message, "exec: '/app/none': No such file or directory");
  }(*this));
  EXPECT_FALSE(exit_);
}

TEST_F(ProcessRuntimeTest, StopEndsTheWholeGroupAlsoWhenItWillNot) {
  script("stubborn", "trap '' TERM; sleep 1000 & echo child $!; while :; do sleep 1; done");
  run([](ProcessRuntimeTest& t) -> net::Task<void> {
    const seams::InstanceSpec wanted = t.spec({"/stubborn"});
    const Result<void> started = co_await t.runtime_->start(wanted);
    EXPECT_TRUE(started);
    co_await t.untilOutput("child");
    co_await t.runtime_->stop(t.id_, std::chrono::milliseconds(50));
  }(*this));
  EXPECT_EQ(exit_->signal, SIGKILL);
  const int child = std::stoi(out_.substr(out_.find(' ')));
  // Killed with its group; init reaps it in its own time.
  for (int i = 0; i < 30'000 && kill(child, 0) == 0; ++i) usleep(1000);
  std::ifstream stat("/proc/" + std::to_string(child) + "/stat");
  std::string text;
  std::getline(stat, text);
  EXPECT_TRUE(text.empty() || text.find(") Z") != std::string::npos) << text;
}

TEST_F(ProcessRuntimeTest, FreezeStopsAndThawGoesOn) {
  // No child in between: a shell that waits for one to exec cannot be stopped.
  script("loop", "echo ready; while :; do :; done");
  run([](ProcessRuntimeTest& t) -> net::Task<void> {
    const seams::InstanceSpec wanted = t.spec({"/loop"});
    const Result<void> started = co_await t.runtime_->start(wanted);
    EXPECT_TRUE(started);
    co_await t.untilOutput("ready");
    const auto state = [&] {
      std::ifstream stat("/proc/" + std::to_string(*t.runtime_->pidOf(t.id_)) + "/stat");
      std::string text;
      std::getline(stat, text);
      return text.substr(text.rfind(')') + 2, 1);
    };
    EXPECT_TRUE(t.runtime_->freeze(t.id_));
    while (state() != "T") co_await t.loop_.sleep(std::chrono::milliseconds(1));
    EXPECT_TRUE(t.runtime_->thaw(t.id_));
    while (state() == "T") co_await t.loop_.sleep(std::chrono::milliseconds(1));
    EXPECT_TRUE(t.runtime_->freeze(t.id_));
    co_await t.runtime_->stop(t.id_, std::chrono::seconds(20));
  }(*this));
  EXPECT_EQ(exit_->signal, SIGTERM);
}

TEST_F(ProcessRuntimeTest, ExecutesBesideTheProgramAndGivesUpInTime) {
  script("loop", "echo ready; while :; do sleep 1; done");
  script("hook", "echo hook; exit 7");
  script("slow", "sleep 1000");
  run([](ProcessRuntimeTest& t) -> net::Task<void> {
    const seams::InstanceSpec wanted = t.spec({"/loop"});
    const Result<void> started = co_await t.runtime_->start(wanted);
    EXPECT_TRUE(started);
    const std::vector<std::string> hook = {"/hook"}, slow = {"/slow"};
    const Result<int> code = co_await t.runtime_->execute(t.id_, hook, std::chrono::seconds(60));
    EXPECT_TRUE(code);
    EXPECT_EQ(*code, 7);
    const Result<int> late =
        co_await t.runtime_->execute(t.id_, slow, std::chrono::milliseconds(30));
    EXPECT_FALSE(late);
    EXPECT_EQ(late.error().kind, ErrorKind::TimedOut);
    EXPECT_GT(t.runtime_->resourceUse(t.id_)->memory.count(), 0);
    co_await t.runtime_->stop(t.id_, Duration{});
  }(*this));
  EXPECT_NE(out_.find("hook\n"), std::string::npos);
}

net::Task<std::string> readAll(net::Loop& loop, net::UniqueFd fd) {
  net::FdWatcher watcher(loop, std::move(fd));
  std::string all;
  for (;;) {
    const Result<void> ready = co_await watcher.readable();
    char piece[4096];
    const ssize_t n = ready ? read(watcher.fd(), piece, sizeof piece) : -1;
    if (n < 0 && errno == EAGAIN) continue;
    if (n <= 0) co_return all;  // a terminal that nobody has open any more says EIO
    all.append(piece, static_cast<std::size_t>(n));
  }
}

TEST_F(ProcessRuntimeTest, RunsProgramsForSomebodyWhoTalksWithThem) {
  script("app/run", "exec sleep 1000");
  script("app/talk", "read line; echo \"$WORD $line\"; echo trouble >&2; exit 3");
  script("app/terminal", "stty size; read line; stty size; exit 4");
  run([](ProcessRuntimeTest& t) -> net::Task<void> {
    const seams::InstanceSpec wanted = t.spec({"/app/run"});
    const Result<void> started = co_await t.runtime_->start(wanted);
    EXPECT_TRUE(started);
    auto talk = co_await t.runtime_->run(t.id_, {{"/app/talk"}, std::nullopt});
    EXPECT_EQ(write((*talk)->in.get(), "world\n", 6), 6);
    const std::string said = co_await readAll(t.loop_, std::move((*talk)->out));
    EXPECT_EQ(said, "hello world\n");
    const Result<int> code = co_await (*talk)->ended();
    EXPECT_EQ(code.value_or(-1), 3);

    auto terminal =
        co_await t.runtime_->run(t.id_, {{"/app/terminal"}, seams::TerminalSize{90, 30}});
    (*terminal)->resize({100, 40});
    EXPECT_EQ(write((*terminal)->in.get(), "\n", 1), 1);
    const std::string shown = co_await readAll(t.loop_, std::move((*terminal)->out));
    EXPECT_NE(shown.find("40 100"), std::string::npos) << shown;
    const Result<int> end = co_await (*terminal)->ended();
    EXPECT_EQ(end.value_or(-1), 4);

    auto missing = co_await t.runtime_->run(t.id_, {{"/app/missing"}, std::nullopt});
    EXPECT_NE(missing.error().message.find("exec: '/app/missing'"), std::string::npos);
    co_await t.runtime_->stop(t.id_, Duration{});
  }(*this));
}

TEST_F(ProcessRuntimeTest, ProgramsEndWithTheirSessionAndWithTheInstance) {
  script("app/run", "exec sleep 1000");
  run([](ProcessRuntimeTest& t) -> net::Task<void> {
    const seams::InstanceSpec wanted = t.spec({"/app/run"});
    const Result<void> started = co_await t.runtime_->start(wanted);
    EXPECT_TRUE(started);
    auto dropped = co_await t.runtime_->run(t.id_, {{"sleep", "1000"}, std::nullopt});
    net::UniqueFd out = std::move((*dropped)->out);
    dropped->reset();
    const std::string rest = co_await readAll(t.loop_, std::move(out));
    EXPECT_EQ(rest, "");
    auto kept = co_await t.runtime_->run(t.id_, {{"sleep", "1000"}, std::nullopt});
    co_await t.runtime_->stop(t.id_, Duration{});
    const Result<int> end = co_await (*kept)->ended();
    EXPECT_EQ(end.value_or(-1), 128 + SIGKILL);
  }(*this));
}

TEST(ChildProgram, LooksInTheTopmostLayerThenOnTheHost) {
  const std::filesystem::path low =
      std::filesystem::temp_directory_path() / ("okibi-layers-" + std::to_string(getpid()));
  for (const char* layer : {"1", "2"}) std::filesystem::create_directories(low / layer / "app");
  std::ofstream(low / "1/app/only");
  std::ofstream(low / "1/app/both");
  std::ofstream(low / "2/app/both");
  const std::vector<std::filesystem::path> layers = {low / "1", low / "2"};
  EXPECT_EQ(inLayers(layers, "/app/only"), (low / "1/app/only").string());
  EXPECT_EQ(inLayers(layers, "/app/both"), (low / "2/app/both").string());
  EXPECT_EQ(inLayers(layers, "/app/none"), "/app/none");
  EXPECT_EQ(inLayers(layers, "--flag"), "--flag");
  std::filesystem::remove_all(low);
}

}  // namespace
}  // namespace okibi::runtime
