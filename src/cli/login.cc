#include <cstdio>
#include <filesystem>
#include <iostream>

#include <termios.h>
#include <unistd.h>

#include "base/encoding.h"
#include "cli/commands.h"
#include "cli/credentials.h"

namespace okibi::cli {

namespace {

// Restores the terminal's echo at the end.
class Quiet {
 public:
  Quiet() {
    active_ = ::isatty(STDIN_FILENO) && ::tcgetattr(STDIN_FILENO, &before_) == 0;
    if (!active_) return;
    termios silent = before_;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
  }
  ~Quiet() {
    if (!active_) return;
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
    note("");
  }
  Quiet(const Quiet&) = delete;
  Quiet& operator=(const Quiet&) = delete;

 private:
  termios before_{};
  bool active_ = false;
};

std::string ask(std::string_view question) {
  std::fprintf(stderr, "%.*s: ", static_cast<int>(question.size()), question.data());
  std::string line;
  std::getline(std::cin, line);
  return std::string(trim(line));
}

}  // namespace

Outcome<void> login(const LoginOptions& options) {
  Credentials made{.endpoint = options.endpoint,
                   .accessKeyId = options.accessKeyId,
                   .secret = options.secret,
                   .authorities = options.authorities};
  if (made.endpoint.empty()) made.endpoint = kDefaultEndpoint;
  Result<std::string> endpoint = normalizeEndpoint(made.endpoint);
  if (!endpoint) return std::unexpected(localFailure(endpoint.error()));
  made.endpoint = *endpoint;
  if (!made.authorities.empty()) made.authorities = std::filesystem::absolute(made.authorities);
  if (made.accessKeyId.empty()) made.accessKeyId = ask("access key id");
  if (made.secret.empty()) {
    Quiet quiet;
    made.secret = ask("access key secret");
  }
  if (made.accessKeyId.empty() || made.secret.empty()) {
    return std::unexpected(
        usageFailure("an access key has an id and a secret; neither may be "
                     "empty"));
  }
  std::string path = credentialsPath();
  Result<void> stored = storeCredentials(path, made);
  if (!stored) return std::unexpected(localFailure(stored.error()));
  note("stored in " + path);
  return {};
}

}  // namespace okibi::cli
