#pragma once
// A contender: one way to have the echo server answer a request although it does not run yet. The
// clock starts at the decision to start and stops at the first byte of the answer.

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace okibi::bench {

using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::duration<double, std::milli>;

struct Settings {
  std::filesystem::path program;   // the echo server, static
  std::filesystem::path scratch;   // bundles and state
  std::filesystem::path launcher;  // okibi-launcher
  std::string url;                 // of a running okibi's function
  std::string reset;               // shell command that puts that function back to zero
  int port = 9000;
};

class Contender {
 public:
  virtual ~Contender() = default;
  virtual std::string name() const = 0;
  // From zero to the first byte.
  virtual Result<Milliseconds> coldStart() = 0;
  // Back to zero, outside the clock.
  virtual Result<void> reset() = 0;
};

Result<std::unique_ptr<Contender>> makeForkExec(const Settings& settings);
enum class Models { None, OneDirectory };
Result<std::unique_ptr<Contender>> makeNative(const Settings& settings, Models models);
// `runtime`: "crun" or "runc".
Result<std::unique_ptr<Contender>> makeOciRuntime(const Settings& settings,
                                                  const std::string& runtime);
Result<std::unique_ptr<Contender>> makeUrl(const Settings& settings);

// Environment of the echo server.
std::string portVariable(const Settings& settings);

// Connects a fresh socket of `makeSocket` to 127.0.0.1:port every 100 µs until it is accepted,
// sends a POST /invoke and returns at the first byte of the answer. TimedOut after 10 s.
Result<void> firstByte(const std::function<int()>& makeSocket, int port);
// The same over one connected socket, for `path` of `host`.
Result<void> postOn(int fd, const std::string& host, const std::string& path);

}  // namespace okibi::bench
