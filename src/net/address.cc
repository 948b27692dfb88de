#include "net/address.h"

#include <array>
#include <charconv>
#include <cstring>

#include <arpa/inet.h>
#include <fmt/format.h>

namespace okibi::net {

namespace {

std::unexpected<Error> badAddress(std::string_view text) {
  return fail(ErrorKind::Invalid, fmt::format("\"{}\" is not an address: expected host:port, "
                                              "e.g. 127.0.0.1:7070 or [::1]:7070",
                                              text));
}

}  // namespace

Result<SocketAddress> SocketAddress::parse(std::string_view text) {
  std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return badAddress(text);
  std::string_view portText = text.substr(colon + 1);
  std::uint16_t port = 0;
  auto [end, error] = std::from_chars(portText.begin(), portText.end(), port);
  if (error != std::errc() || end != portText.end()) return badAddress(text);

  std::string_view host = text.substr(0, colon);
  if (host == "localhost") host = "127.0.0.1";
  SocketAddress result;
  if (host.starts_with('[') && host.ends_with(']')) {
    std::string inner(host.substr(1, host.size() - 2));
    auto* in6 = reinterpret_cast<sockaddr_in6*>(&result.storage_);
    if (::inet_pton(AF_INET6, inner.c_str(), &in6->sin6_addr) != 1) return badAddress(text);
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(port);
    return result;
  }
  auto* in4 = reinterpret_cast<sockaddr_in*>(&result.storage_);
  if (::inet_pton(AF_INET, std::string(host).c_str(), &in4->sin_addr) != 1) return badAddress(text);
  in4->sin_family = AF_INET;
  in4->sin_port = htons(port);
  return result;
}

SocketAddress SocketAddress::loopback(std::uint16_t port) {
  SocketAddress result;
  auto* in4 = reinterpret_cast<sockaddr_in*>(&result.storage_);
  in4->sin_family = AF_INET;
  in4->sin_port = htons(port);
  in4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return result;
}

SocketAddress SocketAddress::from(const sockaddr* address, socklen_t length) {
  SocketAddress result;
  bool known = length >= sizeof(sockaddr_in) &&
               (address->sa_family == AF_INET ||
                (address->sa_family == AF_INET6 && length >= sizeof(sockaddr_in6)));
  if (known) std::memcpy(&result.storage_, address, length);
  return result;
}

std::uint16_t SocketAddress::port() const {
  // Both families have the port at the same place.
  return ntohs(reinterpret_cast<const sockaddr_in*>(&storage_)->sin_port);
}

bool SocketAddress::isLoopback() const {
  if (family() == AF_INET) {
    auto address = ntohl(reinterpret_cast<const sockaddr_in*>(&storage_)->sin_addr.s_addr);
    return (address >> 24) == 127;
  }
  if (family() == AF_INET6) {
    return IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6*>(&storage_)->sin6_addr);
  }
  return false;
}

std::string SocketAddress::host() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const void* raw = nullptr;
  if (family() == AF_INET) raw = &reinterpret_cast<const sockaddr_in*>(&storage_)->sin_addr;
  if (family() == AF_INET6) raw = &reinterpret_cast<const sockaddr_in6*>(&storage_)->sin6_addr;
  if (!raw || !::inet_ntop(family(), raw, text.data(), text.size())) return {};
  return text.data();
}

std::string SocketAddress::toString() const {
  std::string text = host();
  if (family() == AF_INET6) text = "[" + text + "]";
  return text + ":" + std::to_string(port());
}

socklen_t SocketAddress::size() const {
  return family() == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
}

}  // namespace okibi::net
