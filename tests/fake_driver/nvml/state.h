#pragma once
// The state file of the fake NVML (README.md), parsed.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace okibi::fake_nvml {

struct Process {
  std::uint32_t pid = 0;
  std::optional<std::uint64_t> bytes;
};
struct Part {
  std::string uuid, name;
  std::uint32_t gpuInstance = 0, computeInstance = 0;
  std::uint64_t total = 0;
};
struct Device {
  std::string uuid, name, pci;
  std::uint64_t total = 0, reserved = 0, used = 0;
  std::optional<std::uint32_t> numa, busy;
  std::uint32_t minor = 0;
  int capability[2] = {};
  std::vector<Process> processes;
  std::vector<Part> parts;
  bool limits = false;
  std::uint64_t limitsLie = 0;
};
struct Event {
  std::size_t device = 0;
  std::string kind;
  std::uint64_t number = 0;
};
struct State {
  std::string driver;
  std::vector<Device> devices;
  std::vector<Event> events;
  std::map<std::string, int> failures;  // by function
};

// nullopt: no variable, no file.
std::optional<State> readState();

}  // namespace okibi::fake_nvml
