// burst: how long a function at zero takes until N instances serve at once, and what happens to one
// call more while the quota is full. Beside it, as the floor, N bare processes of the same program.
// The two take turns in one run, so that both see the same machine.

#include <cstdio>
#include <filesystem>
#include <list>

#include <CLI/CLI.hpp>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/burst/daemon_process.h"
#include "bench/burst/held_call.h"
#include "bench/common/report.h"

namespace okibi::bench {

namespace {

namespace json = boost::json;
using Milliseconds = std::chrono::duration<double, std::milli>;

struct Plan {
  std::filesystem::path okibi, program, imageScript;
  int instances = 30, rounds = 20, deadlineSeconds = 2, settleMs = 500, firstPort = 20100;
};

// A list: calls do not move while they are held.
using Calls = std::list<HeldCall>;

// Waits until every call is answered or has failed.
void settleAll(Calls& calls) {
  while (true) {
    std::vector<pollfd> waiting;
    bool refused = false;
    for (HeldCall& call : calls) {
      call.advance();
      if (call.settled()) continue;
      if (call.fd() < 0) refused = true;
      waiting.push_back({.fd = call.fd(), .events = call.events(), .revents = 0});
    }
    if (waiting.empty()) return;
    ::poll(waiting.data(), waiting.size(), refused ? 1 : 1000);
  }
}

struct Volley {
  std::vector<double> firstByteMs;
  int errors = 0;
};

Volley measure(Calls& calls) {
  const Clock::time_point begin = Clock::now();
  settleAll(calls);
  Volley volley;
  for (HeldCall& call : calls) {
    if (call.answeredAt() && call.isServed()) {
      volley.firstByteMs.push_back(Milliseconds(*call.answeredAt() - begin).count());
    } else {
      ++volley.errors;
      std::fprintf(stderr, "%s%.200s\n", call.error().c_str(), call.answer().c_str());
    }
  }
  return volley;
}

int endAll(Calls& calls) {
  int broken = 0;
  for (HeldCall& call : calls) broken += call.isServed() && !call.end() ? 1 : 0;
  calls.clear();
  return broken;
}

// The floor: the program itself, N times, on N ports of the host, with no isolation.
Volley bareProcesses(const Plan& plan) {
  std::vector<pid_t> pids;
  const Clock::time_point begin = Clock::now();
  Calls calls;
  for (int i = 0; i < plan.instances; ++i) {
    const int port = plan.firstPort + i;
    std::string program = plan.program, variable = "FC_CUSTOM_LISTEN_PORT=" + std::to_string(port);
    std::string loopback = "ECHO_LISTEN_LOOPBACK=1";
    char* arguments[] = {program.data(), nullptr};
    char* environment[] = {variable.data(), loopback.data(), nullptr};
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    pid_t pid = 0;
    if (::posix_spawn(&pid, program.c_str(), &actions, nullptr, arguments, environment) == 0) {
      pids.push_back(pid);
    }
    ::posix_spawn_file_actions_destroy(&actions);
    calls.emplace_back(port, "/duplex", HeldCall::Refusal::TriesAgain);
  }
  const Milliseconds spawned = Clock::now() - begin;
  Volley volley = measure(calls);
  for (double& ms : volley.firstByteMs) ms += spawned.count();
  volley.errors += endAll(calls);
  for (pid_t pid : pids) ::kill(pid, SIGKILL);
  for (pid_t pid : pids) ::waitpid(pid, nullptr, 0);
  return volley;
}

class Function {
 public:
  Function(const DaemonProcess& daemon, std::string target)
      : daemon_(daemon), target_(std::move(target)) {}

