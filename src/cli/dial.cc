#include "cli/dial.h"

#include <algorithm>
#include <memory>

#include <fmt/format.h>
#include <netdb.h>

namespace okibi::cli {
namespace {

constexpr std::size_t kMostAddresses = 8;
constexpr std::string_view kLocalhost = "localhost:";

// Whatever this system makes of the name: both loopbacks.
Result<std::vector<net::SocketAddress>> loopbacks(std::string_view port) {
  std::vector<net::SocketAddress> both;
  for (std::string_view host : {"127.0.0.1", "[::1]"}) {
    auto address = net::SocketAddress::parse(fmt::format("{}:{}", host, port));
    if (!address) return fail(address.error());
    both.push_back(*address);
  }
  return both;
}

bool isAmong(const std::vector<net::SocketAddress>& addresses, const net::SocketAddress& one) {
  return std::ranges::any_of(addresses,
                             [&](const auto& other) { return other.toString() == one.toString(); });
}

}  // namespace

Result<std::vector<net::SocketAddress>> resolve(const std::string& authority) {
  if (authority.starts_with(kLocalhost)) return loopbacks(authority.substr(kLocalhost.size()));
  if (auto literal = net::SocketAddress::parse(authority)) return std::vector{*literal};
  const std::size_t colon = authority.rfind(':');
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(authority.substr(0, colon).c_str(),
                                  authority.substr(colon + 1).c_str(), &hints, &found);
  if (error != 0) return fail(ErrorKind::Unavailable, ::gai_strerror(error));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> list(found, &::freeaddrinfo);
  std::vector<net::SocketAddress> addresses;
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    const auto address = net::SocketAddress::from(one->ai_addr, one->ai_addrlen);
    if (addresses.size() == kMostAddresses) break;
    if (address.family() != AF_UNSPEC && !isAmong(addresses, address)) addresses.push_back(address);
  }
  return addresses;
}

net::Task<Result<net::Socket>> dial(net::Loop& loop, std::vector<net::SocketAddress> addresses,
                                    Duration patience) {
  const Instant end = loop.now() + patience;
  Result<net::Socket> socket = fail(ErrorKind::Unavailable, "the name has no address");
  for (std::size_t i = 0; i < addresses.size() && !socket; ++i) {
    const auto left = static_cast<std::int64_t>(addresses.size() - i);
    socket = co_await net::Socket::open(loop, addresses[i], loop.now() + (end - loop.now()) / left);
  }
  co_return socket;
}

}  // namespace okibi::cli
