// The floor: the server as a plain process of the host, no isolation at all.

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/cold_start/contender.h"

namespace okibi::bench {

namespace {

class ForkExec final : public Contender {
 public:
  explicit ForkExec(const Settings& settings) : settings_(settings) {}
  std::string name() const override { return "fork+exec"; }

  Result<Milliseconds> coldStart() override {
    auto begin = Clock::now();
    std::string program = settings_.program, variable = portVariable(settings_);
    char* arguments[] = {program.data(), nullptr};
    char* environment[] = {variable.data(), nullptr};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    int error = posix_spawn(&pid_, program.c_str(), &actions, nullptr, arguments, environment);
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0) return failErrno("spawn " + program, error);
    Result<void> answered =
        firstByte([] { return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); }, settings_.port);
    if (!answered) return fail(std::move(answered.error()));
    return Milliseconds(Clock::now() - begin);
  }

  Result<void> reset() override {
    if (pid_ <= 0) return {};
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
    return {};
  }

 private:
  Settings settings_;
  pid_t pid_ = 0;
};

}  // namespace

Result<std::unique_ptr<Contender>> makeForkExec(const Settings& settings) {
  return std::make_unique<ForkExec>(settings);
}

}  // namespace okibi::bench
