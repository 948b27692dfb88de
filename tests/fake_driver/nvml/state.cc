#include "state.h"

#include <cstdlib>
#include <fstream>
#include <sstream>

namespace okibi::fake_nvml {
namespace {

std::string restOf(std::istringstream& words) {
  std::string rest;
  std::getline(words >> std::ws, rest);
  return rest;
}

void readDeviceLine(Device& device, const std::string& key, std::istringstream& words) {
  if (key == "uuid") words >> device.uuid;
  if (key == "name") device.name = restOf(words);
  if (key == "pci") words >> device.pci;
  if (key == "total") words >> device.total;
  if (key == "reserved") words >> device.reserved;
  if (key == "used") words >> device.used;
  if (key == "minor") words >> device.minor;
  if (key == "capability") words >> device.capability[0] >> device.capability[1];
  if (key == "numa") words >> device.numa.emplace();
  if (key == "busy") words >> device.busy.emplace();
  if (key == "limits") device.limits = true;
  if (key == "limits-lie") words >> device.limitsLie;
  if (key == "process") {
    Process process;
    std::string bytes;
    words >> process.pid >> bytes;
    if (bytes != "-") process.bytes = std::strtoull(bytes.c_str(), nullptr, 10);
    device.processes.push_back(process);
  }
  if (key == "part") {
    Part part;
    words >> part.uuid >> part.gpuInstance >> part.computeInstance >> part.total;
    part.name = restOf(words);
    device.parts.push_back(part);
  }
}

void readLine(State& state, const std::string& line) {
  std::istringstream words(line);
  std::string key;
  if (!(words >> key) || key[0] == '#') return;
  if (key == "device") {
    state.devices.emplace_back();
  } else if (key == "driver") {
    words >> state.driver;
  } else if (key == "fail") {
    std::string function;
    words >> function;
    words >> state.failures[function];
  } else if (key == "event") {
    Event event;
    words >> event.device >> event.kind >> event.number;
    state.events.push_back(event);
  } else if (!state.devices.empty()) {
    readDeviceLine(state.devices.back(), key, words);
  }
}

}  // namespace

std::optional<State> readState() {
  const char* path = std::getenv("OKIBI_FAKE_NVML");
  if (path == nullptr) return std::nullopt;
  std::ifstream in(path);
  if (!in) return std::nullopt;
  State state;
  for (std::string line; std::getline(in, line);) readLine(state, line);
  return state;
}

}  // namespace okibi::fake_nvml