  void call(Calls& calls, int count) const {
    for (int i = 0; i < count; ++i) calls.emplace_back(daemon_.port(), target_);
  }
  Result<void> waitForZero() const {
    while (true) {
      auto listed = daemon_.json("GET", "/okibi/v1/instances");
      if (!listed) return fail(std::move(listed.error()));
      if (listed->at("instances").as_array().empty()) return {};
      ::usleep(20'000);
    }
  }

 private:
  const DaemonProcess& daemon_;
  std::string target_;
};

Result<Function> deploy(const DaemonProcess& daemon, const std::string& layout) {
  auto made = daemon.json(
      "POST", "/2023-03-30/functions",
      json::object{
          {"functionName", "burst"},
          {"runtime", "custom-container"},
          {"handler", "h"},
          {"cpu", 0.05},
          {"memorySize", 128},
          {"timeout", 600},
          {"idleTimeout", 1},
          {"environmentVariables", json::object{{"ECHO_QUIET", "1"}}},
          {"gpuConfig", json::object{{"gpuType", "fc.gpu.tesla.1"}, {"gpuMemorySize", 1024}}},
          {"customContainerConfig", json::object{{"image", "oci:" + layout}}}});
  if (!made) return fail(std::move(made.error()));
  std::string state;
  while (state != "Active") {
    auto function = daemon.json("GET", "/2023-03-30/functions/burst");
    if (!function) return fail(std::move(function.error()));
    state = function->at("state").as_string();
    if (state == "Failed") return fail(ErrorKind::Internal, json::serialize(*function));
    ::usleep(50'000);
  }
  auto trigger = daemon.json(
      "POST", "/2023-03-30/functions/burst/triggers",
      json::object{{"triggerName", "http"},
                   {"triggerType", "http"},
                   {"triggerConfig", R"({"authType":"anonymous","methods":["POST"]})"}});
  if (!trigger) return fail(std::move(trigger.error()));
  // "http://{label}.…": the same trigger by path.
  std::string url(trigger->at("httpTrigger").at("urlInternet").as_string());
  const std::size_t label = url.find("//") + 2;
  return Function(daemon, "/proxy/" + url.substr(label, url.find('.') - label) + "/duplex");
}

// One call more than the quota, twice: refused at its deadline, then served by a freed instance.
struct Excess {
  double refusedAfterMs = 0, servedAfterFreeMs = 0;
  std::string refusal;
  int errors = 0;
};

Excess callsBeyondQuota(const Function& function, Calls& held) {
  Excess excess;
  Calls late;
  function.call(late, 1);
  Clock::time_point begin = Clock::now();
  settleAll(late);
  excess.refusedAfterMs = Milliseconds(Clock::now() - begin).count();
  const std::string& answer = late.front().answer();
  excess.refusal = answer.substr(std::min(answer.find("\r\n\r\n"), answer.size() - 4) + 4);
  if (!answer.starts_with("HTTP/1.1 429")) ++excess.errors;
  late.clear();
  function.call(late, 1);
  late.front().advance();
  ::usleep(100'000);  // it waits: nothing is free
  late.front().advance();
  if (late.front().settled()) ++excess.errors;
  begin = Clock::now();
  if (!held.front().end()) ++excess.errors;
  held.pop_front();
  settleAll(late);
  excess.servedAfterFreeMs = Milliseconds(Clock::now() - begin).count();
  if (!late.front().isServed()) ++excess.errors;
  held.splice(held.end(), late);
  return excess;
}

struct Totals {
  Series bareAll{"bare processes, until all serve", {}, 0};
  Series bareEach{"bare processes, each", {}, 0};
  Series all{"okibi, until all serve", {}, 0};
  Series each{"okibi, each", {}, 0};
  Excess excess;

  static void add(const Volley& volley, Series& whole, Series& single) {
    whole.errors += volley.errors;
    whole.milliseconds.push_back(percentile(volley.firstByteMs, 1));
    single.milliseconds.insert(single.milliseconds.end(), volley.firstByteMs.begin(),
                               volley.firstByteMs.end());
  }
  int errors() const { return bareAll.errors + all.errors + excess.errors; }
};

Result<Totals> measureAll(const Plan& plan, const Function& function) {
  Totals totals;
  // The first round warms caches and is not counted.
  for (int round = -1; round < plan.rounds; ++round) {
    ::usleep(static_cast<useconds_t>(plan.settleMs) * 1000);
    Volley bare = bareProcesses(plan);
    ::usleep(static_cast<useconds_t>(plan.settleMs) * 1000);
    Calls calls;
    function.call(calls, plan.instances);
    Volley volley = measure(calls);
    if (round >= 0) {
      Totals::add(bare, totals.bareAll, totals.bareEach);
      Totals::add(volley, totals.all, totals.each);
    }
    if (round == plan.rounds - 1 && volley.errors == 0) {
      totals.excess = callsBeyondQuota(function, calls);
    }
    totals.all.errors += endAll(calls);
    if (auto zero = function.waitForZero(); !zero) return fail(std::move(zero.error()));
  }
  return totals;
}

Result<Totals> runOn(const Plan& plan, const std::filesystem::path& scratch) {
  const std::string layout = (scratch / "echo").string();
  const std::string make = fmt::format("bash '{}' '{}' '{}' >/dev/null", plan.imageScript.string(),
                                       layout, plan.program.string());
  if (std::system(make.c_str()) != 0) return fail(ErrorKind::Internal, "the image was not made");
  auto daemon = DaemonProcess::start(
      plan.okibi, scratch / "state",
      {"--simulated-cards", fmt::format("fc.gpu.tesla.1={}", (plan.instances + 15) / 16 + 1),
       "--queue-deadline-seconds", std::to_string(plan.deadlineSeconds), "--layout-root",
       scratch.string()});
  if (!daemon) return fail(std::move(daemon.error()));
  auto function = deploy(*daemon, layout);
  if (!function) return fail(std::move(function.error()));
  return measureAll(plan, *function);
}

void print(const Plan& plan, const Totals& totals) {
  std::printf("%d at once, first byte of the answer\n\n%s\n", plan.instances,
              toMarkdown({totals.bareAll, totals.all, totals.bareEach, totals.each}).c_str());
  std::printf("| one call more | ms | errors |\n|---|---|---|\n");
  std::printf("| none frees: refused after (queue deadline %d s) | %.2f | %d |\n",
              plan.deadlineSeconds, totals.excess.refusedAfterMs, totals.excess.errors);
  std::printf("| one frees: served after that | %.2f | |\n\n%s\n", totals.excess.servedAfterFreeMs,
              totals.excess.refusal.c_str());
}

}  // namespace

int run(int count, char** arguments) {
  Plan plan;
  CLI::App app("0 to N GPU instances on simulated cards at once");
  app.add_option("--okibi", plan.okibi, "the okibi binary, okibi-launcher beside it")->required();
  app.add_option("--program", plan.program, "the static echo server")->required();
  app.add_option("--image-script", plan.imageScript, "examples/echo/build_image.sh")->required();
  app.add_option("--instances", plan.instances, "N; the quota is 30")->check(CLI::Range(1, 30));
  app.add_option("--rounds", plan.rounds, "rounds")->check(CLI::Range(1, 1000));
  app.add_option("--deadline-seconds", plan.deadlineSeconds, "queue deadline of the daemon");
  app.add_option("--settle-ms", plan.settleMs, "pause before each volley");
  app.add_option("--first-port", plan.firstPort, "the bare processes listen on N ports from this");
  CLI11_PARSE(app, count, arguments);
  std::string scratch = (std::filesystem::temp_directory_path() / "okibi-burst-XXXXXX").string();
  if (::mkdtemp(scratch.data()) == nullptr) return 1;
  Result<Totals> totals = runOn(plan, scratch);
  std::filesystem::remove_all(scratch);
  if (!totals) {
    std::fprintf(stderr, "burst: %s\n", totals.error().message.c_str());
    return 1;
  }
  print(plan, *totals);
  return totals->errors() == 0 ? 0 : 1;
}

}  // namespace okibi::bench

int main(int count, char** arguments) {
  return okibi::bench::run(count, arguments);
}
