#include "model/validation.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/encoding.h"

namespace okibi {
namespace {

std::unexpected<Error> invalid(std::string message) {
  return fail(ErrorKind::Invalid, std::move(message), "InvalidArgument");
}

// "field: 201 is not in 1–200".
template <typename T>
Result<void> inRange(std::string_view field, T value, T low, T high, std::string_view unit = "") {
  if (value >= low && value <= high) return {};
  return invalid(fmt::format("{}: {}{} is not in {}–{}{}", field, value, unit, low, high, unit));
}

bool isNameCharacter(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-';
}

Result<void> validateSizes(const FunctionSpec& spec, const MachineCapacity& machine) {
  if (spec.cpu.count < 50 || spec.cpu.count % 50 != 0 || spec.cpu.count > machine.cpus * 1000) {
    return invalid(
        fmt::format("cpu: {} is not in 0.05–{} in steps of 0.05 (this machine has {} vCPU)",
                    spec.cpu.count / 1000.0, machine.cpus, machine.cpus));
  }
  const auto mib = spec.memory.wholeMib();
  const auto most = std::min<std::int64_t>(machine.memory.wholeMib(), 256 * 1024) / 64 * 64;
  if (mib < 128 || mib % 64 != 0 || mib > most) {
    return invalid(
        fmt::format("memorySize: {} MB is not in 128–{} MB in steps of 64 MB", mib, most));
  }
  const auto disk = spec.disk.wholeMib();
  const bool tens = disk >= 10240 && disk <= 204800 && disk % 10240 == 0;
  if (disk != 512 && !tens) {
    return invalid(
        fmt::format("diskSize: {} MB is neither 512 MB nor 10240–204800 MB in steps of "
                    "10240 MB",
                    disk));
  }
  return {};
}

Result<void> validateGpu(const FunctionSpec& spec, const MachineCapacity& machine) {
  if (!spec.gpu) return {};
  const GpuConfig& gpu = *spec.gpu;
  if (spec.runtime != "custom-container") {
    return invalid(
        fmt::format("runtime: '{}' cannot have a gpuConfig; GPU functions need runtime "
                    "custom-container",
                    spec.runtime));
  }
  const auto mib = gpu.memory.wholeMib();
  if (mib < 1024 || mib % 1024 != 0) {
    return invalid(
        fmt::format("gpuConfig.gpuMemorySize: {} MB is not a multiple of 1024 MB from "
                    "1024 MB",
                    mib));
  }
  Bytes largest;
  for (const Card& card : machine.cards) {
    if (card.type == gpu.type) largest = std::max(largest, card.memory);
  }
  if (largest == Bytes()) {
    const CardType* known = findCardType(gpu.type);
    return invalid(fmt::format("gpuConfig.gpuType: {} '{}'; this machine has {}",
                               known ? "there is no card of type" : "unknown type", gpu.type,
                               describeCards(machine.cards)));
  }
  const Bytes usable = Bytes::gib(largest.wholeGib());
  if (sliceOf(gpu, machine.cards) > usable) {
    return invalid(fmt::format(
        "gpuConfig.gpuMemorySize: {} MB is not in 1024–{} MB; a slice must fit one card of type {} "
        "(several cards for one instance are not offered); this machine has {}",
        mib, usable.wholeMib(), gpu.type, describeCards(machine.cards)));
  }
  return {};
}

Result<void> validateContainer(const FunctionSpec& spec) {
  if (spec.runtime != "custom-container") {
    return invalid(fmt::format("runtime: '{}' is not offered; use custom-container", spec.runtime));
  }
  const ContainerConfig& container = spec.container;
  if (container.image.empty()) return invalid("customContainerConfig.image: is required");
  if (auto ok = inRange("customContainerConfig.port", container.port, 1, 65535); !ok) return ok;
  for (const auto* list : {&container.entrypoint, &container.command}) {
    for (const std::string& word : *list) {
      if (word.find('\0') != std::string::npos) {
        return invalid("customContainerConfig.command: holds a NUL character");
      }
    }
  }
  if (!container.healthCheck) return {};
  const HealthCheck& check = *container.healthCheck;
  const std::string at = "customContainerConfig.healthCheckConfig.";
  if (check.path.empty() || check.path[0] != '/' || check.path.size() > 2048) {
    return invalid(at + "httpGetUrl: must begin with '/' and have at most 2048 characters");
  }
  struct Rule {
    const char* field;
    std::int64_t value, low, high;
  };
  for (const Rule& rule : {Rule{"initialDelaySeconds", check.initialDelay.count(), 0, 120},
                           Rule{"periodSeconds", check.period.count(), 1, 120},
                           Rule{"timeoutSeconds", check.timeout.count(), 1, 3},
                           Rule{"failureThreshold", check.failureThreshold, 1, 120},
                           Rule{"successThreshold", check.successThreshold, 1, 120}}) {
    if (auto ok = inRange(at + rule.field, rule.value, rule.low, rule.high); !ok) return ok;
  }
  return {};
}

Result<void> validateHook(std::string_view field, const Hook& hook, Seconds longest) {
  if (!hook.enabled()) return {};
  if (!hook.handler.empty() && !hook.command.empty()) {
    return invalid(
        fmt::format("instanceLifecycleConfig.{}: handler and command exclude each other", field));
  }
  return inRange(fmt::format("instanceLifecycleConfig.{}.timeout", field), hook.timeout.count(),
                 Seconds::rep{1}, longest.count(), " s");
}

// It sizes the sandbox's /dev/shm: what is no size would silently become the default.
Result<void> validateSharedMemory(const FunctionSpec& spec) {
  const auto found = spec.environment.find("FCGPU_RUNTIME_SHMSIZE");
  if (found == spec.environment.end()) return {};
  std::int64_t bytes = 0;
  const std::string& text = found->second;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bytes);
  if (error == std::errc() && end == text.data() + text.size() && bytes > 0) return {};
  return invalid(fmt::format(
      "environmentVariables.FCGPU_RUNTIME_SHMSIZE: '{}' is not a number of bytes above 0", text));
}

Result<void> validateEnvironment(const FunctionSpec& spec) {
  std::int64_t total = 0;
  for (const auto& [key, value] : spec.environment) {
    total += static_cast<std::int64_t>(key.size() + value.size());
    if (key.empty() || !std::isalpha(static_cast<unsigned char>(key[0])) ||
        key.find_first_of(std::string_view("=\0", 2)) != std::string::npos) {
      return invalid(
          fmt::format("environmentVariables: the name '{}' must begin with a letter and "
                      "hold no '='",
                      key));
    }
    if (key.starts_with("FC_")) {
      return invalid(
          fmt::format("environmentVariables: '{}' is reserved (names beginning with FC_)", key));
    }
    if (value.find('\0') != std::string::npos) {
      return invalid(fmt::format("environmentVariables.{}: holds a NUL character", key));
    }
  }
  if (total > limits::kEnvironment.count()) {
    return invalid(fmt::format("environmentVariables: {} bytes are more than {} bytes", total,
                               limits::kEnvironment.count()));
  }
  return {};
}

}  // namespace

