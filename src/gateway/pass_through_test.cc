// HTTP through triggers and custom domains, and callers: who leaves, and how long one would wait.

#include "gateway/testing_gateway.h"

namespace okibi::gateway {
namespace {

using namespace testing;
using net::testing::RawPeer;
using namespace std::string_literals;

// ---- HTTP through a trigger

TEST_F(GatewayTest, HeadKeepsTheLengthAndRangesPass) {
  world.runtime.script.app = [](net::Exchange& exchange, FakeInstance&) -> net::Task<void> {
    net::ResponseHead head;
    if (exchange.request().headers.getOr("range", "") == "bytes=2-4") {
      head.status = 206;
      head.headers.add("Content-Range", "bytes 2-4/10");
      co_await net::answer(exchange, std::move(head), "234");
    } else {
      co_await net::answer(exchange, std::move(head), "0123456789");
    }
  };
  world.run([&]() -> net::Task<void> {
    co_await deploy();
    RawPeer peer = co_await RawPeer::connect(*world.loop, address);
    const std::string base = "/proxy/" + std::string(kTriggerId) + "/";
    co_await peer.send("HEAD " + base + " HTTP/1.1\r\nHost: a\r\n\r\nGET " + base +
                       " HTTP/1.1\r\nHost: a\r\nRange: bytes=2-4\r\n\r\n");
    const std::string head = co_await peer.readUntil("\r\n\r\n");
    EXPECT_TRUE(head.contains("content-length: 10\r\n")) << head;
    const std::string range = co_await peer.readUntil("\r\n\r\n234");
    EXPECT_TRUE(range.starts_with("HTTP/1.1 206")) << range;
    EXPECT_TRUE(range.contains("Content-Range: bytes 2-4/10\r\n")) << range;
  });
}

TEST_F(GatewayTest, ChunksStreamBothWays) {
  world.runtime.script.app = [](net::Exchange& exchange, FakeInstance&) -> net::Task<void> {
    exchange.respond({});
    co_await exchange.flush();
    for (;;) {
      auto piece = co_await exchange.read();
      if (!piece || piece->empty()) break;
      co_await exchange.write("<" + std::string(*piece) + ">");
    }
    co_await exchange.finish("end");
  };
  world.run([&]() -> net::Task<void> {
    co_await deploy();
    RawPeer peer = co_await RawPeer::connect(*world.loop, address);
    co_await peer.send("POST /proxy/" + std::string(kTriggerId) +
                       "/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    const std::string head = co_await peer.readUntil("\r\n\r\n");
    EXPECT_TRUE(head.contains("transfer-encoding: chunked")) << "before the request has ended";
    co_await peer.send("3\r\none\r\n");
    EXPECT_EQ(co_await peer.readUntil("<one>\r\n"), "5\r\n<one>\r\n");
    co_await peer.send("3\r\ntwo\r\n");
    co_await peer.readUntil("<two>\r\n");
    co_await peer.send("0\r\n\r\n");
    EXPECT_EQ(co_await peer.readUntil("0\r\n\r\n"), "3\r\nend\r\n0\r\n\r\n");
  });
}

TEST_F(GatewayTest, AWebSocketIsOneLongRequest) {
  world.runtime.script.app = [](net::Exchange& exchange, FakeInstance&) -> net::Task<void> {
    net::ResponseHead head;
    head.headers.add("Sec-WebSocket-Accept", "yes");
    co_await exchange.upgrade(std::move(head));
    for (;;) {
      auto piece = co_await exchange.read();
      if (!piece || piece->empty()) break;
      co_await exchange.write("echo " + std::string(*piece));
    }
    co_await exchange.finish();
  };
  world.run([&]() -> net::Task<void> {
    co_await deploy();
    const std::string ask = "GET /proxy/" + std::string(kTriggerId) +
                            "/ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n"
                            "Upgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n";
    {
      RawPeer peer = co_await RawPeer::connect(*world.loop, address);
      co_await peer.send(ask);
      const std::string head = co_await peer.readUntil("\r\n\r\n");
      EXPECT_TRUE(head.starts_with("HTTP/1.1 101")) << head;
      EXPECT_TRUE(head.contains("Sec-WebSocket-Accept: yes")) << head;
      co_await peer.send("one");
      EXPECT_EQ(co_await peer.readUntil("one"), "echo one");
      co_await world.loop->sleep(20s);
      EXPECT_EQ(world.conductor->instances().at(0).inFlight, 1);
      co_await peer.send("two");
      EXPECT_EQ(co_await peer.readUntil("two"), "echo two");
      peer.socket().shutdownWrite();
      EXPECT_EQ(co_await peer.readToEnd(), "");
    }
    co_await world.loop->sleep(1s);
    auto records = co_await world.records("f");
    EXPECT_EQ(records.size(), 1u);
    EXPECT_EQ(records[0].outcome, ledger::Outcome::Success);
    EXPECT_GE(records[0].duration, 20s);
    // It ends with the function's timeout, the hard way.
    RawPeer silent = co_await RawPeer::connect(*world.loop, address);
    co_await silent.send(ask);
    co_await silent.readUntil("\r\n\r\n");
    EXPECT_EQ(co_await silent.readToEnd(), "<reset>");
  });
}

TEST_F(GatewayTest, ARequestThatMayBeSentAgainIsWhenTheConnectionBreaks) {
  int broken = 0;
  world.runtime.script.app = [&](net::Exchange& exchange, FakeInstance&) -> net::Task<void> {
    if (exchange.request().path() == "/break" && broken++ % 2 == 0) {
      exchange.abort();
      co_return;
    }
    co_await net::answer(exchange, {}, "ok");
  };
  world.run([&]() -> net::Task<void> {
    co_await deploy();
    EXPECT_EQ((co_await ask(throughTrigger("GET", "/break"))).body, "ok");
    EXPECT_EQ((co_await ask(throughTrigger("DELETE", "/break"))).body, "ok");
    EXPECT_EQ((co_await ask(throughTrigger("POST", "/break"), "x")).status, 502);
    EXPECT_EQ(broken, 5);
  });
}

// ---- custom domains

class DomainTest : public GatewayTest {
 protected:
  net::Task<void> domain(std::function<void(CustomDomain&)> adjust = {}) {
    co_await deploy();
    CustomDomain config;
    config.routes = {{"/*", "f", "LATEST", {}, {}, {}, {}},
                     {"/api/*", "f", "LATEST", {"GET"}, {}, {{"^/api/*", "/v2/$1"}}, {}},
                     {"/gone", "none", "LATEST", {}, {}, {}, {}}};
    if (adjust) adjust(config);
    const std::string account(kAccount);
    auto made = world.catalog.domains().create(account, "www.example.com", config);
    OKIBI_CHECK(made.has_value(), "{}", made.error().message);
  }
  static net::RequestHead on(std::string method, std::string target,
                             std::string_view host = "WWW.example.com:7070") {
    net::RequestHead head = request(std::move(method), std::move(target));
    head.headers.set("Host", host);
    return head;
  }
};

TEST_F(DomainTest, PathsLeadToFunctionsAsTheRoutesSay) {
  world.runtime.script.app = mirror;
  world.run([&]() -> net::Task<void> {
    co_await domain();
    Answered got = co_await ask(on("POST", "/a%20b?x=1"), "body");
    EXPECT_TRUE(got.body.starts_with("POST /a%20b?x=1\n")) << got.body;
    EXPECT_TRUE(got.body.contains("x-fc-function-name: f\n")) << got.body;
    EXPECT_TRUE(got.body.ends_with("\n\nbody")) << got.body;
    got = co_await ask(on("GET", "/api/x/y?q"));
    EXPECT_TRUE(got.body.starts_with("GET /v2/x/y?q\n")) << got.body;
    got = co_await ask(on("POST", "/api/x"));
    EXPECT_EQ(got.status, 403);
    EXPECT_TRUE(got.body.contains("method POST is not allowed by route '/api/*'")) << got.body;
    got = co_await ask(on("GET", "/gone"));
    EXPECT_EQ(got.status, 404);
    EXPECT_TRUE(got.body.contains("FunctionNotFound")) << got.body;
  });
}

// Nothing of the API or of triggers shows through a custom domain.
TEST_F(DomainTest, EveryPathIsTheDomains) {
  world.runtime.script.app = mirror;
  world.run([&]() -> net::Task<void> {
    co_await domain([](CustomDomain& config) { config.routes.erase(config.routes.begin()); });
    for (const char* target : {"/2023-03-30/functions/f/invocations", "/2023-03-30/functions",
                               "/proxy/0123456789abcdef/", "/okibi/v1/info", "/"}) {
      const Answered got = co_await ask(on("POST", target), "x");
      EXPECT_EQ(got.status, 404) << target;
      EXPECT_TRUE(got.body.contains("RouteNotFound")) << got.body;
    }
    EXPECT_TRUE((co_await ask(on("GET", "/", "other.example.com"))).body.contains("NotOurs"));
    EXPECT_EQ((co_await ask(invocation(), "event")).status, 200);
    EXPECT_EQ((co_await ask(throughTrigger("GET", "/"))).status, 200);
  });
}

TEST_F(DomainTest, PlainRequestsAreSentToHttps) {
  world.run([&]() -> net::Task<void> {
    co_await domain([](CustomDomain& config) { config.protocol = DomainProtocol::Https; });
    Answered got = co_await ask(on("GET", "/a?b=c"));
    EXPECT_EQ(got.status, 301);
    EXPECT_EQ(got.header("location"), "https://www.example.com:8443/a?b=c");
    got = co_await ask(on("POST", "/a"), "body");
    EXPECT_EQ(got.status, 308);
    EXPECT_EQ(world.runtime.starts(), 0u);
  });
}

TEST_F(DomainTest, CallersAndOriginsAreTheDomains) {
  world.run([&]() -> net::Task<void> {
    co_await domain([](CustomDomain& config) {
      config.http.auth = HttpAuth::Bearer;
      config.http.bearer = {{"t", std::string(32, 't'), true}};
      config.http.cors = CorsRule{{"https://a.example"}, {"GET"}, {"*"}, {}, false, Seconds(60)};
    });
    EXPECT_EQ((co_await ask(on("GET", "/"))).status, 403);
    net::RequestHead head = on("GET", "/");
    head.headers.add("Authorization", "Bearer " + std::string(32, 't'));
    head.headers.add("Origin", "https://a.example");
    const Answered got = co_await ask(head);
    EXPECT_EQ(got.status, 200);
    EXPECT_EQ(got.header("access-control-allow-origin"), "https://a.example");
    net::RequestHead preflight = on("OPTIONS", "/");
    preflight.headers.add("Origin", "https://a.example");
    preflight.headers.add("Access-Control-Request-Method", "GET");
    EXPECT_EQ((co_await ask(preflight)).status, 204);
  });
}

// ---- callers who leave

TEST_F(GatewayTest, ACallerWhoLeavesReachesTheInstanceAndFreesTheSlot) {
  int left = 0;
  world.runtime.script.app = [&](net::Exchange& exchange,
                                 FakeInstance& instance) -> net::Task<void> {
    co_await instance.hang(exchange);
    ++left;
  };
  world.run([&]() -> net::Task<void> {
    co_await deploy([](FunctionSpec& spec) { spec.concurrency = 2; });
    for (const std::string& target : {"GET /proxy/" + std::string(kTriggerId) + "/",
                                      "POST /2023-03-30/functions/f/invocations"s}) {
      RawPeer peer = co_await RawPeer::connect(*world.loop, address);
      co_await peer.send(target + " HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
      co_await world.loop->sleep(5s);
      EXPECT_EQ(world.conductor->instances().at(0).inFlight, 1);
      peer.socket().close();
      co_await world.loop->sleep(1s);
    }
    EXPECT_EQ(left, 2);
    EXPECT_EQ(world.conductor->instances().at(0).inFlight, 0);
    for (const auto& record : co_await world.records("f")) {
      EXPECT_EQ(record.status, 499);
      EXPECT_EQ(record.outcome, ledger::Outcome::Cancelled);
    }
  });
}

TEST_F(GatewayTest, ACallerMayLeaveDuringTheStart) {
  world.runtime.script.listens = 10s;
  world.run([&]() -> net::Task<void> {
    co_await deploy();
    for (const std::string& target : {"GET /proxy/" + std::string(kTriggerId) + "/",
                                      "POST /2023-03-30/functions/f/invocations"s}) {
      RawPeer peer = co_await RawPeer::connect(*world.loop, address);
      co_await peer.send(target + " HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
      co_await world.loop->sleep(2s);
      peer.socket().closeWithReset();
      co_await world.loop->sleep(1s);
    }
    EXPECT_EQ((co_await ask(invocation())).body, "ok");
    EXPECT_EQ((co_await world.usage("f")).refused, 2);
    EXPECT_EQ((co_await world.usage("f")).calls, 1);
  });
}

// ---- how long a caller would wait

net::RequestHead within(net::RequestHead head, std::string milliseconds) {
  head.headers.add("X-Okibi-Queue-Deadline-Ms", std::move(milliseconds));
  return head;
}

class WithOneInstance : public GatewayTest {
 protected:
  WithOneInstance()
      : GatewayTest([](conductor::Settings& settings) { settings.planner.instanceQuota = 1; }) {}

  // By trigger; answered when it may.
  net::Task<RawPeer> send() {
    RawPeer peer = co_await RawPeer::connect(*world.loop, address);
    co_await peer.send("GET /proxy/" + std::string(kTriggerId) + "/ HTTP/1.1\r\nHost: a\r\n\r\n");
    co_return peer;
  }
};

TEST_F(WithOneInstance, ACallerWhoseDeadlineCannotBeMetIsToldAtOnceWhenToComeAgain) {
  world.runtime.script.app = [&](net::Exchange& exchange, FakeInstance&) -> net::Task<void> {
    co_await world.loop->sleep(10s);
    co_await net::answer(exchange, {}, "done");
  };
  world.run([&]() -> net::Task<void> {
    co_await deploy();
    // Until it is known what a request takes.
    for (int i = 0; i < 8; ++i) EXPECT_EQ((co_await ask(invocation())).body, "done");
    std::vector<RawPeer> waiting;
    for (int i = 0; i < 3; ++i) {
      waiting.push_back(co_await send());
      co_await world.loop->sleep(1s);
    }
    for (const auto& head : {invocation(), throughTrigger("GET", "/")}) {
      const Instant begin = world.loop->now();
      const Answered refused = co_await ask(within(head, "5000"));
      EXPECT_EQ(world.loop->now(), begin);
      EXPECT_EQ(refused.status, 429) << refused.body;
      EXPECT_EQ(refused.header("Retry-After"), "30");
      EXPECT_TRUE(refused.body.contains("expected wait 30 s, deadline in 5.0 s")) << refused.body;
      EXPECT_TRUE(refused.body.contains("1 of 1")) << "the quota and its use: " << refused.body;
    }
    // Who has the time is served.
    EXPECT_EQ((co_await ask(within(invocation(), "50000"))).body, "done");
    EXPECT_EQ((co_await ask(invocation())).header("Retry-After"), "");
  });
}

TEST_F(WithOneInstance, ACallersDeadlineIsItsOwnAndBoundedByTheDaemons) {
  world.runtime.script.app = hang;
  world.run([&]() -> net::Task<void> {
    co_await deploy([](FunctionSpec& spec) { spec.timeout = Seconds(600); });
    RawPeer busy = co_await send();
    co_await world.loop->sleep(1s);
    for (const auto& [milliseconds, waits] :
         {std::pair{"1500", Duration(1500ms)}, std::pair{"1", Duration(1ms)},
          std::pair{"86400000", Duration(60s)}}) {
      const Instant begin = world.loop->now();
      const Answered refused = co_await ask(within(invocation(), milliseconds));
      EXPECT_EQ(refused.status, 429) << refused.body;
      EXPECT_EQ(refused.header("Retry-After"), "") << "nobody knows when";
      EXPECT_EQ(world.loop->now() - begin, waits) << milliseconds;
    }
  });
}

TEST_F(GatewayTest, ADeadlineThatIsNoneIsRefusedNamingItsRange) {
  world.run([&]() -> net::Task<void> {
    co_await deploy();
    for (const char* text : {"0", "-5", "86400001", "soon", "1.5", "10 s", ""}) {
      for (const auto& head : {invocation(), throughTrigger("GET", "/")}) {
        const Answered refused = co_await ask(within(head, text));
        EXPECT_EQ(refused.status, 400) << text;
        EXPECT_TRUE(refused.body.contains("X-Okibi-Queue-Deadline-Ms")) << refused.body;
        EXPECT_TRUE(refused.body.contains("1–86400000 ms")) << refused.body;
      }
    }
    net::RequestHead async = within(invocation(), "1000");
    async.headers.add("x-fc-invocation-type", "Async");
    const Answered refused = co_await ask(std::move(async));
    EXPECT_EQ(refused.status, 400);
    EXPECT_TRUE(refused.body.contains("maxAsyncEventAgeInSeconds")) << refused.body;
  });
}

}  // namespace
}  // namespace okibi::gateway
