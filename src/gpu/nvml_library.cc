#include "gpu/nvml_library.h"

#include <array>

#include <dlfcn.h>
#include <fmt/format.h>

namespace okibi::gpu {
namespace {

template <typename Function>
void look(void* handle, const char* symbol, Function*& target) {
  target = reinterpret_cast<Function*>(dlsym(handle, symbol));
}

}  // namespace

Result<void> NvmlLibrary::resolve() {
#define OKIBI_NVML_LOOK(member, symbol, parameters) look(handle_, symbol, functions_.member);
  OKIBI_NVML_REQUIRED(OKIBI_NVML_LOOK)
  OKIBI_NVML_OPTIONAL(OKIBI_NVML_LOOK)
#undef OKIBI_NVML_LOOK
#define OKIBI_NVML_NEED(member, symbol, parameters) \
  if (functions_.member == nullptr) return fail(ErrorKind::Unavailable, "it lacks " symbol);
  OKIBI_NVML_REQUIRED(OKIBI_NVML_NEED)
#undef OKIBI_NVML_NEED
  return {};
}

Result<std::unique_ptr<NvmlLibrary>> NvmlLibrary::open(const std::filesystem::path& path) {
  std::unique_ptr<NvmlLibrary> library(new NvmlLibrary);
  library->handle_ = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library->handle_ == nullptr) return fail(ErrorKind::NotFound, dlerror());
  if (auto resolved = library->resolve(); !resolved) {
    return fail(withContext(resolved.error(), path.string()));
  }
  const nvml::Return code = library->functions_.init();
  if (code == nvml::kDriverNotLoaded) {
    return fail(ErrorKind::NotFound, fmt::format("{}: no driver is loaded", path.string()));
  }
  if (code != nvml::kSuccess) {
    return fail(ErrorKind::Unavailable,
                fmt::format("{}: nvmlInit_v2: {}", path.string(), describeNvml(code)));
  }
  library->state_ = State::Initialized;
  return library;
}

NvmlLibrary::~NvmlLibrary() {
  if (state_ == State::Initialized) functions_.shutdown();
  if (handle_ != nullptr) dlclose(handle_);
}

std::string describeNvml(nvml::Return code) {
  constexpr std::array<const char*, 16> kWords{"success",
                                               "uninitialized",
                                               "invalid argument",
                                               "not supported",
                                               "no permission",
                                               "already set up",
                                               "not found",
                                               "insufficient size",
                                               "insufficient power",
                                               "driver not loaded",
                                               "timeout",
                                               "interrupt trouble",
                                               "library not found",
                                               "function not found",
                                               "corrupted info ROM",
                                               "the card is lost"};
  const auto index = static_cast<std::size_t>(code);
  return fmt::format("{} ({})", index < kWords.size() ? kWords[index] : "failed", code);
}

}  // namespace okibi::gpu
