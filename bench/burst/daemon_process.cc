#include "bench/burst/daemon_process.h"

#include <csignal>
#include <cstdio>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/fd.h"

namespace okibi::bench {

namespace {

// Reads "listening on 127.0.0.1:PORT" from the daemon's standard output.
Result<int> readPort(int fd) {
  constexpr std::string_view kWords = "listening on 127.0.0.1:";
  std::string text;
  char buffer[512];
  while (true) {
    ssize_t got = ::read(fd, buffer, sizeof(buffer));
    if (got <= 0) return fail(ErrorKind::Unavailable, "the daemon did not start");
    text.append(buffer, static_cast<std::size_t>(got));
    std::size_t at = text.find(kWords);
    if (at == std::string::npos || text.find('\n', at) == std::string::npos) continue;
    return std::atoi(text.c_str() + at + kWords.size());
  }
}

// With Connection: close the answer ends where the connection does; its framing is length.
Result<HttpAnswer> parse(const std::string& text) {
  std::size_t head = text.find("\r\n\r\n");
  if (!text.starts_with("HTTP/1.1 ") || head == std::string::npos) {
    return fail(ErrorKind::Internal, "not an HTTP answer: " + text.substr(0, 80));
  }
  return HttpAnswer{std::atoi(text.c_str() + 9), text.substr(head + 4)};
}

}  // namespace

Result<DaemonProcess> DaemonProcess::start(const std::filesystem::path& okibi,
                                           const std::filesystem::path& stateDirectory,
                                           const std::vector<std::string>& flags) {
  std::vector<std::string> words{
      okibi,         "serve",   "--listen",    "127.0.0.1:0", "--insecure-no-auth",
      "--log-level", "warning", "--state-dir", stateDirectory};
  words.insert(words.end(), flags.begin(), flags.end());
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  int ends[2];
  if (::pipe(ends) != 0) return failErrno("pipe", errno);
  net::UniqueFd ours(ends[0]), theirs(ends[1]);
  int pid = ::fork();
  if (pid < 0) return failErrno("fork", errno);
  if (pid == 0) {
    ::dup2(theirs.get(), STDOUT_FILENO);
    ::close(ends[0]);
    ::close(ends[1]);
    ::execv(arguments[0], arguments.data());
    ::_exit(127);
  }
  theirs = {};
  Result<int> port = readPort(ours.get());
  if (!port) {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    return fail(std::move(port.error()));
  }
  return DaemonProcess(pid, *port);
}

DaemonProcess::DaemonProcess(DaemonProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, 0)), port_(other.port_) {}

DaemonProcess::~DaemonProcess() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGTERM);
  ::waitpid(pid_, nullptr, 0);
}

Result<HttpAnswer> DaemonProcess::request(const std::string& method, const std::string& path,
                                          const std::string& body) const {
  net::UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port_));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    return failErrno("connect", errno);
  }
  std::string text = fmt::format(
      "{} {} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {}"
      "\r\nConnection: close\r\n\r\n{}",
      method, path, body.size(), body);
  if (::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL) < 0) return failErrno("send", errno);
  std::string answer;
  char buffer[4096];
  while (true) {
    ssize_t got = ::recv(fd.get(), buffer, sizeof(buffer), 0);
    if (got < 0) return failErrno("receive", errno);
    if (got == 0) return parse(answer);
    answer.append(buffer, static_cast<std::size_t>(got));
  }
}

Result<boost::json::value> DaemonProcess::json(const std::string& method, const std::string& path,
                                               const boost::json::value& body) const {
  Result<HttpAnswer> answer =
      request(method, path, body.is_null() ? std::string() : boost::json::serialize(body));
  if (!answer) return fail(std::move(answer.error()));
  boost::system::error_code error;
  boost::json::value value = boost::json::parse(answer->body, error);
  if (answer->status / 100 == 2 && (answer->body.empty() || !error)) return value;
  return fail(ErrorKind::Internal,
              fmt::format("{} {}: status {}: {}", method, path, answer->status, answer->body));
}

}  // namespace okibi::bench
