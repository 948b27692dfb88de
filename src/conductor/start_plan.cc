#include "conductor/start_plan.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>

#include <fmt/format.h>

namespace okibi::conductor {
namespace {

// Both are container engines' rule: an overridden entrypoint drops the image's command.
std::vector<std::string> argumentsOf(const ContainerConfig& wanted,
                                     const seams::ImageConfig& image) {
  std::vector<std::string> arguments =
      wanted.entrypoint.empty() ? image.entrypoint : wanted.entrypoint;
  const bool imageCommand = wanted.command.empty() && wanted.entrypoint.empty();
  const auto& command = imageCommand ? image.command : wanted.command;
  arguments.insert(arguments.end(), command.begin(), command.end());
  return arguments;
}

constexpr const char* kKeyId = "ALIBABA_CLOUD_ACCESS_KEY_ID";
constexpr const char* kKeySecret = "ALIBABA_CLOUD_ACCESS_KEY_SECRET";
constexpr const char* kToken = "ALIBABA_CLOUD_SECURITY_TOKEN";

// A function that brings its own is left with them whole: parts of two are none.
bool hasOwnCredentials(const FunctionSpec& spec) {
  return std::ranges::any_of(std::initializer_list<const char*>{kKeyId, kKeySecret, kToken},
                             [&](const char* name) { return spec.environment.contains(name); });
}

std::vector<std::string> environmentOf(const Instance& instance, const Labels& labels,
                                       const seams::ImageConfig& image) {
  const FunctionSpec& spec = instance.revision->spec;
  std::map<std::string, std::string> merged{
      {"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, {"HOME", "/root"}};
  for (const std::string& entry : image.environment) {
    const std::size_t equals = entry.find('=');
    if (equals != std::string::npos) merged[entry.substr(0, equals)] = entry.substr(equals + 1);
  }
  // Without it OpenMP starts a thread per host core and spins (a model runs 8 times slower).
  const int threads = std::max(1, static_cast<int>(std::ceil(spec.cpu.count / 1000.0)));
  merged.try_emplace("OMP_NUM_THREADS", std::to_string(threads));
  for (const auto& [key, value] : spec.environment) merged[key] = value;
  merged["FC_ACCOUNT_ID"] = labels.account;
  merged["FC_REGION"] = labels.region;
  merged["FC_FUNCTION_NAME"] = spec.name;
  merged["FC_FUNCTION_HANDLER"] = spec.handler;
  merged["FC_FUNCTION_MEMORY_SIZE"] = std::to_string(spec.memory.wholeMib());
  merged["FC_CUSTOM_LISTEN_PORT"] = std::to_string(spec.container.port);
  merged["FC_INSTANCE_ID"] = instance.name;
  merged["FC_FUNCTION_VERSION"] = instance.revision->version;
  merged["FC_VER_ID"] = instance.revision->version;
  merged["FC_FUNC_CODE_PATH"] = "/code";
  if (labels.credentials && !hasOwnCredentials(spec)) {
    merged[kKeyId] = labels.credentials->id;
    merged[kKeySecret] = labels.credentials->secret;
    merged[kToken] = labels.credentials->token;
  }
  std::vector<std::string> environment;
  for (const auto& [key, value] : merged) environment.push_back(key + "=" + value);
  return environment;
}

// FCGPU_RUNTIME_SHMSIZE: bytes, at most half of the function's memory.
Bytes sharedMemoryOf(const FunctionSpec& spec) {
  const auto found = spec.environment.find("FCGPU_RUNTIME_SHMSIZE");
  if (found == spec.environment.end()) return limits::kShmDefault;
  std::int64_t bytes = 0;
  const std::string& text = found->second;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bytes);
  if (error != std::errc() || end != text.data() + text.size() || bytes <= 0) {
    return limits::kShmDefault;
  }
  return std::min(Bytes(bytes), Bytes(spec.memory.count() / 2));
}

}  // namespace

Result<seams::InstanceSpec> planStart(const Instance& instance, const Labels& labels) {
  const Revision& revision = *instance.revision;
  const seams::ImageConfig& image = revision.image.config;
  seams::InstanceSpec spec;
  spec.id = instance.id;
  spec.name = instance.name;
  spec.layers = revision.image.layers;
  spec.arguments = argumentsOf(revision.spec.container, image);
  if (spec.arguments.empty()) {
    return fail(ErrorKind::Invalid,
                "neither the image nor customContainerConfig has an entrypoint or command",
                "FunctionNotStarted");
  }
  spec.environment = environmentOf(instance, labels, image);
  spec.workingDirectory = image.workingDirectory.empty() ? "/" : image.workingDirectory;
  spec.user = image.user;
  spec.cpu = revision.spec.cpu;
  spec.memory = revision.spec.memory;
  spec.disk = revision.spec.disk;
  spec.sharedMemory = sharedMemoryOf(revision.spec);
  spec.models = revision.spec.modelDirectories;
  return spec;
}

void giveDevices(seams::InstanceSpec& spec, seams::DeviceEdits edits) {
  const auto valueOf = [&](const std::string& name) {
    return std::ranges::find_if(spec.environment, [&](const std::string& entry) {
      return entry.starts_with(name) && entry.size() > name.size() && entry[name.size()] == '=';
    });
  };
  const auto set = [&](const std::string& name, const std::string& value) {
    const auto found = valueOf(name);
    if (found == spec.environment.end()) {
      spec.environment.push_back(name + "=" + value);
    } else {
      *found = name + "=" + value;
    }
  };
  for (const auto& [name, value] : edits.environment) set(name, value);
  if (!edits.libraryPath.empty()) {
    const std::string name = "LD_LIBRARY_PATH";
    const auto found = valueOf(name);
    const std::string own = found == spec.environment.end() ? "" : found->substr(name.size() + 1);
    set(name, own.empty() ? edits.libraryPath : edits.libraryPath + ":" + own);
  }
  spec.devices = std::move(edits);
}

std::string makeInstanceName(std::uint64_t high, std::uint64_t low) {
  return fmt::format("c-{:08x}-{:08x}-{:012x}", high >> 32, high & 0xffffffffU,
                     low & 0xffffffffffffU);
}

}  // namespace okibi::conductor
