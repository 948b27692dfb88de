#pragma once
// NvmlLibrary: the driver's management library, opened and initialized. Its functions may be called
// from any thread.

#include <filesystem>
#include <memory>
#include <string>

#include "base/result.h"
#include "gpu/nvml_abi.h"

namespace okibi::gpu {

class NvmlLibrary {
 public:
  // `path`: a file, or a name for the loader ("libnvidia-ml.so.1"). Errors: NotFound: there is no
  // such library, or it says that no driver is loaded — a machine without NVIDIA cards.
  // Unavailable: there is one, but it cannot be used; the message says why.
  static Result<std::unique_ptr<NvmlLibrary>> open(const std::filesystem::path& path);
  ~NvmlLibrary();  // shuts it down and closes it
  NvmlLibrary(const NvmlLibrary&) = delete;
  NvmlLibrary& operator=(const NvmlLibrary&) = delete;

  const nvml::Functions& call() const { return functions_; }

 private:
  NvmlLibrary() = default;
  Result<void> resolve();

  void* handle_ = nullptr;
  nvml::Functions functions_;
  enum class State { Closed, Initialized } state_ = State::Closed;
};

// What a return code means, for messages: "not supported (3)".
std::string describeNvml(nvml::Return code);

}  // namespace okibi::gpu