Result<void> validateFunctionName(std::string_view name) {
  const bool wellFormed = !name.empty() && name.size() <= limits::kFunctionNameLength &&
                          std::ranges::all_of(name, isNameCharacter) && name[0] != '-' &&
                          !std::isdigit(static_cast<unsigned char>(name[0]));
  if (wellFormed) return {};
  return invalid(
      fmt::format("functionName: '{}' must have 1–{} letters, digits, '_' or '-' and not "
                  "begin with a digit or '-'",
                  name, limits::kFunctionNameLength));
}

Result<void> validateAliasName(std::string_view name) {
  const bool number = std::ranges::all_of(
      name, [](char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; });
  const bool wellFormed = !name.empty() && name.size() <= limits::kAliasNameLength &&
                          std::ranges::all_of(name, isNameCharacter) && name != "LATEST" && !number;
  if (wellFormed) return {};
  return invalid(
      fmt::format("aliasName: '{}' must have 1–{} letters, digits, '_' or '-' and be neither "
                  "LATEST nor a number",
                  name, limits::kAliasNameLength));
}

Result<void> validate(const FunctionSpec& spec, const MachineCapacity& machine) {
  if (auto ok = validateFunctionName(spec.name); !ok) return ok;
  // GPU before container: a GPU with another runtime is answered with the rule about GPUs.
  if (auto ok = validateGpu(spec, machine); !ok) return ok;
  if (auto ok = validateContainer(spec); !ok) return ok;
  if (auto ok = validateSizes(spec, machine); !ok) return ok;
  if (auto ok = inRange("instanceConcurrency", spec.concurrency, limits::kConcurrencyMin,
                        limits::kConcurrencyMax);
      !ok)
    return ok;
  if (auto ok = inRange("timeout", spec.timeout.count(), limits::kTimeoutMin.count(),
                        limits::kTimeoutMax.count(), " s");
      !ok)
    return ok;
  if (auto ok = inRange("idleTimeout", spec.keptIdle().count(), limits::kIdleTimeoutMin.count(),
                        limits::kIdleTimeoutMax.count(), " s");
      !ok)
    return ok;
  if (auto ok = inRange("okibi.weight", spec.weight.value_or(1), 1, 100); !ok) return ok;
  if (auto ok = validateHook("initializer", spec.initializer, limits::kInitializerTimeoutMax);
      !ok) {
    return ok;
  }
  if (!spec.preStop.command.empty()) {
    return invalid("instanceLifecycleConfig.preStop.command: is not offered; use handler");
  }
  if (auto ok = validateHook("preStop", spec.preStop, limits::kPreStopTimeoutMax); !ok) return ok;
  if (auto valid = validateSharedMemory(spec); !valid) return valid;
  return validateEnvironment(spec);
}

