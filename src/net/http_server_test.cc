#include "net/http_server.h"

#include <gtest/gtest.h>

#include "net/event.h"
#include "net/spool.h"
#include "net/testing.h"
#include "net/virtual_clock.h"

namespace okibi::net {
namespace {

using testing::RawPeer;
using testing::runOn;

// A server on a free port whose handler echoes method, target and body, or does what the target
// says.
struct Site {
  explicit Site(HttpServerOptions options = {}, VirtualClock* clock = nullptr)
      : loop(1, clock),
        server(loop, std::move(options), [this](Exchange& e) { return handle(e); }) {
    address = server.listen(SocketAddress::loopback(0)).value();
  }

  Task<void> handle(Exchange& exchange) {
    ++handled;
    if (custom) {
      co_await custom(exchange);
      co_return;
    }
    Result<SpooledBody> body = co_await readBody(exchange, Bytes::mib(1));
    ResponseHead head;
    std::string text = exchange.request().method + " " + exchange.request().target;
    if (!body) {
      lastError = body.error();
      head.status = body.error().code == kBodyTooLarge ? 413 : 400;
      text = body.error().message;
    } else {
      text += " [" + body->text().value() + "]";
    }
    co_await answer(exchange, std::move(head), text);
  }

  Task<std::string> ask(std::string raw) {
    RawPeer peer = co_await RawPeer::connect(loop, address);
    co_await peer.send(raw);
    std::string got = co_await peer.readToEnd();
    co_return got;
  }

