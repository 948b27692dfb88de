#include "net/relay.h"

#include <gtest/gtest.h>

#include "net/both.h"
#include "net/event.h"
#include "net/http_server.h"
#include "net/testing.h"
#include "net/upstream_pool.h"
#include "net/virtual_clock.h"

namespace okibi::net {
namespace {

using testing::RawPeer;
using testing::runOn;

constexpr const char* kGet = "GET /a HTTP/1.1\r\nHost: a\r\nX-Drop: me\r\n\r\n";

// Two ends of one connection: what the relay speaks to, and the app that a test plays by hand.
struct App {
  explicit App(Loop& loop) : App(loop, testing::socketPair()) {}
  App(Loop& loop, std::pair<UniqueFd, UniqueFd> ends)
      : connection(std::make_unique<HttpConnection>(loop, Socket(loop, std::move(ends.first)))),
        peer(loop, Socket(loop, std::move(ends.second))) {}
  std::unique_ptr<HttpConnection> connection;
  RawPeer peer;
};

// A server that relays each exchange to the current app's connection and keeps the report.
struct Front {
  explicit Front(VirtualClock* clock = nullptr)
      : loop(1, clock),
        app(std::make_unique<App>(loop)),
        done(loop),
        server(loop, {}, [this](Exchange& e) { return handle(e); }) {
    address = server.listen(SocketAddress::loopback(0)).value();
  }
  Task<void> handle(Exchange& exchange) {
    report = co_await relay(loop, exchange, *app->connection, options);
    reusable = app->connection->reusable();
    if (!report.headSent && report.outcome != RelayOutcome::CallerGone) {
      ResponseHead head;
      head.status = 502;
      co_await answer(exchange, std::move(head), "failed");
    }
    done.set();
  }
  Task<void> finished() {
    Result<void> ok = co_await done.wait(loop.now() + 60s);
    EXPECT_TRUE(ok.has_value()) << "the relay did not end";
    done.reset();
  }

