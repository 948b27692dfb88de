#pragma once
// An instance as the daemon would make it, without a container: a folder with the front as
// libcuda.so.1, the driver's library under a private name, and a budget. OKIBI_TEST_CUDA names the
// driver's library to use (a real one, for machines with a card); without it, it is the fake one.

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include <sys/types.h>

#include "gpu/budget_file.h"

namespace okibi::bypass {

inline constexpr std::int64_t kMiB = 1 << 20;

// A running probe, killed when it goes out of scope.
class Probe {
 public:
  Probe(const std::string& program, const std::vector<std::string>& arguments,
        const std::vector<std::string>& environment);
  ~Probe();
  Probe(Probe&& other) noexcept;
  Probe(const Probe&) = delete;
  Probe& operator=(const Probe&) = delete;

  // Reads its output until a line begins with `name`; false at the end of the output.
  bool waitFor(const std::string& name);
  // Whether it says nothing more, and does not end, for as long.
  bool isSilentFor(std::chrono::milliseconds time) const;
  // Lets it end, and takes the rest of its output. Returns its wait status.
  int finish();
  void kill(int signal);
  pid_t pid() const { return pid_; }

  // Value of the line "NAME value", or `fallback`.
  long long value(const std::string& name, long long fallback = -1) const;
  const std::string& output() const { return output_; }

 private:
  bool readSome();

  pid_t pid_ = -1;
  int in_ = -1, out_ = -1;
  std::string output_;
};

class Instance {
 public:
  // `settings` are the fake machine's ("contextMb=4"). Memory for contexts is not charged unless
  // `perContext` says so.
  explicit Instance(std::int64_t limitMb, const std::vector<std::string>& settings = {},
                    Bytes perContext = Bytes(0));
  ~Instance();
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;

  // Runs the probe with the front on its library path; or the one linked to the driver, or the
  // static one.
  Probe start(const std::vector<std::string>& arguments) const;
  Probe startLinked(const std::vector<std::string>& arguments) const;
  Probe startStatic(const std::vector<std::string>& arguments) const;
  // ... with nothing at all in its environment.
  Probe startBare(const std::vector<std::string>& arguments) const;

  std::string frontPath() const { return folder_ + "/lib/libcuda.so.1"; }
  std::string privatePath() const { return folder_ + "/private/driver.so"; }
  std::string budgetPath() const { return folder_ + "/budget"; }
  const std::string& folder() const { return folder_; }
  gpu::BudgetFile& budget() { return *budget_; }
  // Charged by all living processes, after dead ones' slots were reaped.
  std::int64_t usedMb();

 private:
  std::string folder_;
  std::unique_ptr<gpu::BudgetFile> budget_;
};

// True when OKIBI_TEST_CUDA names a library: then only what holds for every driver may be expected.
bool onRealDriver();

}  // namespace okibi::bypass
