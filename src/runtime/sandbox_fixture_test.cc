#include "runtime/testing/sandbox_fixture.h"

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>

#include <dirent.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

namespace okibi::runtime::testing {

namespace fs = std::filesystem;

namespace {

fs::path fromEnvironment(const char* name, const char* otherwise) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : otherwise;
}

// Not root: nothing here can be tested. ctest knows 77 as "skipped".
const int kRootNeeded = [] {
  const char* filter = std::getenv("GTEST_FILTER");
  if (geteuid() != 0 && filter == nullptr) {
    std::puts("runtime tests make real sandboxes and need root: skipped");
    std::exit(77);
  }
  return 0;
}();

}  // namespace

fs::path launcherPath() {
  return fromEnvironment("OKIBI_LAUNCHER", OKIBI_LAUNCHER);
}
fs::path probePath() {
  return fromEnvironment("OKIBI_PROBE", OKIBI_PROBE);
}

std::map<std::string, std::string> parseReport(const std::string& text) {
  std::map<std::string, std::string> report;
  std::stringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::size_t equals = line.find('=');
    if (equals != std::string::npos) report[line.substr(0, equals)] = line.substr(equals + 1);
  }
  return report;
}

void makeImage(const fs::path& root) {
  fs::create_directories(root / "etc");
  fs::create_directories(root / "home/app");
  fs::copy_file(probePath(), root / "probe");
  std::ofstream(root / "etc/passwd")
      << "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001::/home/app:\n";
  std::ofstream(root / "etc/group")
      << "root:x:0:\nstaff:x:1001:\nvideo:x:44:app\naudio:x:29:x,app\n";
  std::ofstream(root / "etc/hosts") << "127.0.0.1 from-the-image\n";
  fs::create_symlink("../run/nowhere/resolv.conf", root / "etc/resolv.conf");
  std::ofstream(root / "notexecutable") << "data";
  mknod((root / "imagedevice").c_str(), S_IFCHR | 0666, makedev(1, 3));
}

std::vector<std::string> groupsOf(const fs::path& stateDirectory) {
  // The name is the launcher's; here only what belongs to this directory is looked for, by asking
  // the launcher's own rule through what it left.
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (unsigned char c : fs::canonical(stateDirectory).string())
    hash = (hash ^ c) * 0x100000001b3ULL;
  char name[40];
  std::snprintf(name, sizeof(name), "okibi-%016llx", static_cast<unsigned long long>(hash));
  std::vector<std::string> found;
  std::error_code ignored;
  auto options = fs::directory_options::skip_permission_denied;
  fs::recursive_directory_iterator it("/sys/fs/cgroup", options, ignored), end;
  for (; it != end; it.increment(ignored)) {
    if (it->is_directory(ignored) && it->path().filename() == name) found.push_back(it->path());
  }
  return found;
}

std::vector<std::string> loopDevices() {
  std::vector<std::string> busy;
  for (const auto& entry : fs::directory_iterator("/sys/block")) {
    if (!entry.path().filename().string().starts_with("loop")) continue;
    std::ifstream file(entry.path() / "loop/backing_file");
    std::string backing;
    if (std::getline(file, backing))
      busy.push_back(entry.path().filename().string() + " " + backing);
  }
  return busy;
}

int openDescriptors(int pid) {
  int count = 0;
  for ([[maybe_unused]] const auto& entry :
       fs::directory_iterator("/proc/" + std::to_string(pid) + "/fd")) {
    ++count;
  }
  return count;
}

bool eventually(const std::function<bool()>& condition) {
  for (int i = 0; i < 6000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

void SandboxTest::SetUp() {
  std::string path = (fs::temp_directory_path() / "okibi-runtime-XXXXXX").string();
  ASSERT_NE(mkdtemp(path.data()), nullptr);
  directory_ = path;
  image_ = directory_ / "image";
  makeImage(image_);
  fs::create_directories(directory_ / "state");
  loop_ = std::make_unique<net::Loop>();
  auto runtime = NativeRuntime::create(*loop_, options());
  ASSERT_TRUE(runtime) << runtime.error().message;
  runtime_ = std::move(*runtime);
  runtime_->setListener(&recorder_);
}

void SandboxTest::TearDown() {
  loop_.reset();
  runtime_.reset();
  fs::remove_all(directory_);
}

Options SandboxTest::options() const {
  return {.launcherPath = launcherPath(),
          .stateDirectory = directory_ / "state",
          .readySlots = 2,
          .readyDisks = 0,
          .restartBackoff = std::chrono::milliseconds(10)};
}

seams::InstanceSpec SandboxTest::spec(std::vector<std::string> arguments) {
  seams::InstanceSpec s;
  s.id = InstanceId(nextId_++);
  s.name = "c-" + std::to_string(s.id.value());
  s.layers = {image_};
  s.arguments = std::move(arguments);
  s.arguments.insert(s.arguments.begin(), "/probe");
  s.cpu = MilliCpu{500};
  s.memory = Bytes::mib(128);
  s.disk = Bytes::mib(32);
  s.sharedMemory = Bytes::mib(8);
  s.pids = 20;
  return s;
}

void SandboxTest::awaitVoid(net::Task<void> task) {
  await([](net::Task<void> inner) -> net::Task<bool> {
    co_await std::move(inner);
    co_return true;
  }(std::move(task)));
}

bool SandboxTest::until(std::function<bool()> condition) {
  if (condition()) return true;
  recorder_.changed = [&] {
    if (condition()) loop_->stop();
  };
  net::Timer limit(*loop_);
  limit.schedule(loop_->now() + std::chrono::minutes(1), [this] { loop_->stop(); });
  while (!condition() && limit.scheduled()) loop_->run();
  recorder_.changed = [] {};
  return condition();
}

seams::InstanceExit SandboxTest::runToEnd(const seams::InstanceSpec& s) {
  std::size_t before = recorder_.exits.size();
  Result<void> started = start(s);
  EXPECT_TRUE(started) << started.error().message;
  if (!started) return {};
  EXPECT_TRUE(until([&] { return recorder_.exits.size() > before; }));
  return recorder_.exits.empty() ? seams::InstanceExit{} : recorder_.exits.back();
}

std::map<std::string, std::string> SandboxTest::reportOf(
    std::vector<std::string> arguments, const std::function<void(seams::InstanceSpec&)>& change) {
  seams::InstanceSpec s = spec(std::move(arguments));
  if (change) change(s);
  runToEnd(s);
  return parseReport(recorder_.out[s.id]);
}

}  // namespace okibi::runtime::testing