  Loop loop;
  std::unique_ptr<App> app;
  RelayOptions options;
  RelayReport report;
  bool reusable = false;
  Event done;
  HttpServer server;
  SocketAddress address;
};

TEST(Relay, ABodyOverTheLimitEndsWithAnAnswer) {
  Front f;
  f.options.requestLimit = Bytes(10);
  runOn(f.loop, [&]() -> Task<void> {
    RawPeer caller = co_await RawPeer::connect(f.loop, f.address);
    co_await caller.send(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n12345678\r\n");
    co_await f.app->peer.readUntil("12345678");
    co_await caller.send("8\r\n12345678\r\n");
    co_await f.finished();
    EXPECT_EQ(f.report.outcome, RelayOutcome::RequestTooLarge);
    EXPECT_EQ(f.report.error.code, kBodyTooLarge);
    EXPECT_FALSE(f.report.headSent);
    EXPECT_FALSE(f.reusable);
  });
}

TEST(Relay, PassesHeadsThroughFiltersAndBodiesUnchanged) {
  Front f;
  f.options.filterRequest = [](RequestHead& head) {
    head.headers.remove("x-drop");
    head.headers.add("X-Id", "7");
  };
  f.options.filterResponse = [](ResponseHead& head) {
    head.headers.remove("server");
    head.headers.add("Timing", "1");
  };
  runOn(f.loop, [&]() -> Task<void> {
    RawPeer caller = co_await RawPeer::connect(f.loop, f.address);
    co_await caller.send(
        "POST /a?b HTTP/1.1\r\nHost: a\r\nX-Drop: me\r\nConnection: keep-alive, x-hop\r\n"
        "X-Hop: 1\r\nContent-Length: 5\r\n\r\nhello");
    std::string seen = co_await f.app->peer.readUntil("hello");
    EXPECT_EQ(seen, "POST /a?b HTTP/1.1\r\nHost: a\r\nX-Id: 7\r\ncontent-length: 5\r\n\r\nhello");
    co_await f.app->peer.send(
        "HTTP/1.1 201 Made\r\nServer: app\r\nX: y\r\nKeep-Alive: 5\r\nContent-Length: "
        "3\r\n\r\nyes");
    std::string got = co_await caller.readUntil("yes");
    EXPECT_EQ(got,
              "HTTP/1.1 201 Made\r\nX: y\r\nTiming: 1\r\ncontent-length: 3\r\n"
              "connection: keep-alive\r\n\r\nyes");
    co_await f.finished();
    EXPECT_EQ(f.report.outcome, RelayOutcome::Complete);
    EXPECT_EQ(f.report.status, 201);
    EXPECT_EQ(f.report.bytesIn, 5u);
    EXPECT_EQ(f.report.bytesOut, 3u);
    EXPECT_TRUE(f.report.firstByteAt.has_value());
    EXPECT_TRUE(f.reusable);

    // The same two connections again, chunked both ways and byte by byte.
    co_await caller.sendSlowly(
        "PUT /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
    co_await f.app->peer.readUntil("0\r\n\r\n");
    co_await f.app->peer.sendSlowly(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        "2\r\nno\r\n0\r\n\r\n");
    got = co_await caller.readUntil("0\r\n\r\n");
    EXPECT_TRUE(got.contains("transfer-encoding: chunked")) << got;
    co_await f.finished();
    EXPECT_EQ(f.report.bytesIn, 3u);
    EXPECT_TRUE(f.reusable);
  });
}

TEST(Relay, TheHookRunsWhenAllIsReadAndBeforeTheLastByteLeaves) {
  Front f;
  Event asked(f.loop), agree(f.loop);
  std::uint64_t bytesAtHook = 0;
  f.options.beforeLastByte = [&](const RelayReport& soFar) -> Task<Result<void>> {
    bytesAtHook = soFar.bytesOut;
    asked.set();
    Result<void> ok = co_await agree.wait();
    co_return ok;
  };
  const char* answers[] = {
      "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlast",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nlast\r\n0\r\n\r\n",
      "HTTP/1.1 204 No Content\r\n\r\n"};
  runOn(f.loop, [&]() -> Task<void> {
    RawPeer caller = co_await RawPeer::connect(f.loop, f.address);
    for (std::string text : answers) {
      co_await caller.send(kGet);
      co_await f.app->peer.readUntil("\r\n\r\n");
      co_await f.app->peer.send(text);
      co_await asked.wait();
      EXPECT_EQ(bytesAtHook, text.contains("204") ? 0u : 4u);
      co_await f.loop.sleep(2ms);
      EXPECT_TRUE(caller.socket().isQuiet()) << "something left before the record: " << text;
      asked.reset();
      agree.set();
      std::string got = co_await caller.readUntil(text.contains("204")       ? "\r\n\r\n"
                                                  : text.contains("chunked") ? "0\r\n\r\n"
                                                                             : "last");
      EXPECT_FALSE(got.contains("<end>")) << got;
      co_await f.finished();
      agree.reset();
    }
  });
}

TEST(Relay, AFailingHookStopsTheAnswer) {
  Front f;
  f.options.beforeLastByte = [](const RelayReport&) -> Task<Result<void>> {
    co_return fail(ErrorKind::Internal, "disk full");
  };
  runOn(f.loop, [&]() -> Task<void> {
    RawPeer caller = co_await RawPeer::connect(f.loop, f.address);
    co_await caller.send(kGet);
    co_await f.app->peer.readUntil("\r\n\r\n");
    co_await f.app->peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlast");
    std::string got = co_await caller.readToEnd();
    EXPECT_FALSE(got.contains("last")) << got;
    EXPECT_TRUE(got.ends_with("<reset>")) << got;
    co_await f.finished();
    EXPECT_EQ(f.report.outcome, RelayOutcome::Refused);
    EXPECT_EQ(f.report.error.message, "disk full");
  });
}

TEST(Relay, BackPressureIsNotReading) {
  Front f;
  runOn(f.loop, [&]() -> Task<void> {
    RawPeer caller = co_await RawPeer::connect(f.loop, f.address);
    co_await caller.send(kGet);
    co_await f.app->peer.readUntil("\r\n\r\n");
    constexpr std::size_t kSize = 64 << 20;
    std::size_t pushed = 0;
    Event stopped(f.loop);
    auto push = [](App& app, std::size_t& count, Event& end) -> Task<void> {
      co_await app.peer.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(kSize) +
                             "\r\n\r\n");
      std::string piece(1 << 16, 'x');
      while (count < kSize) {
        co_await app.peer.send(piece);
        count += piece.size();
      }
      end.set();
    };
    f.loop.spawn(push(*f.app, pushed, stopped));
    // Nobody reads: after the kernel's buffers are full the app must stand still.
    std::size_t before = 1;
    while (before != pushed) {
      before = pushed;
      co_await f.loop.sleep(20ms);
    }
    EXPECT_LT(pushed, kSize / 2);
    std::string head = co_await caller.readUntil("\r\n\r\n");
    EXPECT_TRUE(head.contains("content-length: 67108864")) << head;
    std::size_t got = co_await caller.countToEnd(kSize);
    EXPECT_EQ(got, kSize);
    co_await stopped.wait();
    co_await f.finished();
    EXPECT_EQ(f.report.outcome, RelayOutcome::Complete);
    EXPECT_EQ(f.report.bytesOut, kSize);
  });
}

TEST(Relay, AnAnswerMayBeginBeforeTheRequestHasEnded) {
  Front f;
  runOn(f.loop, [&]() -> Task<void> {
    RawPeer caller = co_await RawPeer::connect(f.loop, f.address);
    co_await caller.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    co_await f.app->peer.readUntil("\r\n\r\n");
    co_await f.app->peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    std::string head = co_await caller.readUntil("\r\n\r\n");
    EXPECT_TRUE(head.starts_with("HTTP/1.1 200")) << head;
    for (std::string word : {"ping1", "ping2", "ping3"}) {
      co_await caller.send("5\r\n" + word + "\r\n");
      co_await f.app->peer.readUntil(word + "\r\n");
      co_await f.app->peer.send("5\r\n" + word + "\r\n");
      std::string back = co_await caller.readUntil(word + "\r\n");
      EXPECT_TRUE(back.contains(word)) << back;
    }
    co_await caller.send("0\r\n\r\n");
    co_await f.app->peer.readUntil("0\r\n\r\n");
    co_await f.app->peer.send("0\r\n\r\n");
    std::string end = co_await caller.readUntil("0\r\n\r\n");
    EXPECT_EQ(end, "0\r\n\r\n");
    co_await f.finished();
    EXPECT_EQ(f.report.outcome, RelayOutcome::Complete);
    EXPECT_EQ(f.report.bytesIn, 15u);
  });
}

TEST(Relay, AnEarlyWholeAnswerEndsTheUpload) {
  Front f;
  runOn(f.loop, [&]() -> Task<void> {
    RawPeer caller = co_await RawPeer::connect(f.loop, f.address);
    co_await caller.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\npart");
    co_await f.app->peer.readUntil("part");
    co_await f.app->peer.send("HTTP/1.1 400 Bad\r\nContent-Length: 2\r\n\r\nno");
    std::string got = co_await caller.readToEnd();
    EXPECT_TRUE(got.starts_with("HTTP/1.1 400 Bad") && got.ends_with("\r\n\r\nno")) << got;
    EXPECT_TRUE(got.contains("connection: close")) << got;
    co_await f.finished();
    EXPECT_EQ(f.report.outcome, RelayOutcome::Complete);
    EXPECT_FALSE(f.reusable);
  });
}

TEST(Relay, ACallerWhoLeavesReachesTheInstance) {
  Front f;
  runOn(f.loop, [&]() -> Task<void> {
    {
      RawPeer caller = co_await RawPeer::connect(f.loop, f.address);
      co_await caller.send(kGet);
      co_await f.app->peer.readUntil("\r\n\r\n");
    }
    std::string end = co_await f.app->peer.readToEnd();  // the app sees its connection close
    EXPECT_EQ(end, "");
    co_await f.finished();
    EXPECT_EQ(f.report.outcome, RelayOutcome::CallerGone);
  });
}

struct DyingApp {
  const char* why;
  std::string says;
  RelayOutcome outcome;
  const char* callerGets;
};

TEST(Relay, AnAppThatFailsIsToldApart) {
  using enum RelayOutcome;
  const DyingApp rows[] = {
      {"before the head", "", UpstreamFailed, "HTTP/1.1 502 "},
      {"in the head", "HTTP/1.1 200 OK\r\nCont", UpstreamBad, "HTTP/1.1 502 "},
      {"in the body", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", UpstreamBroken,
       "<reset>"},
      {"in a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", UpstreamBroken,
       "<reset>"},
      {"not HTTP", "SSH-2.0-OpenSSH\r\n\r\n", UpstreamBad, "HTTP/1.1 502 "},
      {"head too large", "HTTP/1.1 200 OK\r\nX: " + std::string(9000, 'x') + "\r\n\r\n",
       UpstreamBad, "HTTP/1.1 502 "},
      {"until close", "HTTP/1.1 200 OK\r\n\r\nall of it", Complete, "all of it\r\n0\r\n\r\n"},
      {"unasked 101", "HTTP/1.1 101 Hi\r\nUpgrade: x\r\n\r\n", UpstreamBad, "HTTP/1.1 502 "},
  };
  for (const DyingApp& row : rows) {
    Front f;
    runOn(f.loop, [&]() -> Task<void> {
      RawPeer caller = co_await RawPeer::connect(f.loop, f.address);
      co_await caller.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
      co_await f.app->peer.readUntil("\r\n\r\n");
      co_await f.app->peer.send(row.says);
      f.app->peer.socket().shutdownWrite();
      std::string got = co_await caller.readToEnd();
      EXPECT_TRUE(got.contains(row.callerGets)) << row.why << ": " << got;
      co_await f.finished();
      EXPECT_EQ(f.report.outcome, row.outcome) << row.why << ": " << f.report.error.message;
      EXPECT_FALSE(f.reusable) << row.why;
      if (std::string_view(row.why) == "head too large") {
        EXPECT_EQ(f.report.upstreamFault, ConnectionFault::HeadTooLarge);
      }
    });
  }
}

TEST(Relay, TheDeadlineEndsASilentAppAndASilentCaller) {
  VirtualClock clock;
  Front f(&clock);
  runOn(f.loop, [&]() -> Task<void> {
    f.options.deadline = f.loop.now() + 10s;
    RawPeer caller = co_await RawPeer::connect(f.loop, f.address);
    co_await caller.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf");
    std::string got = co_await caller.readUntil("failed");
    EXPECT_TRUE(got.starts_with("HTTP/1.1 502 ")) << got;
    co_await f.finished();
    EXPECT_EQ(f.report.outcome, RelayOutcome::TimedOut);

    f.app = std::make_unique<App>(f.loop);
    f.options.deadline = f.loop.now() + 10s;
    RawPeer second = co_await RawPeer::connect(f.loop, f.address);
    co_await second.send(kGet);
    co_await f.app->peer.readUntil("\r\n\r\n");
    co_await f.app->peer.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
    got = co_await second.readToEnd();
    EXPECT_TRUE(got.ends_with("half<reset>")) << got;
    co_await f.finished();
    EXPECT_EQ(f.report.outcome, RelayOutcome::TimedOut);
    EXPECT_TRUE(f.report.headSent);
  });
}

constexpr const char* kUpgrade =
    "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Key: k\r\n\r\nearly";
constexpr const char* kSwitched =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Accept: z\r\n\r\nhello";

TEST(Relay, A101BecomesATunnelInBothDirections) {
  Front f;
  runOn(f.loop, [&]() -> Task<void> {
    RawPeer caller = co_await RawPeer::connect(f.loop, f.address);
    co_await caller.send(kUpgrade);
    std::string seen = co_await f.app->peer.readUntil("\r\n\r\n");
    EXPECT_TRUE(seen.contains("connection: upgrade\r\nupgrade: websocket")) << seen;
    EXPECT_TRUE(seen.contains("Sec-WebSocket-Key: k")) << seen;
    co_await f.app->peer.send(kSwitched);
    std::string got = co_await caller.readUntil("hello");
    EXPECT_TRUE(got.starts_with("HTTP/1.1 101 ") && got.contains("upgrade: websocket")) << got;
    EXPECT_TRUE(got.contains("Sec-WebSocket-Accept: z")) << got;
    seen = co_await f.app->peer.readUntil("early");
    EXPECT_EQ(seen, "early");
    co_await caller.send(std::string_view("\0\r\n\r\n\xff", 6));
    seen = co_await f.app->peer.readUntil("\xff");
    EXPECT_EQ(seen.size(), 6u);
    // The caller half-closes; the app answers to that and closes.
    caller.socket().shutdownWrite();
    seen = co_await f.app->peer.readToEnd();
    EXPECT_EQ(seen, "");
    co_await f.app->peer.send("bye");
    f.app->peer.socket().close();
    got = co_await caller.readToEnd();
    EXPECT_EQ(got, "bye");
    co_await f.finished();
    EXPECT_EQ(f.report.outcome, RelayOutcome::Complete);
    EXPECT_EQ(f.report.status, 101);
    EXPECT_EQ(f.report.bytesIn, 11u);
    EXPECT_FALSE(f.reusable);
  });
}

TEST(Relay, ATunnelEndsAtTheDeadline) {
  VirtualClock clock;
  Front f(&clock);
  runOn(f.loop, [&]() -> Task<void> {
    f.options.deadline = f.loop.now() + 20s;
    RawPeer caller = co_await RawPeer::connect(f.loop, f.address);
    co_await caller.send(kUpgrade);
    co_await f.app->peer.readUntil("\r\n\r\n");
    co_await f.app->peer.send(kSwitched);
    std::string got = co_await caller.readToEnd();
    EXPECT_TRUE(got.ends_with("<reset>")) << got;
    std::string seen = co_await f.app->peer.readToEnd();
    co_await f.finished();
    EXPECT_EQ(f.report.outcome, RelayOutcome::TimedOut);
  });
}

// ---- call and pool

Task<void> playApp(App& app, std::string says, std::string until) {
  co_await app.peer.readUntil(until);
  co_await app.peer.send(says);
}

TEST(Call, SendsABigBodyAndCollectsTheAnswer) {
  Loop loop;
  runOn(loop, [&]() -> Task<void> {
    App app(loop);
    Spool spool(Bytes::mib(8));
    std::string big(5 << 20, 'x');
    big.back() = '$';
    EXPECT_TRUE(spool.append(big).has_value());
    SpooledBody body = spool.take();
    RequestHead head;
    head.method = "POST";
    head.headers.add("Host", "a");
    loop.spawn(playApp(app, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "$"));
    Result<WholeAnswer> got =
        co_await call(loop, *app.connection, head, body, Bytes(100), loop.now() + 10s);
    EXPECT_EQ(got->body.text().value(), "ok");
    EXPECT_TRUE(app.connection->reusable());

    loop.spawn(playApp(
        app, "HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n" + std::string(101, 'y'), "\r\n\r\n"));
    got = co_await call(loop, *app.connection, head, SpooledBody(), Bytes(100), loop.now() + 10s);
    EXPECT_EQ(got.error().code, kBodyTooLarge);
    EXPECT_FALSE(app.connection->reusable());
  });
}

TEST(Call, AnswersBeforeTheBodyIsReadAndDeadlines) {
  Loop loop;
  runOn(loop, [&]() -> Task<void> {
    SpooledBody body(std::string(4 << 20, 'x'));
    RequestHead head;
    head.headers.add("Host", "a");
    App early(loop);
    loop.spawn(playApp(early, "HTTP/1.1 413 No\r\nContent-Length: 2\r\n\r\nno", "\r\n\r\n"));
    Result<WholeAnswer> got =
        co_await call(loop, *early.connection, head, body, Bytes(100), loop.now() + 10s);
    EXPECT_EQ(got->head.status, 413);
    EXPECT_FALSE(early.connection->reusable());

    App silent(loop);
    got = co_await call(loop, *silent.connection, head, body, Bytes(100), loop.now() + 5ms);
    EXPECT_EQ(got.error().kind, ErrorKind::TimedOut);

    App gone(loop);
    gone.peer.socket().close();
    got = co_await call(loop, *gone.connection, head, SpooledBody(), Bytes(100), loop.now() + 10s);
    EXPECT_EQ(got.error().kind, ErrorKind::Unavailable);
    EXPECT_EQ(gone.connection->fault(), ConnectionFault::BeforeResponse);
  });
}

TEST(UpstreamPool, KeepsOnlyWhatCanBeUsedAgain) {
  Loop loop;
  runOn(loop, [&]() -> Task<void> {
    UpstreamPool pool(1);
    RequestHead head;
    head.headers.add("Host", "a");
    App a(loop), b(loop), unfinished(loop), closing(loop);
    for (App* app : {&a, &b}) {
      loop.spawn(playApp(*app, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "\r\n\r\n"));
      co_await call(loop, *app->connection, head, {}, Bytes(1), loop.now() + 10s);
    }
    loop.spawn(playApp(closing, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
                       "\r\n\r\n"));
    co_await call(loop, *closing.connection, head, {}, Bytes(1), loop.now() + 10s);
    co_await unfinished.connection->send(head);
    pool.give(std::move(closing.connection));
    pool.give(std::move(unfinished.connection));
    EXPECT_EQ(pool.idle(), 0u);
    pool.give(std::move(a.connection));
    pool.give(std::move(b.connection));  // no room
    EXPECT_EQ(pool.idle(), 1u);
    std::unique_ptr<HttpConnection> taken = pool.take();
    EXPECT_TRUE(taken != nullptr);
    pool.give(std::move(taken));
    a.peer.socket().close();  // the app closes while it is idle
    EXPECT_EQ(pool.take(), nullptr);

    App c(loop);
    loop.spawn(playApp(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "\r\n\r\n"));
    co_await call(loop, *c.connection, head, {}, Bytes(1), loop.now() + 10s);
    pool.invalidate();
    pool.give(std::move(c.connection));
    EXPECT_EQ(pool.idle(), 0u);
  });
}

}  // namespace
}  // namespace okibi::net
