#include "fake_driver/cuda/machine.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <map>

#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "shim/cuda_abi.h"

namespace okibi::fake {
namespace {

constexpr std::uint64_t kMagic = 0x3145564952444b46;

std::uint64_t startTickOf(pid_t pid, char* state = nullptr) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(file, text);
  const std::size_t end = text.rfind(')');
  if (end == std::string::npos || end + 2 >= text.size()) return 0;
  if (state) *state = text[end + 2];
  std::size_t at = end + 2;
  for (int field = 3; field < 22; ++field) at = text.find(' ', at) + 1;
  return std::strtoull(text.c_str() + at, nullptr, 10);
}

bool gone(const ProcessState& process) {
  char state = 0;
  if (kill(process.pid, 0) < 0 && errno == ESRCH) return true;
  return startTickOf(process.pid, &state) != process.startTick || state == 'Z';
}

// The driver takes back what a dead process held. Needs the lock.
void reapDead() {
  for (ProcessState& process : machine().processes) {
    if (!process.pid || !gone(process)) continue;
    for (int card = 0; card < kMaxCards; ++card) machine().used[card] -= process.used[card];
    process = ProcessState{};
  }
}

void readSetting(Settings& s, const std::string& name, std::uint64_t value) {
  const std::map<std::string, std::function<void()>> known = {
      {"cards", [&] { s.cards = static_cast<int>(std::min<std::uint64_t>(value, kMaxCards)); }},
      {"memoryMb", [&] { s.memoryBytes = value << 20; }},
      {"contextMb", [&] { s.contextBytes = value << 20; }},
      {"poolChunkMb", [&] { s.poolChunkBytes = value << 20; }},
      {"launchUs", [&] { s.launchNs = value * 1000; }},
      {"forkWorks", [&] { s.forkWorks = value != 0; }},
      {"privateEntries", [&] { s.privateEntries = value != 0; }}};
  const auto found = known.find(name);
  if (found != known.end()) return found->second();
  fprintf(stderr, "fake driver: unknown setting %s\n", name.c_str());
  abort();
}

Settings readSettings() {
  Settings s;
  std::ifstream file(machineFolder() + "/settings");
  for (std::string line; std::getline(file, line);) {
    const std::size_t equals = line.find('=');
    if (equals != std::string::npos)
      readSetting(s, line.substr(0, equals), std::strtoull(line.c_str() + equals + 1, nullptr, 10));
  }
  return s;
}

void initialize(MachineState& state) {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  pthread_mutex_init(&state.mutex, &attributes);
  state.magic = kMagic;
}

MachineState* mapState() {
  mkdir(machineFolder().c_str(), 0777);
  const std::string path = machineFolder() + "/state";
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (fd < 0 || flock(fd, LOCK_EX) != 0) {
    fprintf(stderr, "fake driver: no machine at %s\n", path.c_str());
    abort();
  }
  struct stat about{};
  fstat(fd, &about);
  const bool fresh = about.st_size < static_cast<off_t>(sizeof(MachineState));
  if (fresh && ftruncate(fd, sizeof(MachineState)) != 0) abort();
  void* at = mmap(nullptr, sizeof(MachineState), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (at == MAP_FAILED) abort();
  auto* state = static_cast<MachineState*>(at);
  if (state->magic != kMagic) initialize(*state);
  flock(fd, LOCK_UN);
  close(fd);
  return state;
}

ProcessState* own = nullptr;

}  // namespace

std::string machineFolder() {
  static const std::string folder = [] {
    Dl_info info{};
    dladdr(reinterpret_cast<void*>(&machineFolder), &info);
    const std::string path = info.dli_fname ? info.dli_fname : "";
    const std::size_t slash = path.rfind('/');
    return (slash == std::string::npos ? "." : path.substr(0, slash)) + "/machine";
  }();
  return folder;
}

const Settings& settings() {
  static const Settings read = readSettings();
  return read;
}

// For the resolver, which knows none of our types: its table declares every function in its own
// way.
bool privateEntries() {
  return settings().privateEntries;
}

MachineState& machine() {
  static MachineState* const state = mapState();
  return *state;
}

MachineLock::MachineLock() {
  if (pthread_mutex_lock(&machine().mutex) == EOWNERDEAD)
    pthread_mutex_consistent(&machine().mutex);
}

MachineLock::~MachineLock() {
  pthread_mutex_unlock(&machine().mutex);
}

std::int64_t nowNs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

ProcessState* processOf(pid_t pid) {
  for (ProcessState& process : machine().processes) {
    if (process.pid == pid && !gone(process)) return &process;
  }
  return nullptr;
}

ProcessState& ownProcess() {
  if (own) return *own;
  const MachineLock lock;
  reapDead();
  for (ProcessState& process : machine().processes) {
    if (process.pid) continue;
    process = ProcessState{};
    process.pid = getpid();
    process.startTick = startTickOf(process.pid);
    own = &process;
    return process;
  }
  fprintf(stderr, "fake driver: more than %d processes\n", kMaxProcesses);
  abort();
}

void forgetOwnProcess() {
  own = nullptr;
}

bool takeMemory(int card, std::uint64_t bytes) {
  ProcessState& process = ownProcess();
  const MachineLock lock;
  const auto fits = [&] { return machine().used[card] + bytes <= settings().memoryBytes; };
  if (!fits()) reapDead();
  if (!fits()) return false;
  machine().used[card] += bytes;
  process.used[card] += bytes;
  return true;
}

void returnMemory(int card, std::uint64_t bytes) {
  ProcessState& process = ownProcess();
  const MachineLock lock;
  machine().used[card] -= bytes;
  process.used[card] -= bytes;
}

std::int64_t occupy(int card, std::int64_t notBefore, std::uint64_t ns) {
  ProcessState& process = ownProcess();
  const MachineLock lock;
  const std::int64_t start =
      std::max({nowNs(), notBefore, ns ? machine().cardBusyUntilNs[card] : 0});
  const std::int64_t end = start + static_cast<std::int64_t>(ns);
  if (ns) machine().cardBusyUntilNs[card] = end;
  process.busyUntilNs = std::max(process.busyUntilNs, end);
  return end;
}

void waitWhileStopped() {
  const ProcessState& process = ownProcess();
  while (__atomic_load_n(&process.checkpoint, __ATOMIC_ACQUIRE) != cuda::kStateRunning)
    usleep(1000);
}

}  // namespace okibi::fake
