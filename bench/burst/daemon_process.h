#pragma once
// A daemon of the bench's own: `okibi serve` on a free loopback port, ended with its object.

#include <filesystem>
#include <string>
#include <vector>

#include <boost/json.hpp>

#include "base/result.h"

namespace okibi::bench {

struct HttpAnswer {
  int status = 0;
  std::string body;
};

class DaemonProcess {
 public:
  static Result<DaemonProcess> start(const std::filesystem::path& okibi,
                                     const std::filesystem::path& stateDirectory,
                                     const std::vector<std::string>& flags);
  DaemonProcess(DaemonProcess&& other) noexcept;
  DaemonProcess& operator=(DaemonProcess&&) = delete;
  ~DaemonProcess();

  int port() const { return port_; }
  // One request on a connection of its own; waits for the whole answer.
  Result<HttpAnswer> request(const std::string& method, const std::string& path,
                             const std::string& body = "") const;
  // The same where anything but success is an error.
  Result<boost::json::value> json(const std::string& method, const std::string& path,
                                  const boost::json::value& body = nullptr) const;

 private:
  DaemonProcess(int pid, int port) : pid_(pid), port_(port) {}
  int pid_ = 0, port_ = 0;
};

}  // namespace okibi::bench
