#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <memory>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/table.h"
#include "net/fd.h"

namespace okibi::cli {

namespace {

struct Check {
  std::string name;
  bool ok = false, required = true;
  std::string detail, remedy;
};

struct Output {
  int status = -1;  // exit status; -1: could not be run
  std::string text;
};

// Runs a program and takes its standard output.
Output runProgram(std::vector<std::string> arguments) {
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return {};
  net::UniqueFd readEnd(ends[0]), writeEnd(ends[1]);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, writeEnd.get(), STDOUT_FILENO);
  pid_t pid = 0;
  int failed = ::posix_spawnp(&pid, argv[0], &actions, nullptr, argv.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) return {};
  writeEnd = net::UniqueFd();
  Output output;
  std::array<char, 4096> buffer{};
  while (true) {
    ssize_t got = ::read(readEnd.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    output.text.append(buffer.data(), static_cast<std::size_t>(got));
  }
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  output.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128;
  return output;
}

std::string launcherPath() {
  std::error_code error;
  std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  std::filesystem::path beside = self.parent_path() / "okibi-launcher";
  return std::filesystem::exists(beside, error) ? beside.string() : "";
}

std::vector<Check> launcherChecks(const std::string& stateDirectory) {
  std::string launcher = launcherPath();
  if (launcher.empty()) {
    return {{.name = "launcher",
             .detail = "okibi-launcher is not beside okibi",
             .remedy = "install or build both into one folder"}};
  }
  std::vector<std::string> command{launcher, "--check"};
  if (!stateDirectory.empty()) command.push_back("--state-dir=" + stateDirectory);
  Output output = runProgram(std::move(command));
  std::vector<Check> checks;
  std::size_t start = 0;
  while (start < output.text.size()) {
    std::size_t end = std::min(output.text.find('\n', start), output.text.size());
    boost::system::error_code error;
    Json line = boost::json::parse(output.text.substr(start, end - start), error);
    start = end + 1;
    if (error || !line.is_object()) continue;
    checks.push_back({.name = text(line, "check"),
                      .ok = isTrue(line, "ok"),
                      .required = isTrue(line, "required"),
                      .detail = text(line, "detail"),
                      .remedy = text(line, "remedy")});
  }
  if (checks.empty()) {
    checks.push_back({.name = "launcher",
                      .detail = launcher + " --check gave no findings",
                      .remedy = "run it by hand: " + launcher + " --check"});
  }
  return checks;
}

Check skopeoCheck() {
  Output output = runProgram({"skopeo", "--version"});
  std::string version = output.text.substr(0, output.text.find('\n'));
  return {.name = "skopeo",
          .ok = output.status == 0,
          .required = false,
          .detail = output.status == 0 ? version : "not found: images come from OCI layouts only",
          .remedy = output.status == 0 ? "" : "apt-get install skopeo"};
}

Check gpuCheck() {
  std::error_code error;
  const bool driver = std::filesystem::exists("/dev/nvidiactl", error);
  Check check{.name = "GPU driver", .ok = driver, .required = false, .detail = {}, .remedy = {}};
  check.detail = driver ? "NVIDIA's driver is loaded"
                        : "none: functions with a gpuConfig run on simulated cards only";
  if (!driver) check.remedy = "okibi serve --simulated-cards fc.gpu.tesla.1=1 (cards on paper)";
  return check;
}

std::string cardsText(const boost::json::array& cards) {
  if (cards.empty()) return "no cards";
  const auto simulated =
      std::ranges::count_if(cards, [](const Json& card) { return isTrue(card, "simulated"); });
  std::string words = std::to_string(cards.size()) + (cards.size() == 1 ? " card" : " cards");
  return simulated == 0 ? words : words + ", " + std::to_string(simulated) + " of them simulated";
}

Check daemonCheck(Client& client) {
  Outcome<Json> info = client.get(std::string(kOwnApi) + "/info", "GetOkibiInfo");
  Check check{
      .name = "daemon", .ok = info.has_value(), .required = false, .detail = {}, .remedy = {}};
  if (info) {
    check.detail = client.endpoint() + ", version " + text(*info, "version") + ", " +
                   cardsText(items(*info, "cards"));
  } else {
    check.detail = info.error().message;
    check.remedy = info.error().remedy;
  }
  return check;
}

void printChecks(const std::vector<Check>& checks) {
  Table table({left(""), left("CHECK"), left("DETAIL")});
  for (const Check& check : checks) {
    table.add({check.ok ? "ok" : check.required ? "FAIL" : "warn", check.name, check.detail});
    if (!check.remedy.empty()) table.add({"", "", "mend: " + check.remedy});
  }
  print(table.text());
}

void printChecksJson(const std::vector<Check>& checks) {
  boost::json::array all;
  for (const Check& check : checks) {
    all.push_back(JsonObject{{"check", check.name},
                             {"ok", check.ok},
                             {"required", check.required},
                             {"detail", check.detail},
                             {"remedy", check.remedy}});
  }
  printJson(JsonObject{{"checks", std::move(all)}});
}

}  // namespace

Outcome<void> runDoctor(Context& context, const std::string& stateDirectory) {
  std::vector<Check> checks = launcherChecks(stateDirectory);
  checks.push_back(skopeoCheck());
  checks.push_back(gpuCheck());
  checks.push_back(daemonCheck(context.client));
  if (context.asJson()) {
    printChecksJson(checks);
  } else {
    printChecks(checks);
  }
  for (const Check& check : checks) {
    if (!check.ok && check.required) {
      return std::unexpected(
          Failure{.exit = Exit::Failed,
                  .code = "NotReady",
                  .message = "this machine cannot run functions yet: " + check.name,
                  .requestId = {},
                  .remedy = check.remedy});
    }
  }
  return {};
}

}  // namespace okibi::cli
