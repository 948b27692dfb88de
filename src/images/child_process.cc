#include "images/child_process.h"

#include <array>
#include <cerrno>
#include <cstdlib>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/encoding.h"
#include "images/files.h"
#include "images/image_limits.h"

namespace okibi::images {

namespace {

std::string findProgram(const std::string& name) {
  if (name.contains('/')) return name;
  const char* path = std::getenv("PATH");
  for (std::string_view folder : split(path != nullptr ? path : "/usr/bin:/bin", ':')) {
    std::string candidate = std::string(folder) + "/" + name;
    if (!folder.empty() && ::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return {};
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (const std::string& item : texts) result.push_back(const_cast<char*>(item.c_str()));
  result.push_back(nullptr);
  return result;
}

struct Pipe {
  net::UniqueFd read, write;
  static Result<Pipe> make() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return failFile("pipe", errno);
    return Pipe{net::UniqueFd(ends[0]), net::UniqueFd(ends[1])};
  }
};

// Becomes readable when the time is over.
Result<net::UniqueFd> makeAlarm(Duration after) {
  net::UniqueFd fd(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!fd) return failFile("timerfd", errno);
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(after);
  itimerspec when{};
  when.it_value = {seconds.count(), (after - Duration(seconds)).count()};
  if (::timerfd_settime(fd.get(), 0, &when, nullptr) != 0) return failFile("timerfd", errno);
  return fd;
}

// After fork, in the child: only async-signal-safe calls.
[[noreturn]] void becomeProgram(const char* program, char** arguments, char** environment, int out,
                                int err, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (null < 0 || ::dup2(null, 0) < 0 || ::dup2(out, 1) < 0 || ::dup2(err, 2) < 0) ::_exit(127);
  ::execve(program, arguments, environment);
  ::_exit(127);
}

// Kills and reaps what has not been reaped.
class Child {
 public:
  explicit Child(pid_t pid) : pid_(pid) {}
  Child(const Child&) = delete;
  ~Child() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    wait();
  }
  int wait() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = 0;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }

 private:
  pid_t pid_;
};

class Collector {
 public:
  Collector(Pipe out, Pipe err, const ChildOptions& options)
      : out_(std::move(out.read)), err_(std::move(err.read)), options_(options) {}

  // Until both ends are closed, which the child's end does.
  Result<void> run(ChildResult& result) {
    Result<net::UniqueFd> alarm = makeAlarm(options_.timeout);
    if (!alarm) return fail(std::move(alarm.error()));
    while (out_ || err_) {
      pollfd fds[3] = {{out_.get(), POLLIN, 0}, {err_.get(), POLLIN, 0}, {alarm->get(), POLLIN, 0}};
      const int ready = ::poll(fds, 3, 200);
      if (ready < 0 && errno != EINTR) return failFile("poll", errno);
      if (options_.tick && !options_.tick()) return fail(ErrorKind::Cancelled, "shutting down");
      if (ready <= 0) continue;
      if (fds[2].revents != 0) return fail(ErrorKind::TimedOut, "no answer in time");
      if (fds[0].revents != 0) drain(out_, result.output);
      if (fds[1].revents != 0) drain(err_, result.errors);
      if (static_cast<std::int64_t>(result.output.size()) > options_.outputMax.count()) {
        return fail(ErrorKind::Invalid, fmt::format("the answer is larger than the allowed {} MiB",
                                                    options_.outputMax.wholeMib()));
      }
      trimFront(result.errors);
    }
    return {};
  }

 private:
  static void drain(net::UniqueFd& fd, std::string& into) {
    std::array<char, 65536> buffer;
    const ssize_t n = ::read(fd.get(), buffer.data(), buffer.size());
    if (n > 0) {
      into.append(buffer.data(), static_cast<std::size_t>(n));
    } else if (n == 0 || errno != EINTR) {
      fd.reset();
    }
  }
  static void trimFront(std::string& text) {
    const auto max = static_cast<std::size_t>(kToolErrorMax.count());
    if (text.size() > max) text.erase(0, text.size() - max);
  }

  net::UniqueFd out_, err_;
  const ChildOptions& options_;
};

}  // namespace

Result<ChildResult> runChild(const std::vector<std::string>& command, const ChildOptions& options) {
  const std::string program = findProgram(command.at(0));
  if (program.empty()) return fail(ErrorKind::NotFound, command[0] + " is not installed");
  Result<Pipe> out = Pipe::make();
  if (!out) return fail(std::move(out.error()));
  Result<Pipe> err = Pipe::make();
  if (!err) return fail(std::move(err.error()));
  std::vector<char*> arguments = pointers(command), environment = pointers(options.environment);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return failFile("fork", errno);
  if (pid == 0) {
    becomeProgram(program.c_str(), arguments.data(), environment.data(), out->write.get(),
                  err->write.get(), parent);
  }
  Child child(pid);
  out->write.reset();
  err->write.reset();
  ChildResult result;
  Result<void> collected = Collector(std::move(*out), std::move(*err), options).run(result);
  if (!collected) return fail(std::move(collected.error()));
  result.exitCode = child.wait();
  return result;
}

}  // namespace okibi::images
