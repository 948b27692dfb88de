#include "gpu_bypass/testing_instance.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gpu_bypass/testing_paths.h"
#include "shim/front_writer.h"

namespace okibi::bypass {
namespace {

namespace fs = std::filesystem;

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> all;
  for (const std::string& text : texts) all.push_back(const_cast<char*>(text.c_str()));
  all.push_back(nullptr);
  return all;
}

std::string driverLibrary() {
  const char* named = getenv("OKIBI_TEST_CUDA");
  return named && *named ? named : kFakeCuda;
}

void writeFront(const std::string& out, const std::string& real, const std::string& budget) {
  shim::FrontPlan plan;
  auto exports = shim::readExports(real);
  if (!exports) throw std::runtime_error(exports.error());
  plan.exports = std::move(*exports);
  plan.exports.soname = "libcuda.so.1";
  plan.shimPath = kShim;
  plan.realPath = real;
  plan.budgetPath = budget;
  std::ofstream(out, std::ios::binary) << shim::buildFront(plan);
}

}  // namespace

bool onRealDriver() {
  const char* named = getenv("OKIBI_TEST_CUDA");
  return named && *named;
}

Probe::Probe(const std::string& program, const std::vector<std::string>& arguments,
             const std::vector<std::string>& environment) {
  int toChild[2], fromChild[2];
  if (pipe2(toChild, O_CLOEXEC) != 0 || pipe2(fromChild, O_CLOEXEC) != 0)
    throw std::runtime_error("pipe");
  std::vector<std::string> all = {program};
  all.insert(all.end(), arguments.begin(), arguments.end());
  const std::vector<char*> argv = pointers(all), envp = pointers(environment);
  pid_ = fork();
  if (pid_ == 0) {
    dup2(toChild[0], 0);
    dup2(fromChild[1], 1);
    execve(program.c_str(), argv.data(), envp.data());
    _exit(73);
  }
  close(toChild[0]);
  close(fromChild[1]);
  in_ = toChild[1];
  out_ = fromChild[0];
}

Probe::Probe(Probe&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      in_(std::exchange(other.in_, -1)),
      out_(std::exchange(other.out_, -1)),
      output_(std::move(other.output_)) {}

Probe::~Probe() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  if (in_ >= 0) close(in_);
  if (out_ >= 0) close(out_);
}

bool Probe::readSome() {
  char bytes[4096];
  const ssize_t got = read(out_, bytes, sizeof bytes);
  if (got <= 0) return false;
  output_.append(bytes, static_cast<std::size_t>(got));
  return true;
}

bool Probe::waitFor(const std::string& name) {
  while (value(name, -1'000'000) == -1'000'000) {
    if (!readSome()) return false;
  }
  return true;
}

bool Probe::isSilentFor(std::chrono::milliseconds time) const {
  pollfd output{.fd = out_, .events = POLLIN, .revents = 0};
  return poll(&output, 1, static_cast<int>(time.count())) == 0;
}

int Probe::finish() {
  close(std::exchange(in_, -1));
  while (readSome()) {
  }
  int status = 0;
  waitpid(std::exchange(pid_, -1), &status, 0);
  return status;
}

void Probe::kill(int signal) {
  ::kill(pid_, signal);
}

long long Probe::value(const std::string& name, long long fallback) const {
  std::istringstream lines(output_);
  for (std::string line; std::getline(lines, line);) {
    // A line still being written has no end yet, but numbers here are short: getline at the end
    // means it may be cut.
    if (line.starts_with(name + " ") && !lines.eof())
      return std::stoll(line.substr(name.size() + 1));
  }
  return fallback;
}

Instance::Instance(std::int64_t limitMb, const std::vector<std::string>& settings,
                   Bytes perContext) {
  std::string pattern = (fs::temp_directory_path() / "okibi-bypass-XXXXXX").string();
  folder_ = mkdtemp(pattern.data());
  fs::create_directories(folder_ + "/lib");
  fs::create_directories(folder_ + "/private/machine/faults");
  fs::create_symlink(driverLibrary(), privatePath());
  std::ofstream machine(folder_ + "/private/machine/settings");
  for (const std::string& line : settings) machine << line << "\n";
  machine.close();
  auto made = gpu::BudgetFile::create(
      budgetPath(), {.cards = {{Bytes::mib(limitMb), ""}}, .perContext = perContext});
  if (!made) throw std::runtime_error(made.error().message);
  budget_ = std::make_unique<gpu::BudgetFile>(std::move(*made));
  writeFront(frontPath(), privatePath(), budgetPath());
}

Instance::~Instance() {
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

Probe Instance::start(const std::vector<std::string>& arguments) const {
  return {kProbe, arguments, {"LD_LIBRARY_PATH=" + folder_ + "/lib"}};
}

Probe Instance::startLinked(const std::vector<std::string>& arguments) const {
  return {kLinkedProbe, arguments, {"LD_LIBRARY_PATH=" + folder_ + "/lib"}};
}

Probe Instance::startStatic(const std::vector<std::string>& arguments) const {
  return {kStaticProbe, arguments, {"LD_LIBRARY_PATH=" + folder_ + "/lib"}};
}

Probe Instance::startBare(const std::vector<std::string>& arguments) const {
  return {kProbe, arguments, {}};
}

std::int64_t Instance::usedMb() {
  const gpu::HostProcesses host;
  budget_->reap([&](const gpu::BudgetedProcess& process) { return host.alive(process); });
  return budget_->used(0).wholeMib();
}

}  // namespace okibi::bypass
