#pragma once
// SocketAddress: an IPv4 or IPv6 address with its port, as a value.

#include <cstdint>
#include <string>
#include <string_view>

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/result.h"

namespace okibi::net {

class SocketAddress {
 public:
  SocketAddress() = default;  // family AF_UNSPEC: no address
  // "127.0.0.1:7070", "[::1]:7070", "localhost:7070" (the IPv4 loopback), "0.0.0.0:0". Invalid
  // otherwise; no names are looked up.
  static Result<SocketAddress> parse(std::string_view text);
  static SocketAddress loopback(std::uint16_t port);  // 127.0.0.1
  // From the kernel (accept, getsockname). Families other than IPv4 and IPv6 give the empty
  // address.
  static SocketAddress from(const sockaddr* address, socklen_t length);

  int family() const { return storage_.ss_family; }
  std::uint16_t port() const;
  bool isLoopback() const;       // 127.0.0.0/8 or ::1
  std::string host() const;      // "127.0.0.1", "::1"; "" for the empty address
  std::string toString() const;  // as parse() reads it
  const sockaddr* data() const { return reinterpret_cast<const sockaddr*>(&storage_); }
  socklen_t size() const;

 private:
  sockaddr_storage storage_{};
};

}  // namespace okibi::net
