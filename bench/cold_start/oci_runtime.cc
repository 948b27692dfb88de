// crun and runc as they come: `run --detach` of a bundle with the isolation that Okibi's own
// sandbox has (namespaces, cgroup limits, capabilities, seccomp). They use the root directory
// itself, without an overlay and without a disk of its own: less work than ours.

#include <fstream>
#include <sstream>

#include <boost/json.hpp>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/cold_start/contender.h"

namespace okibi::bench {

namespace {

namespace json = boost::json;
namespace fs = std::filesystem;

std::string readAll(const fs::path& file) {
  std::stringstream all;
  all << std::ifstream(file).rdbuf();
  return all.str();
}

// True for a rule that holds on this architecture for a container with the default capabilities.
bool applies(const json::object& rule) {
  const json::value* includes = rule.if_contains("includes");
  if (includes == nullptr || !includes->is_object() || includes->as_object().empty()) return true;
  const json::value* architectures = includes->as_object().if_contains("arches");
  if (architectures == nullptr) return false;
  for (const json::value& name : architectures->as_array()) {
#if defined(__x86_64__)
    if (name.as_string() == "amd64") return true;
#elif defined(__aarch64__)
    if (name.as_string() == "arm64") return true;
#endif
  }
  return false;
}

// The engines' profile is not an OCI document; the rules that apply here make one.
json::value seccompOf(const fs::path& profile) {
  std::error_code error;
  if (!fs::exists(profile, error)) return nullptr;
  json::array rules;
  for (const json::value& entry : json::parse(readAll(profile)).at("syscalls").as_array()) {
    const json::object& rule = entry.as_object();
    if (rule.at("action").as_string() != "SCMP_ACT_ALLOW" || !applies(rule)) continue;
    json::object out{{"names", rule.at("names")}, {"action", "SCMP_ACT_ALLOW"}};
    if (rule.contains("args") && rule.at("args").is_array() &&
        !rule.at("args").as_array().empty()) {
      out["args"] = rule.at("args");
    }
    rules.push_back(std::move(out));
  }
  return json::object{{"defaultAction", "SCMP_ACT_ERRNO"}, {"syscalls", std::move(rules)}};
}

json::value bundleConfig(json::value config, const Settings& settings) {
  json::object& process = config.at("process").as_object();
  process["terminal"] = false;
  process["args"] = json::array{"/echo"};
  process["env"] = json::array{portVariable(settings)};
  process.erase("rlimits");
  config.at("root").as_object()["readonly"] = false;
  json::object& platform = config.at("linux").as_object();
  json::object& resources = platform["resources"].as_object();
  resources["memory"] = json::object{{"limit", 512 << 20}};
  resources["cpu"] = json::object{{"quota", 200000}, {"period", 100000}};
  resources["pids"] = json::object{{"limit", 1024}};
  if (json::value seccomp = seccompOf("/usr/share/containers/seccomp.json"); !seccomp.is_null()) {
    platform["seccomp"] = std::move(seccomp);
  }
  return config;
}

class OciRuntime final : public Contender {
 public:
  OciRuntime(const Settings& settings, std::string runtime)
      : settings_(settings), runtime_(std::move(runtime)), bundle_(settings.scratch / runtime_) {}
  std::string name() const override { return runtime_ + " run"; }

  Result<void> open() {
    fs::create_directories(bundle_ / "rootfs");
    fs::copy_file(settings_.program, bundle_ / "rootfs/echo", fs::copy_options::overwrite_existing);
    fs::remove(bundle_ / "config.json");
    if (Result<void> made = run({runtime_, "spec", "--bundle", bundle_}); !made) return made;
    json::value config = bundleConfig(json::parse(readAll(bundle_ / "config.json")), settings_);
    std::ofstream(bundle_ / "config.json") << json::serialize(config);
    home_ = open_("/proc/self/ns/net");
    return {};
  }

  Result<Milliseconds> coldStart() override {
    id_ = "okibi-bench-" + std::to_string(getpid()) + "-" + std::to_string(++rounds_);
    fs::path pidFile = bundle_ / "pid";
    auto begin = Clock::now();
    Result<void> started =
        run({runtime_, "run", "--detach", "--bundle", bundle_, "--pid-file", pidFile, id_});
    if (!started) return fail(std::move(started.error()));
    int ns = open_("/proc/" + readAll(pidFile) + "/ns/net");
    if (ns < 0) return failErrno("network namespace of " + id_, errno);
    Result<void> answered = firstByte([&] { return socketIn(ns); }, settings_.port);
    close(ns);
    if (!answered) return fail(std::move(answered.error()));
    return Milliseconds(Clock::now() - begin);
  }

  Result<void> reset() override {
    if (id_.empty()) return {};
    std::string id = std::exchange(id_, "");
    return run({runtime_, "delete", "--force", id});
  }

 private:
  static int open_(const std::string& path) { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC); }

  int socketIn(int ns) const {
    if (setns(ns, CLONE_NEWNET) != 0) return -1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (setns(home_, CLONE_NEWNET) != 0) std::abort();
    return fd;
  }

  // crun refuses a hybrid hierarchy while cgroup2 still lists a controller; in a mount namespace of
  // its own the list can be hidden without changing the machine.
  static void hideHybridControllers() {
    constexpr const char* kList = "/sys/fs/cgroup/unified/cgroup.controllers";
    if (access(kList, F_OK) != 0 || unshare(CLONE_NEWNS) != 0) return;
    mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
    mount("/dev/null", kList, nullptr, MS_BIND, nullptr);
  }

  Result<void> run(const std::vector<std::string>& command) const {
    pid_t pid = fork();
    if (pid < 0) return failErrno("fork", errno);
    if (pid == 0) {
      hideHybridControllers();
      int null = ::open("/dev/null", O_RDWR);
      dup2(null, STDIN_FILENO);
      dup2(null, STDOUT_FILENO);
      std::vector<char*> arguments;
      for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
      arguments.push_back(nullptr);
      execvp(arguments[0], arguments.data());
      _exit(127);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    if (status != 0) return fail(ErrorKind::Unavailable, runtime_ + " " + command[1] + " failed");
    return {};
  }

  Settings settings_;
  std::string runtime_;
  fs::path bundle_;
  std::string id_;
  int home_ = -1, rounds_ = 0;
};

}  // namespace

Result<std::unique_ptr<Contender>> makeOciRuntime(const Settings& settings,
                                                  const std::string& runtime) {
  auto contender = std::make_unique<OciRuntime>(settings, runtime);
  if (Result<void> opened = contender->open(); !opened) return fail(std::move(opened.error()));
  return contender;
}

}  // namespace okibi::bench