Result<void> validate(const Trigger& trigger) {
  if (trigger.name.empty() || trigger.name.size() > 128 ||
      !std::ranges::all_of(trigger.name, isNameCharacter)) {
    return invalid(
        fmt::format("triggerName: '{}' must have 1–128 letters, digits, '_' or '-'", trigger.name));
  }
  if (trigger.type == "timer") return {};
  if (trigger.type != "http") {
    return invalid(
        fmt::format("triggerType: '{}' is not offered; use http or timer", trigger.type));
  }
  static const std::vector<std::string> kMethods{"GET",  "POST",  "PUT",    "DELETE",
                                                 "HEAD", "PATCH", "OPTIONS"};
  for (const std::string& method : trigger.http.methods) {
    if (std::ranges::find(kMethods, method) == kMethods.end()) {
      return invalid(fmt::format("triggerConfig.methods: '{}' is not one of {}", method,
                                 fmt::join(kMethods, ", ")));
    }
  }
  if (trigger.http.methods.empty()) return invalid("triggerConfig.methods: names no method");
  return {};
}

std::string describeCards(std::span<const Card> cards) {
  struct Kind {
    int count = 0;
    Bytes memory;
    CardOrigin origin = CardOrigin::Physical;
  };
  std::map<std::string, Kind> kinds;
  for (const Card& card : cards) {
    Kind& kind = kinds[card.type];
    ++kind.count;
    kind.memory = card.memory;
    kind.origin = card.origin;
  }
  if (kinds.empty()) return "no GPU";
  std::vector<std::string> words;
  for (const auto& [type, kind] : kinds) {
    words.push_back(fmt::format("{} × {} ({} GB{})", kind.count, type, kind.memory.wholeGib(),
                                kind.origin == CardOrigin::Simulated ? ", simulated" : ""));
  }
  return fmt::format("{}", fmt::join(words, ", "));
}

}  // namespace okibi
