#include "net/websocket.h"

#include <gtest/gtest.h>

#include "base/random.h"
#include "net/both.h"
#include "net/http_server.h"
#include "net/testing.h"

namespace okibi::net {
namespace {

using testing::runOn;

constexpr std::array<char, 4> kMask{0x37, '\xfa', 0x21, 0x3d};

// What a decoder makes of `bytes`, fed `step` at a time: messages as "opcode:text", then the fault.
std::string decode(WebSocketRole role, std::string_view bytes, std::size_t step) {
  WebSocketDecoder decoder(role);
  std::string all, open;
  for (std::size_t at = 0; at < bytes.size(); at += step) {
    decoder.feed(bytes.substr(at, step));
    for (;;) {
      auto piece = decoder.next();
      if (!piece) return all + "fault: " + std::string(piece.error().what);
      if (!*piece) break;
      const bool control = static_cast<int>((*piece)->opcode) >= 8;
      std::string& text = control ? all : open;
      if (control || open.empty()) text += std::to_string(static_cast<int>((*piece)->opcode)) + ":";
      text += (*piece)->bytes;
      if (control) text += ";";
      if (!control && (*piece)->last) all += std::exchange(open, {}) + ";";
    }
  }
  return all + open + (decoder.betweenMessages() ? "" : "...");
}

std::string decodeAnyhow(WebSocketRole role, std::string_view bytes) {
  const std::string whole = decode(role, bytes, std::max<std::size_t>(bytes.size(), 1));
  for (std::size_t step : {1, 2, 3, 7}) EXPECT_EQ(decode(role, bytes, step), whole) << step;
  return whole;
}

std::string frame(WebSocketOpcode opcode, std::string payload) {
  maskWebSocket(payload, kMask);
  return webSocketHead(opcode, payload.size(), kMask) + payload;
}

TEST(WebSocketFrame, TheExamplesOfTheRfc) {
  using namespace std::string_view_literals;
  EXPECT_EQ(decodeAnyhow(WebSocketRole::Client, "\x81\x05Hello"sv), "1:Hello;");
  EXPECT_EQ(decodeAnyhow(WebSocketRole::Server, "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"sv),
            "1:Hello;");
  EXPECT_EQ(decodeAnyhow(WebSocketRole::Client, "\x01\x03Hel\x80\x02lo"sv), "1:Hello;");
  EXPECT_EQ(decodeAnyhow(WebSocketRole::Client, "\x01\x03Hel\x89\x05Hello\x80\x02lo"sv),
            "9:Hello;1:Hello;");
  EXPECT_EQ(webSocketAccept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

TEST(WebSocketFrame, LengthsOfAllThreeKindsRoundTrip) {
  for (std::size_t size : {0, 1, 125, 126, 127, 65'535, 65'536, 70'000}) {
    const std::string payload(size, 'x');
    const std::string head = webSocketHead(WebSocketOpcode::Binary, size);
    EXPECT_EQ(head.size(), size < 126 ? 2u : size < 65'536 ? 4u : 10u);
    EXPECT_EQ(decode(WebSocketRole::Client, head + payload, 1000), "2:" + payload + ";");
    EXPECT_EQ(decode(WebSocketRole::Server, frame(WebSocketOpcode::Binary, payload), 999),
              "2:" + payload + ";");
  }
}

TEST(WebSocketFrame, WhatTheRfcForbidsIsAFault) {
  using namespace std::string_view_literals;
  const auto server = [](std::string_view bytes) {
    return decodeAnyhow(WebSocketRole::Server, bytes);
  };
  const auto client = [](std::string_view bytes) {
    return decodeAnyhow(WebSocketRole::Client, bytes);
  };
  EXPECT_EQ(server("\x81\x05Hello"sv), "fault: a client's frame is not masked");
  EXPECT_EQ(client("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"sv),
            "fault: a server's frame is masked");
  EXPECT_EQ(client("\xc1\x05Hello"sv), "fault: a reserved bit is set");
  EXPECT_EQ(client("\x83\x00"sv), "fault: a reserved opcode");
  EXPECT_EQ(client("\x8b\x00"sv), "fault: a reserved opcode");
  EXPECT_EQ(client("\x80\x02lo"sv), "fault: a continuation of nothing");
  EXPECT_EQ(client("\x01\x03Hel\x81\x02lo"sv), "fault: a message begins within another");
  EXPECT_EQ(client("\x09\x01x"sv), "fault: a control frame is cut or too long");
  EXPECT_EQ(client("\x89\x7e\x00\x80"sv), "fault: a control frame is cut or too long");
  EXPECT_EQ(client("\x82\x7e\x00\x7d"sv), "fault: a length is not written the shortest way");
  EXPECT_EQ(client("\x82\x7f\x00\x00\x00\x00\x00\x00\xff\xff"sv),
            "fault: a length is not written the shortest way");
  EXPECT_EQ(client("\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00"sv),
            "fault: a length has its highest bit set");
}

TEST(WebSocketFrame, CloseCodesAndReasons) {
  const auto close = decodeClose(encodeClose({1000, "exit code 3"}));
  ASSERT_TRUE(close);
  EXPECT_EQ(close->code, 1000);
  EXPECT_EQ(close->reason, "exit code 3");
  EXPECT_EQ(decodeClose("")->code, 1005);
  EXPECT_FALSE(decodeClose("x"));
  for (int code : {0, 999, 1004, 1005, 1006, 1015, 2999, 5000}) {
    EXPECT_EQ(encodeClose({code, "x"}), "") << code;
    const std::string bytes{static_cast<char>(code >> 8), static_cast<char>(code & 0xff)};
    EXPECT_FALSE(decodeClose(bytes)) << code;
  }
  std::string longReason(122, 'a');
  longReason += "\xc3\xa9";  // would be cut within its two bytes
  EXPECT_EQ(encodeClose({1000, longReason}).size(), 124u);
}

RequestHead upgradeRequest() {
  RequestHead head;
  head.method = "GET";
  head.target = "/";
  askForWebSocket(head, "one");
  return head;
}

TEST(WebSocketHandshake, AnImproperOneIsRefusedWithTheReason) {
  EXPECT_TRUE(acceptWebSocket(upgradeRequest()));
  EXPECT_TRUE(offersProtocol(upgradeRequest(), "one"));
  EXPECT_FALSE(offersProtocol(upgradeRequest(), "two"));
  const auto refusal = [](auto change) {
    RequestHead head = upgradeRequest();
    change(head);
    const auto answer = acceptWebSocket(head);
    return answer ? std::string("taken") : answer.error().message;
  };
  EXPECT_TRUE(refusal([](auto& h) { h.method = "POST"; }).starts_with("this is a WebSocket"));
  EXPECT_TRUE(refusal([](auto& h) { h.upgrade.clear(); }).starts_with("this is a WebSocket"));
  EXPECT_EQ(refusal([](auto& h) { h.headers.set("sec-websocket-version", "8"); }),
            "Sec-WebSocket-Version: must be 13");
  for (const char* key : {"", "short", "AAAA", "dGhlIHNhbXBsZSBub25jZQ"}) {
    EXPECT_EQ(refusal([&](auto& h) { h.headers.set("sec-websocket-key", key); }),
              "Sec-WebSocket-Key: must be 16 bytes as base64");
  }
}

// A server on a free port that does `serve` with each WebSocket.
struct Site {
  explicit Site(std::function<Task<void>(WebSocket&)> serve)
      : server(loop, {}, [this](Exchange& e) { return handle(e); }), serve_(std::move(serve)) {
    address = server.listen(SocketAddress::loopback(0)).value();
  }

  Task<void> handle(Exchange& exchange) {
    auto head = acceptWebSocket(exchange.request(), "one");
    Result<void> upgraded = co_await exchange.upgrade(std::move(*head));
    EXPECT_TRUE(upgraded);
    auto tunnel = tunnelOf(exchange);
    WebSocket socket(loop, *tunnel, WebSocketRole::Server);
    co_await serve_(socket);
    (void)co_await exchange.finish();
  }

  Task<std::unique_ptr<HttpConnection>> connect() {
    Result<Socket> socket = co_await Socket::open(loop, address, loop.now() + 10s);
    auto connection = std::make_unique<HttpConnection>(loop, std::move(*socket));
    RequestHead head;
    head.method = "GET";
    head.target = "/";
    head.headers.add("host", "a");
    const std::string key = askForWebSocket(head, "one");
    (void)co_await connection->send(head);
    Result<ResponseHead> answer = co_await connection->readHead();
    EXPECT_TRUE(answer && checkWebSocketAnswer(*answer, key));
    EXPECT_EQ(answer->headers.getOr("sec-websocket-protocol", ""), "one");
    co_return connection;
  }

  Loop loop;
  HttpServer server;
  SocketAddress address;

 private:
  std::function<Task<void>(WebSocket&)> serve_;
};

// Everything back, until the peer closes.
Task<void> echo(WebSocket& socket) {
  for (;;) {
    Result<WebSocketPiece> piece = co_await socket.read();
    if (!piece) co_return;
    const std::string copy(piece->bytes);
    (void)co_await socket.write(piece->opcode, copy);
  }
}

TEST(WebSocket, TenMegabytesComeBackAndTheClosingIsAnswered) {
  Site site(echo);
  runOn(site.loop, [&]() -> Task<void> {
    auto connection = co_await site.connect();
    auto tunnel = tunnelOf(*connection);
    WebSocket socket(site.loop, *tunnel, WebSocketRole::Client);
    std::string sent(10 << 20, '\0'), got;
    Random random(3);
    for (char& byte : sent) byte = static_cast<char>(random.next());
    auto write = [](WebSocket& to, const std::string& all) -> Task<void> {
      constexpr std::size_t kStep = 100'000;
      for (std::size_t at = 0; at < all.size(); at += kStep) {
        Result<void> done =
            co_await to.write(WebSocketOpcode::Binary, std::string_view(all).substr(at, kStep));
        EXPECT_TRUE(done);
        (void)co_await to.write(WebSocketOpcode::Ping, "still there?");
      }
    };
    auto read = [](WebSocket& from, std::string& into, std::size_t size) -> Task<void> {
      while (into.size() < size) {
        Result<WebSocketPiece> piece = co_await from.read();
        if (!piece) co_return;
        into += piece->bytes;
      }
    };
    co_await both(site.loop, write(socket, sent), read(socket, got, sent.size()));
    EXPECT_TRUE(got == sent);
    co_await socket.close({1000, "enough"});
    Result<WebSocketPiece> end = co_await socket.read();
    EXPECT_FALSE(end);
    EXPECT_EQ(socket.peerClose()->code, 1000);
    Result<void> late = co_await socket.write(WebSocketOpcode::Binary, "x");
    EXPECT_EQ(late.error().kind, ErrorKind::Cancelled);
  });
}

TEST(WebSocket, WhoBreaksTheProtocolIsToldSo) {
  std::optional<Error> seen;
  Site site([&](WebSocket& socket) -> Task<void> {
    Result<WebSocketPiece> piece = co_await socket.read();
    if (!piece) seen = piece.error();
  });
  runOn(site.loop, [&]() -> Task<void> {
    auto connection = co_await site.connect();
    (void)co_await connection->write(std::string_view("\x82\x01x", 3));  // no mask
    auto tunnel = tunnelOf(*connection);
    WebSocket socket(site.loop, *tunnel, WebSocketRole::Client);
    Result<WebSocketPiece> end = co_await socket.read();
    EXPECT_FALSE(end);
    EXPECT_EQ(socket.peerClose()->code, 1002);
    EXPECT_EQ(socket.peerClose()->reason, "a client's frame is not masked");
  });
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->kind, ErrorKind::Invalid);
}

TEST(WebSocket, ManyWritersTakeTurns) {
  Site site([](WebSocket& socket) -> Task<void> { co_await echo(socket); });
  runOn(site.loop, [&]() -> Task<void> {
    auto connection = co_await site.connect();
    auto tunnel = tunnelOf(*connection);
    WebSocket socket(site.loop, *tunnel, WebSocketRole::Client);
    auto write = [](WebSocket& to, char letter) -> Task<void> {
      for (int i = 0; i < 20; ++i) {
        (void)co_await to.write(WebSocketOpcode::Binary, std::string_view(&letter, 1),
                                std::string(50'000, letter));
      }
    };
    auto read = [](WebSocket& from) -> Task<void> {
      std::size_t total = 0;
      while (total < 40 * 50'001) {
        Result<WebSocketPiece> piece = co_await from.read();
        if (!piece) co_return;
        EXPECT_EQ(piece->bytes.find_first_not_of(piece->bytes[0]), std::string_view::npos);
        total += piece->bytes.size();
      }
    };
    co_await both(site.loop, both(site.loop, write(socket, 'a'), write(socket, 'b')), read(socket));
  });
}

}  // namespace
}  // namespace okibi::net
