#include "net/socket.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "net/both.h"
#include "net/testing.h"

namespace okibi::net {
namespace {

using testing::runOn;

TEST(SocketAddress, ReadsWhatItWrites) {
  for (const char* text : {"127.0.0.1:7070", "[::1]:7070", "0.0.0.0:0", "[fe80::1]:65535"}) {
    EXPECT_EQ(SocketAddress::parse(text).value().toString(), text);
  }
  EXPECT_EQ(SocketAddress::parse("localhost:80").value().toString(), "127.0.0.1:80");
}

TEST(SocketAddress, RefusesWhatIsNone) {
  for (const char* text :
       {"", "7070", ":7070", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:7a", "::1:80",
        "[::1]", "[]:80", "example.com:80", "127.0.0.1:-1", "[127.0.0.1]:80", "["}) {
    EXPECT_FALSE(SocketAddress::parse(text).has_value()) << text;
  }
}

TEST(SocketAddress, KnowsLoopback) {
  EXPECT_TRUE(SocketAddress::parse("127.9.9.9:1")->isLoopback());
  EXPECT_TRUE(SocketAddress::parse("[::1]:1")->isLoopback());
  EXPECT_FALSE(SocketAddress::parse("0.0.0.0:1")->isLoopback());
  EXPECT_FALSE(SocketAddress::parse("[::]:1")->isLoopback());
  EXPECT_FALSE(SocketAddress().isLoopback());
}

TEST(Socket, ARefusedSocketMayTryAgainOnceTheAppListens) {
  Loop loop;
  runOn(loop, [&]() -> Task<void> {
    Result<Listener> taken = Listener::open(loop, SocketAddress::loopback(0));
    SocketAddress address = taken->address();
    taken->close();
    Socket socket(loop, UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)));
    Result<void> refused = co_await socket.connect(address, loop.now() + 10s);
    EXPECT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().kind, ErrorKind::Unavailable);

    Result<Listener> listener = Listener::open(loop, address);
    Result<void> connected = co_await socket.connect(address, loop.now() + 10s);
    EXPECT_TRUE(connected.has_value());
    Result<UniqueFd> accepted = co_await listener->accept();
    Socket peer(loop, std::move(*accepted));
    co_await peer.write("hi");
    char buffer[8];
    Result<std::size_t> n = co_await socket.read(buffer);
    EXPECT_EQ(std::string_view(buffer, n.value()), "hi");
    EXPECT_EQ(socket.peer().toString(), address.toString());
  });
}

TEST(Listener, SaysWhenAnAddressIsTaken) {
  Loop loop;
  Result<Listener> first = Listener::open(loop, SocketAddress::loopback(0));
  Result<Listener> second = Listener::open(loop, first->address());
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().kind, ErrorKind::AlreadyExists);
}

TEST(Socket, WritesMoreThanTheBufferHoldsAndSeesTheEnd) {
  Loop loop;
  runOn(loop, [&]() -> Task<void> {
    auto [a, b] = testing::socketPair();
    Socket writer(loop, std::move(a)), reader(loop, std::move(b));
    std::string big(3 << 20, 'a');
    big[1000000] = 'b';
    auto send = [](Socket& socket, std::string_view text) -> Task<void> {
      std::string_view pieces[] = {text.substr(0, 10), {}, text.substr(10)};
      Result<void> sent = co_await socket.write(pieces);
      EXPECT_TRUE(sent.has_value());
      socket.shutdownWrite();
    };
    std::string got;
    auto receive = [&got](Socket& socket) -> Task<void> {
      std::string buffer(10000, 0);
      for (;;) {
        Result<std::size_t> n = co_await socket.read(buffer);
        if (n.value() == 0) break;
        got.append(buffer, 0, *n);
      }
    };
    co_await both(loop, send(writer, big), receive(reader));
    EXPECT_TRUE(got == big);
    EXPECT_TRUE(reader.peerHasClosed());
    EXPECT_FALSE(writer.peerHasClosed());
  });
}

TEST(Socket, CancelEndsAReadInFlight) {
  Loop loop;
  runOn(loop, [&]() -> Task<void> {
    auto [a, b] = testing::socketPair();
    Socket socket(loop, std::move(a));
    loop.post([&] { socket.cancel(); });
    char buffer[8];
    Result<std::size_t> n = co_await socket.read(buffer);
    EXPECT_EQ(n.error().kind, ErrorKind::Cancelled);
    EXPECT_TRUE(socket.isQuiet());
    EXPECT_EQ(::write(b.get(), "x", 1), 1);
    EXPECT_FALSE(socket.isQuiet());
    socket.close();
    Result<void> sent = co_await socket.write("y");
    EXPECT_EQ(sent.error().kind, ErrorKind::Cancelled);
  });
}

TEST(FdWatcher, WaitsForPipes) {
  Loop loop;
  runOn(loop, [&]() -> Task<void> {
    int fds[2];
    EXPECT_EQ(::pipe(fds), 0);
    FdWatcher reader(loop, UniqueFd(fds[0]));
    UniqueFd writer(fds[1]);
    Result<void> late = co_await reader.readable(loop.now() + 1ms);
    EXPECT_EQ(late.error().kind, ErrorKind::TimedOut);
    loop.post([&] { EXPECT_EQ(::write(writer.get(), "x", 1), 1); });
    Result<void> ready = co_await reader.readable();
    EXPECT_TRUE(ready.has_value());
    Result<void> again = co_await reader.readable(loop.now() + 10s);
    EXPECT_TRUE(again.has_value());  // the byte is still there
    char c;
    EXPECT_EQ(::read(reader.fd(), &c, 1), 1);
    writer.reset();
    Result<void> end = co_await reader.readable();
    EXPECT_TRUE(end.has_value());
    EXPECT_EQ(::read(reader.fd(), &c, 1), 0);
  });
}

}  // namespace
}  // namespace okibi::net