  Loop loop;
  std::function<Task<void>(Exchange&)> custom;
  HttpServer server;
  SocketAddress address;
  int handled = 0;
  std::optional<Error> lastError;
};

constexpr const char* kGet = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
constexpr const char* kGetClose = "GET /z HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

int countOf(std::string_view text, std::string_view part) {
  int n = 0;
  for (std::size_t at = 0; (at = text.find(part, at)) != std::string_view::npos;
       at += part.size()) {
    ++n;
  }
  return n;
}

TEST(HttpServer, AnswersAndKeepsTheConnection) {
  Site site;
  runOn(site.loop, [&]() -> Task<void> {
    RawPeer peer = co_await RawPeer::connect(site.loop, site.address);
    co_await peer.send(kGet);
    std::string first = co_await peer.readUntil("[]");
    EXPECT_EQ(first,
              "HTTP/1.1 200 OK\r\ncontent-length: 9\r\nconnection: keep-alive\r\n\r\nGET /a []");
    co_await peer.send(kGetClose);
    std::string second = co_await peer.readToEnd();
    EXPECT_TRUE(second.contains("connection: close")) << second;
    EXPECT_TRUE(second.ends_with("GET /z []")) << second;
    EXPECT_EQ(site.server.exchangesInFlight(), 0u);
  });
}

TEST(HttpServer, PipelinedRequestsAreAnsweredInOrder) {
  Site site;
  runOn(site.loop, [&]() -> Task<void> {
    std::string got = co_await site.ask(
        "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
        "\r\nPOST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
        "chunked\r\n\r\n2\r\nde\r\n1\r\nf\r\n0\r\n\r\n"
        "GET /3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /never HTTP/1.1\r\n\r\n");
    std::size_t one = got.find("POST /1 [abc]"), two = got.find("POST /2 [def]"),
                three = got.find("GET /3 []");
    EXPECT_LT(one, two);
    EXPECT_LT(two, three);
    EXPECT_TRUE(got.ends_with("GET /3 []")) << got;
    EXPECT_EQ(site.handled, 3);
  });
}

TEST(HttpServer, OneByteAtATimeMakesNoDifference) {
  Site site;
  runOn(site.loop, [&]() -> Task<void> {
    RawPeer peer = co_await RawPeer::connect(site.loop, site.address);
    co_await peer.sendSlowly(
        "POST /1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        "5;x=y\r\nhello\r\n6\r\n world\r\n0\r\nTrailer: t\r\n\r\n"
        "POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nConnection: close\r\n\r\nlast");
    std::string got = co_await peer.readToEnd();
    EXPECT_TRUE(got.contains("POST /1 [hello world]")) << got;
    EXPECT_TRUE(got.ends_with("POST /2 [last]")) << got;
  });
}

TEST(HttpServer, FaultsAreRenderedByTheOwnerAndEndTheConnection) {
  HttpServerOptions options;
  options.renderFault = [](HttpFault fault) {
    FaultAnswer a;
    a.head.status = statusOf(fault);
    a.head.headers.add("content-type", "application/json");
    a.body = "{\"Code\":\"" + std::string(toString(fault)) + "\"}";
    return a;
  };
  Site site(std::move(options));
  runOn(site.loop, [&]() -> Task<void> {
    std::string got = co_await site.ask("GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_TRUE(got.starts_with("HTTP/1.1 400 Bad Request\r\n")) << got;
    EXPECT_TRUE(got.ends_with("{\"Code\":\"the Host header is missing\"}")) << got;
    got =
        co_await site.ask("GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(9000, 'x') + "\r\n\r\n");
    EXPECT_TRUE(got.starts_with("HTTP/1.1 431 ")) << got;
    got = co_await site.ask("GET / HTTP/1.1\r\n" + std::string(100000, 'x'));
    EXPECT_TRUE(got.starts_with("HTTP/1.1 431 ")) << got;
    EXPECT_EQ(site.handled, 0);
  });
}

TEST(HttpServer, AnswersAndFaultsHaveADateOfTheGivenClock) {
  WallTime now{};
  HttpServerOptions options;
  options.wallClock = [&now] { return now; };
  Site site(std::move(options));
  now = WallTime(784111777123ms);
  runOn(site.loop, [&]() -> Task<void> {
    std::string got = co_await site.ask(kGetClose);
    EXPECT_TRUE(got.contains("\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n")) << got;
    got = co_await site.ask("GET / HTTP/1.1\r\n\r\n");
    EXPECT_TRUE(got.contains("\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n")) << got;
    site.custom = [](Exchange& exchange) -> Task<void> {
      ResponseHead head;
      head.headers.add("Date", "mine");
      co_await answer(exchange, std::move(head), "x");
    };
    got = co_await site.ask(kGetClose);
    EXPECT_EQ(countOf(got, "Date: mine"), 1) << got;
    EXPECT_EQ(countOf(got, "date: "), 0) << got;
  });
}

TEST(HttpServer, ContinueIsSentOnlyWhenTheBodyIsWanted) {
  Site site;
  const char* head =
      "POST /c HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n";
  runOn(site.loop, [&]() -> Task<void> {
    RawPeer peer = co_await RawPeer::connect(site.loop, site.address);
    co_await peer.send(head);
    std::string got = co_await peer.readUntil("\r\n\r\n");
    EXPECT_EQ(got, "HTTP/1.1 100 Continue\r\n\r\n");
    co_await peer.send("body");
    got = co_await peer.readUntil("]");
    EXPECT_TRUE(got.starts_with("HTTP/1.1 200") && got.ends_with("[body]")) << got;

    site.custom = [](Exchange& e) -> Task<void> {
      ResponseHead no;
      no.status = 403;
      co_await answer(e, std::move(no), "no");
    };
    co_await peer.send(head);
    peer.socket().shutdownWrite();
    got = co_await peer.readToEnd();
    EXPECT_TRUE(got.starts_with("HTTP/1.1 403") && got.contains("connection: close")) << got;
  });
}

TEST(HttpServer, HeadAndBodilessAnswersCarryNoBody) {
  Site site;
  int status = 200;
  site.custom = [&](Exchange& e) -> Task<void> {
    ResponseHead head;
    head.status = status;
    co_await answer(e, std::move(head), "12345");
  };
  runOn(site.loop, [&]() -> Task<void> {
    std::string got = co_await site.ask("HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    EXPECT_TRUE(got.contains("content-length: 5") && got.ends_with("\r\n\r\n")) << got;
    status = 204;
    got = co_await site.ask(kGetClose);
    EXPECT_TRUE(!got.contains("content-length") && !got.contains("chunked")) << got;
    EXPECT_TRUE(got.ends_with("\r\n\r\n")) << got;
    status = 304;
    got = co_await site.ask(kGetClose);
    EXPECT_TRUE(got.ends_with("\r\n\r\n")) << got;
  });
}

TEST(HttpServer, AnswersOfUnknownLengthAreChunkedOrEndWithTheConnection) {
  Site site;
  site.custom = [&](Exchange& e) -> Task<void> {
    e.respond({});
    co_await e.flush();
    co_await e.write("hello");
    co_await e.write("");
    co_await e.finish(" world");
  };
  runOn(site.loop, [&]() -> Task<void> {
    std::string got = co_await site.ask(kGetClose);
    EXPECT_TRUE(got.ends_with("\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")) << got;
    got = co_await site.ask("GET / HTTP/1.0\r\n\r\n");
    EXPECT_TRUE(got.ends_with("\r\n\r\nhello world")) << got;
    EXPECT_FALSE(got.contains("chunked")) << got;
  });
}

TEST(HttpServer, AnEarlyAnswerReachesACallerWhoIsStillSending) {
  Site site;
  runOn(site.loop, [&]() -> Task<void> {
    RawPeer peer = co_await RawPeer::connect(site.loop, site.address);
    co_await peer.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8000000\r\n\r\n");
    // More than the socket's buffers hold: only a server that goes on reading lets this end.
    co_await peer.send(std::string(8000000, 'x'));
    std::string got = co_await peer.readToEnd();
    EXPECT_TRUE(got.starts_with("HTTP/1.1 413 ")) << got;
    EXPECT_FALSE(got.contains("<reset>"));
  });
}

TEST(HttpServer, ChunkedBodiesOverTheLimitAreRefusedWithoutEnd) {
  Site site;
  runOn(site.loop, [&]() -> Task<void> {
    RawPeer peer = co_await RawPeer::connect(site.loop, site.address);
    co_await peer.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    std::string chunk = "10000\r\n" + std::string(0x10000, 'x') + "\r\n";
    for (int i = 0; i < 20; ++i) co_await peer.send(chunk);
    peer.socket().shutdownWrite();
    std::string got = co_await peer.readToEnd();
    EXPECT_TRUE(got.starts_with("HTTP/1.1 413 ")) << got;
    EXPECT_EQ(site.lastError->code, kBodyTooLarge);
  });
}

TEST(HttpServer, ABrokenChunkIsTheCallersFault) {
  Site site;
  runOn(site.loop, [&]() -> Task<void> {
    std::string got = co_await site.ask(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
        "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_TRUE(got.starts_with("HTTP/1.1 400 ")) << got;
    EXPECT_EQ(site.handled, 1);
  });
}

TEST(HttpServer, ASmallBodyNobodyReadDoesNotCostTheConnection) {
  Site site;
  site.custom = [&](Exchange& e) -> Task<void> { co_await answer(e, {}, "ok"); };
  runOn(site.loop, [&]() -> Task<void> {
    std::string post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
    std::string got = co_await site.ask(post + post + kGetClose);
    EXPECT_EQ(countOf(got, "200 OK"), 3);
  });
}

TEST(HttpServer, TheHandlerHearsOfADisconnectWhileItWaitsAndNoPipelinedByteIsLost) {
  Site site;
  runOn(site.loop, [&]() -> Task<void> {
    Event entered(site.loop), heard(site.loop);
    site.custom = [&](Exchange& e) -> Task<void> {
      Event gone(site.loop);
      e.onDisconnect([&] { gone.set(); });
      entered.set();
      co_await gone.wait();
      EXPECT_TRUE(e.callerGone());
      heard.set();
    };
    {
      RawPeer peer = co_await RawPeer::connect(site.loop, site.address);
      // With body bytes unread and a pipelined request behind them.
      co_await peer.send(std::string("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc") +
                         kGet);
      co_await entered.wait();
    }
    Result<void> told = co_await heard.wait(site.loop.now() + 60s);
    EXPECT_TRUE(told.has_value());

    // Watched but not gone: the next request on the connection is whole.
    site.custom = [&](Exchange& e) -> Task<void> {
      bool called = false;
      e.onDisconnect([&called] { called = true; });
      co_await site.loop.sleep(2ms);
      EXPECT_FALSE(called);
      co_await answer(e, {}, e.request().target);
    };
    std::string got = co_await site.ask(std::string(kGet) + kGetClose);
    EXPECT_TRUE(got.contains("/a") && got.ends_with("/z")) << got;
  });
}

TEST(HttpServer, ACallerWhoLeavesInTheMiddleOfHisBodyIsCancelled) {
  Site site;
  runOn(site.loop, [&]() -> Task<void> {
    {
      RawPeer peer = co_await RawPeer::connect(site.loop, site.address);
      co_await peer.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
      while (site.handled == 0) co_await site.loop.sleep(1ms);
    }
    while (site.server.connectionCount() > 0) co_await site.loop.sleep(1ms);
    EXPECT_EQ(site.lastError->kind, ErrorKind::Cancelled);
  });
}

TEST(HttpServer, ASilentHandlerIsAnsweredForAndACutAnswerIsReset) {
  Site site;
  bool begin = false;
  site.custom = [&](Exchange& e) -> Task<void> {
    if (begin) {
      ResponseHead head;
      head.contentLength = 100;
      e.respond(std::move(head));
      co_await e.write("only this");
    }
  };
  runOn(site.loop, [&]() -> Task<void> {
    std::string got = co_await site.ask(kGetClose);
    EXPECT_TRUE(got.starts_with("HTTP/1.1 500 ")) << got;
    begin = true;
    got = co_await site.ask(kGet);
    EXPECT_TRUE(got.ends_with("<reset>")) << got;
  });
}

TEST(HttpServer, SlowHeadsAndIdleConnectionsAreEnded) {
  HttpServerOptions options;
  options.headTimeout = options.idleTimeout = 20s;
  VirtualClock clock;
  Site site(std::move(options), &clock);
  runOn(site.loop, [&]() -> Task<void> {
    std::string got = co_await site.ask("GET / HTTP/1.1\r\nHost:");
    EXPECT_TRUE(got.starts_with("HTTP/1.1 408 ")) << got;
    got = co_await site.ask("");
    EXPECT_EQ(got, "");
    got = co_await site.ask(kGet);
    EXPECT_TRUE(got.ends_with("[]")) << got;
  });
}

TEST(HttpServer, AStalledBodyAndAStalledReaderAreEnded) {
  HttpServerOptions options;
  options.stallTimeout = 20s;
  VirtualClock clock;
  Site site(std::move(options), &clock);
  runOn(site.loop, [&]() -> Task<void> {
    std::string got =
        co_await site.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
    EXPECT_TRUE(got.starts_with("HTTP/1.1 400 ")) << got;
    EXPECT_EQ(site.lastError->kind, ErrorKind::TimedOut);

    std::optional<ErrorKind> kind;
    site.custom = [&](Exchange& e) -> Task<void> {
      e.respond({});
      std::string piece(1 << 20, 'x');
      Result<void> sent;
      for (int i = 0; i < 100 && sent; ++i) sent = co_await e.write(piece);
      kind = sent ? ErrorKind::Internal : sent.error().kind;
    };
    RawPeer peer = co_await RawPeer::connect(site.loop, site.address);
    co_await peer.send(kGet);
    while (!kind) co_await site.loop.sleep(1s);
    EXPECT_EQ(*kind, ErrorKind::TimedOut);
  });
}

TEST(HttpServer, TooManyConnectionsAreTurnedAway) {
  HttpServerOptions options;
  options.connections = 1;
  Site site(std::move(options));
  runOn(site.loop, [&]() -> Task<void> {
    RawPeer first = co_await RawPeer::connect(site.loop, site.address);
    co_await first.send(kGet);
    co_await first.readUntil("[]");
    std::string got = co_await site.ask("");
    EXPECT_TRUE(got.starts_with("HTTP/1.1 503 ")) << got;
    co_await first.send(kGetClose);
    got = co_await first.readToEnd();
    EXPECT_TRUE(got.ends_with("GET /z []")) << got;
  });
}

TEST(HttpServer, DrainFinishesWhatIsInFlightAndClosesWhatIsIdle) {
  Site site;
  runOn(site.loop, [&]() -> Task<void> {
    RawPeer idle = co_await RawPeer::connect(site.loop, site.address);
    co_await idle.send(kGet);
    co_await idle.readUntil("[]");
    Event entered(site.loop), go(site.loop);
    site.custom = [&](Exchange& e) -> Task<void> {
      entered.set();
      co_await go.wait();
      co_await answer(e, {}, "late");
    };
    RawPeer busy = co_await RawPeer::connect(site.loop, site.address);
    co_await busy.send(kGet);
    co_await entered.wait();
    Timer timer(site.loop);
    timer.schedule(site.loop.now() + 5ms, [&] { go.set(); });
    co_await site.server.drain(site.loop.now() + 10s);
    EXPECT_EQ(site.server.connectionCount(), 0u);
    std::string got = co_await idle.readToEnd();
    EXPECT_EQ(got, "");
    got = co_await busy.readToEnd();
    EXPECT_TRUE(got.contains("connection: close") && got.ends_with("late")) << got;
    Result<Socket> refused = co_await Socket::open(site.loop, site.address, site.loop.now() + 10s);
    EXPECT_FALSE(refused.has_value());
  });
}

TEST(HttpServer, DrainBreaksWhatIsLeftAtItsDeadline) {
  Site site;
  runOn(site.loop, [&]() -> Task<void> {
    Event entered(site.loop);
    site.custom = [&](Exchange& e) -> Task<void> {
      Event gone(site.loop);
      e.onDisconnect([&] { gone.set(); });
      entered.set();
      co_await gone.wait();
    };
    RawPeer busy = co_await RawPeer::connect(site.loop, site.address);
    co_await busy.send(kGet);
    co_await entered.wait();
    co_await site.server.drain(site.loop.now() + 5ms);
    EXPECT_EQ(site.server.connectionCount(), 0u);
    std::string got = co_await busy.readToEnd();
    EXPECT_EQ(got, "<reset>");
  });
}

TEST(HttpServer, AWatchedConnectionMayBeDroppedWithItsLoop) {
  Site site;
  Event entered(site.loop), never(site.loop);
  site.custom = [&](Exchange& e) -> Task<void> {
    e.onDisconnect([] {});
    entered.set();
    co_await never.wait();
  };
  std::optional<RawPeer> peer;
  runOn(site.loop, [&]() -> Task<void> {
    peer.emplace(co_await RawPeer::connect(site.loop, site.address));
    co_await peer->send(kGet);
    co_await entered.wait();
  });
  EXPECT_EQ(site.server.exchangesInFlight(), 1u);
  peer.reset();
}

TEST(Spool, KeepsSmallBodiesInMemoryAndBigOnesInAFile) {
  Loop loop;
  std::string big(limits::kSpoolMemory.count() + 100000, 'a');
  big[5] = 'b';
  big.back() = 'c';
  for (std::string_view text : {std::string_view("small"), std::string_view(big)}) {
    Spool spool(Bytes::mib(1));
    for (std::size_t at = 0; at < text.size(); at += 60000) {
      ASSERT_TRUE(spool.append(text.substr(at, 60000)).has_value());
    }
    SpooledBody body = spool.take();
    EXPECT_EQ(body.inFile(), text.size() > 5);
    EXPECT_EQ(body.size().count(), static_cast<std::int64_t>(text.size()));
    EXPECT_TRUE(body.text().value() == text);
    EXPECT_TRUE(body.text().value() == text);  // again, from the start
  }
}

TEST(Spool, RefusesWhatIsOverTheLimitAndADirectoryThatIsNot) {
  Spool spool(Bytes(10));
  EXPECT_TRUE(spool.append("0123456789").has_value());
  Result<void> over = spool.append("x");
  ASSERT_FALSE(over.has_value());
  EXPECT_EQ(over.error().code, kBodyTooLarge);
  Spool nowhere(Bytes::mib(1), "/nonexistent");
  EXPECT_EQ(nowhere.append(std::string(300000, 'x')).error().kind, ErrorKind::Internal);
}

}  // namespace
}  // namespace okibi::net
