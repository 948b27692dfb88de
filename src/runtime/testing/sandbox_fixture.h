#pragma once
// What the runtime's tests share: a one-layer image made of sandbox_probe, a listener that writes
// down what it is told, and a loop that is turned until something is done.

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "net/loop.h"
#include "runtime/native_runtime.h"

namespace okibi::runtime::testing {

class Recorder final : public seams::InstanceListener {
 public:
  void onOutput(InstanceId id, seams::OutputStream stream, std::string_view bytes) override {
    (stream == seams::OutputStream::Stdout ? out : err)[id] += bytes;
    changed();
  }
  void onExit(const seams::InstanceExit& exit) override {
    exits.push_back(exit);
    changed();
  }
  void onRuntimeLost(const std::string& reason) override {
    ++lost;
    exitsWhenLost = exits.size();
    changed();
  }
  void onRuntimeRestored() override {
    ++restored;
    changed();
  }

  std::map<InstanceId, std::string> out, err;
  std::vector<seams::InstanceExit> exits;
  int lost = 0, restored = 0;
  std::size_t exitsWhenLost = 0;
  std::function<void()> changed = [] {};
};

// "key=value" lines of a probe's report.
std::map<std::string, std::string> parseReport(const std::string& text);

std::filesystem::path launcherPath();
std::filesystem::path probePath();
// A layer with the probe as /probe and users, groups and a device node of the host's first disk.
void makeImage(const std::filesystem::path& root);
// Entries below any okibi group of this state directory's, in every hierarchy.
std::vector<std::string> groupsOf(const std::filesystem::path& stateDirectory);
std::vector<std::string> loopDevices();
int openDescriptors(int pid);
// Waits without a loop, at most a minute.
bool eventually(const std::function<bool()>& condition);

class SandboxTest : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  seams::InstanceSpec spec(std::vector<std::string> arguments);
  virtual Options options() const;
  // Runs the task to its end on the loop; fails the test after a minute.
  template <typename T>
  T await(net::Task<T> task);
  void awaitVoid(net::Task<void> task);
  Result<void> start(const seams::InstanceSpec& s) { return await(runtime_->start(s)); }
  void stop(InstanceId id, Duration grace = Duration{}) { awaitVoid(runtime_->stop(id, grace)); }
  // Turns the loop until the listener has heard what makes `condition` true.
  bool until(std::function<bool()> condition);
  // Starts, waits for the exit, gives the exit. Output is in recorder_.
  seams::InstanceExit runToEnd(const seams::InstanceSpec& s);
  std::map<std::string, std::string> reportOf(
      std::vector<std::string> arguments,
      const std::function<void(seams::InstanceSpec&)>& change = {});

  std::filesystem::path directory_, image_;
  std::unique_ptr<net::Loop> loop_;
  Recorder recorder_;
  std::unique_ptr<NativeRuntime> runtime_;
  std::uint64_t nextId_ = 1;
};

template <typename T>
T SandboxTest::await(net::Task<T> task) {
  std::optional<T> result;
  loop_->spawn([](net::Task<T> inner, std::optional<T>& to, net::Loop& loop) -> net::Task<void> {
    to.emplace(co_await std::move(inner));
    loop.stop();
  }(std::move(task), result, *loop_));
  net::Timer limit(*loop_);
  limit.schedule(loop_->now() + std::chrono::minutes(1), [this] { loop_->stop(); });
  while (!result && limit.scheduled()) loop_->run();
  if (!result) throw std::runtime_error("a task did not end within a minute");
  return std::move(*result);
}

}  // namespace okibi::runtime::testing
