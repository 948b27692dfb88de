// cold_start: request to first byte of the echo server from zero, by several ways, interleaved in
// one run so that every way sees the same machine.

#include <cstdio>
#include <fstream>

#include <CLI/CLI.hpp>
#include <unistd.h>

#include "base/log.h"
#include "bench/cold_start/contender.h"
#include "bench/common/report.h"

namespace okibi::bench {

namespace {

struct Plan {
  Settings settings;
  int rounds = 30, settleMs = 60;
  std::string jsonFile;
  std::vector<std::string> runtimes = {"crun", "runc"};
};

std::vector<std::unique_ptr<Contender>> makeContenders(const Plan& plan) {
  std::vector<std::unique_ptr<Contender>> all;
  auto add = [&](const std::string& what, Result<std::unique_ptr<Contender>> made) {
    if (made) {
      all.push_back(std::move(*made));
    } else {
      std::fprintf(stderr, "%s left out: %s\n", what.c_str(), made.error().message.c_str());
    }
  };
  add("fork+exec", makeForkExec(plan.settings));
  if (!plan.settings.launcher.empty()) {
    add("okibi sandbox", makeNative(plan.settings, Models::None));
    add("okibi sandbox with a model directory", makeNative(plan.settings, Models::OneDirectory));
  }
  if (!plan.settings.url.empty()) add("okibi", makeUrl(plan.settings));
  for (const std::string& runtime : plan.runtimes)
    add(runtime, makeOciRuntime(plan.settings, runtime));
  return all;
}

std::vector<Series> measure(const Plan& plan, std::vector<std::unique_ptr<Contender>>& all) {
  std::vector<Series> series;
  for (const auto& contender : all) series.push_back({contender->name(), {}, 0});
  // The first round warms caches and is not counted.
  for (int round = -1; round < plan.rounds; ++round) {
    for (std::size_t i = 0; i < all.size(); ++i) {
      Result<void> zero = all[i]->reset();
      usleep(static_cast<useconds_t>(plan.settleMs) * 1000);
      Result<Milliseconds> took = zero ? all[i]->coldStart() : fail(zero.error());
      (void)all[i]->reset();
      if (round < 0) continue;
      if (took) {
        series[i].milliseconds.push_back(took->count());
      } else {
        ++series[i].errors;
        std::fprintf(stderr, "%s: %s\n", series[i].name.c_str(), took.error().message.c_str());
      }
    }
  }
  return series;
}

}  // namespace

int run(int count, char** arguments) {
  Plan plan;
  CLI::App app("Cold start of the echo server: request to first byte");
  app.add_option("--program", plan.settings.program, "the static echo server")->required();
  app.add_option("--launcher", plan.settings.launcher,
                 "okibi-launcher, to measure the sandbox alone");
  app.add_option("--okibi-url", plan.settings.url, "POST here to measure a running okibi");
  app.add_option("--reset", plan.settings.reset,
                 "shell command that puts that function back to zero");
  app.add_option("--runtimes", plan.runtimes, "OCI runtimes to measure")->delimiter(',');
  app.add_option("--rounds", plan.rounds, "rounds")->check(CLI::Range(1, 100000));
  app.add_option("--settle-ms", plan.settleMs, "pause before each start");
  app.add_option("--port", plan.settings.port, "port of the echo server");
  app.add_option("--json", plan.jsonFile, "also write the samples here");
  CLI11_PARSE(app, count, arguments);
  std::erase(plan.runtimes, "");
  log::setLevel(log::Level::Warning);
  std::string scratch =
      (std::filesystem::temp_directory_path() / "okibi-cold-start-XXXXXX").string();
  if (mkdtemp(scratch.data()) == nullptr) return 1;
  plan.settings.scratch = scratch;
  std::vector<Series> series;
  {
    std::vector<std::unique_ptr<Contender>> all = makeContenders(plan);
    series = measure(plan, all);
  }
  std::fputs(toMarkdown(series).c_str(), stdout);
  if (!plan.jsonFile.empty()) std::ofstream(plan.jsonFile) << toJson(series) << "\n";
  std::filesystem::remove_all(scratch);
  int errors = 0;
  for (const Series& s : series) errors += s.errors;
  return errors == 0 ? 0 : 1;
}

}  // namespace okibi::bench

int main(int count, char** arguments) {
  return okibi::bench::run(count, arguments);
}
