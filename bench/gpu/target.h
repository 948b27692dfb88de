#pragma once
// A process with work on a card, told what to do line by line (gpu_target.cc), and what the driver
// says it uses.

#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>

namespace okibi::gpubench {

inline double secondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// The programs lie beside one another.
inline std::string beside(const std::string& name) {
  char path[4096];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
  std::string own(path, length > 0 ? static_cast<std::size_t>(length) : 0);
  return own.substr(0, own.rfind('/') + 1) + name;
}

// Another process, told what to do by a line and answering by one.
class Target {
 public:
  // gpu_target. `environment`: "NAME=value" to set beside this program's own.
  explicit Target(const std::vector<std::string>& environment = {})
      : Target({beside("gpu_target")}, environment) {}
  static Target python(const char* script) { return Target({"python3", "-c", script}, {}); }

  ~Target() {
    end();
    close(in_);
    close(out_);
  }
  Target(const Target&) = delete;
  Target& operator=(const Target&) = delete;

  void send(const std::string& order) {
    const std::string line = order + "\n";
    if (write(in_, line.data(), line.size()) < 0) std::perror("target");
  }

  // The next line of its output; "gone" when it has ended.
  std::string receive() {
    std::string line;
    char c;
    while (read(out_, &c, 1) == 1) {
      if (c == '\n') return line;
      line += c;
    }
    return "gone";
  }

  std::string ask(const std::string& order) {
    send(order);
    return receive();
  }

  // "ok" answers carry a number: ask("sum") -> "ok 42".
  double askNumber(const std::string& order) {
    const std::string answer = ask(order);
    return answer.starts_with("ok ") ? std::atof(answer.c_str() + 3) : -1;
  }

  void end() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

  pid_t pid() const { return pid_; }

 private:
  Target(std::vector<std::string> command, const std::vector<std::string>& environment) {
    signal(SIGPIPE, SIG_IGN);  // its end is told by receive()
    int to[2], from[2];
    if (pipe(to) != 0 || pipe(from) != 0) std::abort();
    pid_ = fork();
    if (pid_ == 0) {
      dup2(to[0], 0);
      dup2(from[1], 1);
      for (const int fd : {to[0], to[1], from[0], from[1]}) close(fd);
      signal(SIGPIPE, SIG_DFL);
      for (const std::string& each : environment) putenv(strdup(each.c_str()));
      std::vector<char*> words;
      for (std::string& each : command) words.push_back(each.data());
      words.push_back(nullptr);
      execvp(words[0], words.data());
      _exit(127);
    }
    close(to[0]);
    close(from[1]);
    in_ = to[1];
    out_ = from[0];
  }

  pid_t pid_ = -1;
  int in_ = -1, out_ = -1;
};

inline double residentMb(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) return std::atof(line.c_str() + 6) / 1024;
  }
  return -1;
}

// NVML, as far as the experiments need it. OKIBI_TEST_NVML names another library.
class Nvml {
 public:
  Nvml() {
    const char* named = std::getenv("OKIBI_TEST_NVML");
    library_ = dlopen(named ? named : "libnvidia-ml.so.1", RTLD_NOW);
    if (library_ && call("nvmlInit_v2") == 0 &&
        call("nvmlDeviceGetHandleByIndex_v2", 0u, &device_) == 0)
      return;
    device_ = nullptr;
  }

  template <class... A>
  int call(const char* name, A... arguments) {
    void* address = library_ ? dlsym(library_, name) : nullptr;
    return address ? reinterpret_cast<int (*)(A...)>(address)(arguments...) : 13;
  }

  bool has(const char* name) const { return library_ && dlsym(library_, name); }
  void* device() const { return device_; }

  // Memory in use on card 0, by everybody.
  std::optional<double> usedMb() {
    unsigned long long memory[3] = {};
    if (!device_ || call("nvmlDeviceGetMemoryInfo", device_, static_cast<void*>(memory)) != 0)
      return std::nullopt;
    return static_cast<double>(memory[2]) / (1 << 20);
  }

  // By one process, if the driver says.
  std::optional<double> usedMb(pid_t pid) {
    struct Process {
      unsigned pid;
      unsigned long long bytes;
      unsigned instances[2];
    };
    std::vector<Process> processes(256);
    auto count = static_cast<unsigned>(processes.size());
    if (!device_ ||
        call("nvmlDeviceGetComputeRunningProcesses_v3", device_, &count, processes.data()) != 0)
      return std::nullopt;
    for (unsigned i = 0; i < count; ++i) {
      if (processes[i].pid == static_cast<unsigned>(pid) && processes[i].bytes != ~0ull)
        return static_cast<double>(processes[i].bytes) / (1 << 20);
    }
    return 0;
  }

 private:
  void* library_ = nullptr;
  void* device_ = nullptr;
};

inline std::string megabytes(const std::optional<double>& value) {
  if (!value) return "not available";
  char text[32];
  std::snprintf(text, sizeof text, "%.0f MB", *value);
  return text;
}

}  // namespace okibi::gpubench
