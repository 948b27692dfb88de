#include <cstring>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/cold_start/contender.h"

namespace okibi::bench {

namespace {

constexpr auto kLimit = std::chrono::seconds(10);

}  // namespace

std::string portVariable(const Settings& settings) {
  return "FC_CUSTOM_LISTEN_PORT=" + std::to_string(settings.port);
}

Result<void> postOn(int fd, const std::string& host, const std::string& path) {
  std::string request = "POST " + path + " HTTP/1.1\r\nHost: " + host +
                        "\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
  if (send(fd, request.data(), request.size(), MSG_NOSIGNAL) < 0) return failErrno("send", errno);
  char answer[64] = {};
  ssize_t size = recv(fd, answer, sizeof(answer) - 1, 0);
  if (size <= 0) return failErrno("receive", size < 0 ? errno : ECONNRESET);
  if (std::strncmp(answer, "HTTP/1.1 200", 12) != 0) {
    return fail(ErrorKind::Internal, "answer: " + std::string(answer));
  }
  return {};
}

Result<void> firstByte(const std::function<int()>& makeSocket, int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto end = Clock::now() + kLimit;
  while (Clock::now() < end) {
    int fd = makeSocket();
    if (fd < 0) return failErrno("socket", errno);
    if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) {
      Result<void> done = postOn(fd, "localhost", "/invoke");
      close(fd);
      return done;
    }
    close(fd);
    usleep(100);
  }
  return fail(ErrorKind::TimedOut, "the server did not listen within 10 s");
}

}  // namespace okibi::bench
