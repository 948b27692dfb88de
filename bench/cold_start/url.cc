// Okibi through its whole gateway: one POST to a running daemon's function that is at zero.

#include <cstdlib>

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/cold_start/contender.h"

namespace okibi::bench {

namespace {

class Url final : public Contender {
 public:
  explicit Url(const Settings& settings) : reset_(settings.reset) {
    std::string rest = settings.url.substr(settings.url.find("://") + 3);
    std::size_t slash = std::min(rest.find('/'), rest.size());
    host_ = rest.substr(0, slash);
    path_ = slash < rest.size() ? rest.substr(slash) : "/";
  }
  std::string name() const override { return "okibi, whole gateway"; }

  Result<Milliseconds> coldStart() override {
    addrinfo hints{}, *found = nullptr;
    hints.ai_family = AF_INET;
    hints.ai_socktype = SOCK_STREAM;
    std::string host = host_.substr(0, host_.find(':'));
    std::string port = host_.contains(':') ? host_.substr(host_.find(':') + 1) : "80";
    if (getaddrinfo(host.c_str(), port.c_str(), &hints, &found) != 0) {
      return fail(ErrorKind::Invalid, "cannot resolve " + host);
    }
    auto begin = Clock::now();
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int connected = connect(fd, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    Result<void> answered;
    if (connected != 0) answered = failErrno("connect " + host_, errno);
    if (answered) answered = postOn(fd, host_, path_);
    auto end = Clock::now();
    close(fd);
    if (!answered) return fail(std::move(answered.error()));
    return Milliseconds(end - begin);
  }

  Result<void> reset() override {
    int status = std::system(reset_.c_str());
    if (status != 0) return fail(ErrorKind::Unavailable, "the reset command failed: " + reset_);
    return {};
  }

 private:
  std::string reset_, host_, path_;
};

}  // namespace

Result<std::unique_ptr<Contender>> makeUrl(const Settings& settings) {
  if (!settings.url.starts_with("http://") || settings.reset.empty()) {
    return fail(ErrorKind::Invalid, "--okibi-url must begin with http:// and needs --reset");
  }
  return std::make_unique<Url>(settings);
}

}  // namespace okibi::bench
