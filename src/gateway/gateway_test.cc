// The data path as callers and containers see it: a real server on loopback in front of fake
// sandboxes, on a virtual clock.

#include "gateway/gateway.h"

#include <csignal>

#include <gtest/gtest.h>
#include <sys/resource.h>

#include "base/encoding.h"
#include "conductor/testing_world.h"
#include "gateway/kept_request.h"
#include "gateway/role_credentials.h"
#include "net/http_server.h"

namespace okibi::gateway {
namespace {

using conductor::testing::kAccount;
using conductor::testing::World;
using net::testing::RawPeer;
using seams::FakeInstance;
using namespace std::string_literals;

constexpr std::string_view kTriggerId = "0123456789abcdef";

struct Answered {
  int status = 0;
  net::Headers headers;
  std::string body;
  std::string header(std::string_view name) const { return std::string(headers.getOr(name, "")); }
};

class GatewayTest : public ::testing::Test {
 protected:
  explicit GatewayTest(std::function<void(conductor::Settings&)> adjust = {})
      : world(std::move(adjust)),
        verifier([](std::string_view) { return std::optional<auth::AccessKey>(); }),
        queue(*world.loop, world.store),
        gateway(*world.conductor, queue, verifier, {ApiAuth::None, {}, 8443}),
        server(std::make_unique<net::HttpServer>(
            *world.loop, net::HttpServerOptions{},
            [this](net::Exchange& exchange) { return serve(exchange); })),
        address(server->listen(net::SocketAddress::loopback(0)).value()) {}
  ~GatewayTest() override {
    world.run([this]() -> net::Task<void> { co_await server->drain(world.loop->now() + 100h); });
    server.reset();
  }

  net::Task<void> serve(net::Exchange& exchange) {
    ++served;
    if (gateway.owns(exchange.request())) {
      co_await gateway.serve(exchange, makeRequestId());
    } else {
      co_await refuse(exchange, "none", {ErrorKind::NotFound, "not the gateway's", "NotOurs"});
    }
  }

  // Function "f", its HTTP trigger with all methods.
  net::Task<void> deploy(std::function<void(FunctionSpec&)> adjust = {}) {
    FunctionSpec spec = world.spec("f");
    if (adjust) adjust(spec);
    co_await world.deploy(spec);
    Trigger trigger;
    trigger.function = World::ref("f");
    trigger.name = "http";
    trigger.id = trigger.label = kTriggerId;
    trigger.type = "http";
    trigger.http.methods = {"GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS"};
    OKIBI_CHECK(world.catalog.putTrigger(trigger).has_value());
  }

  static net::RequestHead request(std::string method, std::string target) {
    net::RequestHead head;
    head.method = std::move(method);
    head.target = std::move(target);
    head.headers.add("Host", "127.0.0.1");
    return head;
  }
  static net::RequestHead throughTrigger(std::string method, std::string path) {
    return request(std::move(method), "/proxy/" + std::string(kTriggerId) + path);
  }
  static net::RequestHead invocation() {
    return request("POST", "/2023-03-30/functions/f/invocations");
  }

  net::Task<Answered> ask(net::RequestHead head, std::string body = {}) {
    auto socket = co_await net::Socket::open(*world.loop, address, world.loop->now() + 10s);
    OKIBI_CHECK(socket.has_value());
    net::HttpConnection connection(*world.loop, std::move(*socket), Bytes::mib(1));
    auto whole =
        co_await net::call(*world.loop, connection, std::move(head),
                           net::SpooledBody(std::move(body)), Bytes::mib(64), Instant::max());
    Answered answered;
    if (!whole) {
      answered.body = whole.error().message;
      co_return answered;
    }
    answered.status = whole->head.status;
    answered.headers = whole->head.headers;
    answered.body = whole->body.text().value();
    co_return answered;
  }

  World world;
  auth::Verifier verifier;
  conductor::AsyncQueue queue;
  Gateway gateway;
  std::unique_ptr<net::HttpServer> server;
  net::SocketAddress address;
  int served = 0;
};

// Tells the request that came in, as text: the head line, the headers, the body.
net::Task<void> mirror(net::Exchange& exchange, FakeInstance&) {
  const net::RequestHead& head = exchange.request();
  std::string text = head.method + " " + head.target + "\n";
  for (const auto field : head.headers) {
    text += toLower(field.name) + ": " + std::string(field.value) + "\n";
  }
  auto body = co_await net::readBody(exchange, Bytes::mib(64));
  text += "\n" + (body ? body->text().value() : body.error().message);
  co_await net::answer(exchange, {}, text);
}
seams::FakeApp answerWith(net::ResponseHead head, std::string body) {
  return [head, body](net::Exchange& exchange, FakeInstance&) -> net::Task<void> {
    co_await net::answer(exchange, head, body);
  };
}
net::Task<void> hang(net::Exchange& exchange, FakeInstance& instance) {
  return instance.hang(exchange);
}

// ---- routes

TEST_F(GatewayTest, RoutesByInvocationPathTriggerPathAndHost) {
  world.runtime.script.app = mirror;
  world.run([&]() -> net::Task<void> {
    co_await deploy();
    Answered got = co_await ask(invocation(), "event");
    EXPECT_EQ(got.status, 200);
    EXPECT_TRUE(got.body.starts_with("POST /invoke\n")) << got.body;
    EXPECT_TRUE(got.body.ends_with("\n\nevent")) << got.body;
    got = co_await ask(throughTrigger("PUT", "/a/b%20c?x=1&y"), "body");
    EXPECT_TRUE(got.body.starts_with("PUT /a/b%20c?x=1&y\n")) << got.body;
    got = co_await ask(throughTrigger("GET", ""));
    EXPECT_TRUE(got.body.starts_with("GET /\n")) << got.body;
    got = co_await ask(throughTrigger("GET", "?q"));
    EXPECT_TRUE(got.body.starts_with("GET /?q\n")) << got.body;
    net::RequestHead byHost = request("GET", "/2023-03-30/functions/f/invocations");
    byHost.headers.set("Host", std::string(kTriggerId) + ".local.okibi.localhost:7070");
    got = co_await ask(byHost);
    EXPECT_TRUE(got.body.starts_with("GET /2023-03-30/functions/f/invocations\n"))
        << "below its own host every path is the function's: " << got.body;
  });
}

TEST_F(GatewayTest, WhatIsNotThereIsRefusedInWords) {
  world.run([&]() -> net::Task<void> {
    co_await deploy();
    EXPECT_EQ((co_await ask(request("GET", "/proxy/none/x"))).status, 404);
    EXPECT_TRUE((co_await ask(request("GET", "/proxy/none/x"))).body.contains("TriggerNotFound"));
    EXPECT_TRUE((co_await ask(request("GET", "/else"))).body.contains("NotOurs"));
    const auto unknown = co_await ask(request("POST", "/2023-03-30/functions/no/invocations"), "x");
    EXPECT_EQ(unknown.status, 404);
    EXPECT_TRUE(unknown.body.contains(R"("Code":"FunctionNotFound")"));
    EXPECT_TRUE(unknown.header("x-fc-request-id").starts_with("1-"));
    const auto method = co_await ask(request("GET", "/2023-03-30/functions/f/invocations"));
    EXPECT_EQ(method.status, 400);
    EXPECT_TRUE(method.body.contains("PathNotSupported"));
    net::RequestHead later = invocation();
    later.headers.add("x-fc-invocation-type", "Later");
    EXPECT_EQ((co_await ask(later)).status, 400);
    EXPECT_EQ(world.runtime.starts(), 0u);
  });
}

TEST_F(GatewayTest, ContainersGetTheCredentialsOfTheirRoleAndOfNoOther) {
  world.runtime.script.app = mirror;
  RoleCredentials credentials(world.catalog, std::string(64, 'm'));
  world.conductor->useCredentials(credentials);
  const auto as = [](std::string fields) {
    return [fields](FunctionSpec& spec) { spec.inertFields = fields; };
  };
  const std::string arn = "acs:ram::" + std::string(kAccount) + ":role/caller";
  const Role role{"0123", {{"InvokeFunction", "*"}}, {}, {}};
  world.run([&]() -> net::Task<void> {
    co_await deploy(as(R"({"role":")" + arn + R"("})"));
    const auto sees = [&]() -> net::Task<std::string> {
      net::RequestHead forged = throughTrigger("GET", "/");
      forged.headers.add("x-fc-access-key-id", "forged");
      const std::string both =
          (co_await ask(invocation(), "event")).body + (co_await ask(forged)).body;
      co_return both;
    };
    EXPECT_FALSE((co_await sees()).contains("x-fc-access-key")) << "the role was not made";
    OKIBI_CHECK(world.catalog.resources().put({{std::string(kAccount), ""}, "caller"}, role));
    const std::string with = co_await sees();
    for (const std::string_view name : {"id: STS.", "secret: "}) {
      const std::string field = "x-fc-access-key-" + std::string(name);
      EXPECT_NE(with.find(field), with.rfind(field)) << "in both: " << with;
    }
    EXPECT_TRUE(with.contains("x-fc-security-token: "));
    EXPECT_FALSE(with.contains("forged"));
    for (const std::string fields : {R"("role":"acs:ram::2:role/caller")", R"("role":"other")",
                                     R"("role":"caller","disableInjectCredentials":"Request")",
                                     R"("role":"caller","disableInjectCredentials":"All")"}) {
      FunctionSpec spec = world.catalog.find(World::ref("f"))->spec;
      spec.inertFields = "{" + fields + "}";
      OKIBI_CHECK(world.conductor->update(World::ref("f"), spec).has_value());
      co_await world.settled(World::ref("f"));
      EXPECT_FALSE((co_await sees()).contains("x-fc-access-key")) << fields;
    }
  });
}

TEST_F(GatewayTest, HooksGetTheCredentialsToo) {
  RoleCredentials credentials(world.catalog, std::string(64, 'm'));
  world.conductor->useCredentials(credentials);
  OKIBI_CHECK(world.catalog.resources().put({{std::string(kAccount), ""}, "caller"},
                                            Role{"7", {}, {}, {}}));
  std::string seen;  // control paths with a token
  world.runtime.script.app = [&](net::Exchange& exchange, FakeInstance&) -> net::Task<void> {
    const net::Headers& headers = exchange.request().headers;
    if (headers.get("x-fc-security-token")) seen += headers.getOr("x-fc-control-path", "");
    co_await net::answer(exchange, {}, "");
  };
  world.run([&]() -> net::Task<void> {
    co_await deploy([](FunctionSpec& spec) {
      spec.inertFields = R"({"role":"caller"})";
      spec.initializer.handler = spec.preStop.handler = "h";
    });
    EXPECT_EQ((co_await ask(invocation(), "event")).status, 200);
    while (!world.runtime.running().empty()) co_await world.loop->sleep(10ms);
  });
  EXPECT_EQ(seen, "/initialize/invoke/pre-stop");
}

// ---- asynchronous invocation

TEST_F(GatewayTest, AnAsynchronousRequestOfATriggerIsPassedOnLaterAsItCame) {
  std::vector<std::string> seen;
  int status = 200;
  world.runtime.script.app = [&](net::Exchange& exchange, FakeInstance&) -> net::Task<void> {
    const net::RequestHead& head = exchange.request();
    std::string text = head.method + " " + head.target + "\n";
    for (const auto field : head.headers) {
      text += toLower(field.name) + ": " + std::string(field.value) + "\n";
    }
    auto body = co_await net::readBody(exchange, Bytes::mib(1));
    seen.push_back(text + "\n" + body->text().value());
    net::ResponseHead answer;
    answer.status = status;
    co_await net::answer(exchange, answer, "");
  };
  queue.start([&](seams::AsyncEvent event, std::string payload) {
    return gateway.tryAsync(std::move(event), std::move(payload));
  });
  world.run([&]() -> net::Task<void> {
    co_await deploy();
    net::RequestHead head = throughTrigger("PUT", "/a/b%20c?x=1&y");
    head.headers.add("X-Fc-Invocation-Type", "Async");
    head.headers.add("X-Fc-Async-Task-Id", "task-1");
    head.headers.add("X-Own", "a:b");
    head.headers.add("Connection", "X-Hop");
    head.headers.add("Origin", "http://a.example");
    const Answered accepted = co_await ask(head, "line\n\nline");
    EXPECT_EQ(accepted.status, 202);
    EXPECT_EQ(accepted.body, "");
    EXPECT_EQ(accepted.header("x-fc-async-task-id"), "task-1");
    EXPECT_EQ(accepted.header("access-control-allow-origin"), "http://a.example");
    while (queue.backlog(World::ref("f")) > 0) co_await world.loop->sleep(1ms);
    EXPECT_EQ(seen.size(), 1u);
    const std::string got = seen.empty() ? "" : seen[0];
    EXPECT_TRUE(got.starts_with("PUT /a/b%20c?x=1&y\n")) << got;
    EXPECT_TRUE(got.ends_with("\n\nline\n\nline")) << got;
    EXPECT_TRUE(got.contains("x-own: a:b\n")) << got;
    EXPECT_TRUE(got.contains("x-fc-control-path: /http-invoke\n")) << got;
    EXPECT_TRUE(got.contains("x-fc-request-id: " + accepted.header("x-fc-request-id"))) << got;
    EXPECT_FALSE(got.contains("x-fc-async-task-id")) << got;

    net::RequestHead large = throughTrigger("POST", "/");
    large.headers.add("x-fc-invocation-type", "async");
    const Answered refused = co_await ask(large, std::string(128 * 1024 + 1, 'x'));
    EXPECT_EQ(refused.status, 400);
    EXPECT_TRUE(refused.body.contains("EntityTooLarge")) << refused.body;
    net::RequestHead wrong = throughTrigger("GET", "/");
    wrong.headers.add("x-fc-invocation-type", "Later");
    EXPECT_EQ((co_await ask(wrong)).status, 400);

    // A 500 is the function's error and is tried again; a 400 is an answer.
    seams::AsyncEvent event;
    event.function = World::ref("f");
    event.requestId = "r";
    event.http = true;
    const std::string kept = encodeRequest(request("GET", "/x"), "");
    status = 500;
    EXPECT_EQ(co_await gateway.tryAsync(event, kept), conductor::AttemptResult::FunctionFailed);
    status = 404;
    EXPECT_EQ(co_await gateway.tryAsync(event, kept), conductor::AttemptResult::Done);
    EXPECT_EQ(co_await gateway.tryAsync(event, "rubbish"), conductor::AttemptResult::Hopeless);
    const auto records = co_await world.records("f");
    EXPECT_EQ(records.size(), 3u);
    EXPECT_EQ(records.empty() ? 0 : records[0].status, 404);
  });
  queue.stop();
}

TEST(KeptRequest, ComesBackWholeAndDamageIsSaid) {
  net::RequestHead head;
  head.method = "POST";
  head.target = "/a?b=c d";
  head.headers.add("x-a", "");
  head.headers.add("x-b", "1: 2");
  const std::string text = encodeRequest(head, "\n\nbody");
  auto back = decodeRequest(text);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->head.method, "POST");
  EXPECT_EQ(back->head.target, "/a?b=c d");
  EXPECT_EQ(back->head.headers.getOr("x-a", "none"), "");
  EXPECT_EQ(back->head.headers.getOr("x-b", ""), "1: 2");
  EXPECT_EQ(back->body, "\n\nbody");
  for (std::size_t size = 0; size < text.find("\n\n") + 2; ++size) {
    EXPECT_FALSE(decodeRequest(text.substr(0, size))) << size;
  }
}

TEST_F(GatewayTest, ATriggerAllowsItsMethodsAndMayBeShutOrSigned) {
  world.run([&]() -> net::Task<void> {
    co_await deploy();
    Trigger trigger = **world.catalog.trigger(World::ref("f"), "http");
    trigger.http.methods = {"GET"};
    EXPECT_TRUE(world.catalog.putTrigger(trigger));
    EXPECT_EQ((co_await ask(throughTrigger("GET", "/"))).status, 200);
    const auto denied = co_await ask(throughTrigger("POST", "/"));
    EXPECT_EQ(denied.status, 403);
    EXPECT_TRUE(denied.body.contains("POST"));
    trigger.http.internetDisabled = true;
    EXPECT_TRUE(world.catalog.putTrigger(trigger));
    EXPECT_EQ((co_await ask(throughTrigger("GET", "/"))).status, 403);
    trigger.http.internetDisabled = false;
    trigger.http.auth = HttpAuth::Function;
    EXPECT_TRUE(world.catalog.putTrigger(trigger));
    const auto unsigned_ = co_await ask(throughTrigger("GET", "/"));
    EXPECT_EQ(unsigned_.status, 400) << unsigned_.body;
  });
}

// ---- headers

TEST_F(GatewayTest, ForgedHeadersAreDroppedAndTheContainersAdded) {
  world.runtime.script.app = mirror;
  world.run([&]() -> net::Task<void> {
    co_await deploy();
    net::RequestHead head = throughTrigger("GET", "/");
    head.headers.add("X-Fc-Account-Id", "forged");
    head.headers.add("x-fc-anything", "forged");
    head.headers.add("Keep-Alive", "timeout=5");
    head.headers.add("X-Mine", "kept");
    const Answered got = co_await ask(head);
    EXPECT_FALSE(got.body.contains("forged")) << got.body;
    EXPECT_FALSE(got.body.contains("keep-alive")) << got.body;
    EXPECT_TRUE(got.body.contains("x-mine: kept\n"));
    EXPECT_TRUE(got.body.contains("host: 127.0.0.1\n"));
    EXPECT_TRUE(got.body.contains("x-fc-account-id: " + std::string(kAccount) + "\n"));
    EXPECT_TRUE(got.body.contains("x-fc-function-name: f\n"));
    EXPECT_TRUE(got.body.contains("x-fc-function-memory: 512\n"));
    EXPECT_TRUE(got.body.contains("x-fc-region: local\n"));
    EXPECT_TRUE(got.body.contains("x-fc-qualifier: LATEST\n"));
    EXPECT_TRUE(got.body.contains("x-fc-control-path: /http-invoke\n"));
    EXPECT_TRUE(got.body.contains("x-fc-request-id: " + got.header("x-fc-request-id") + "\n"));
    const Answered invoked = co_await ask(invocation());
    EXPECT_TRUE(invoked.body.contains("x-fc-control-path: /invoke\n"));
    EXPECT_TRUE(invoked.body.contains("content-type: application/octet-stream\n"));
  });
}

TEST_F(GatewayTest, ReservedHeadersOfAnAnswerDoNotPassATrigger) {
  net::ResponseHead head;
  head.status = 418;
  for (const char* name : {"X-Fc-Mine", "Server", "Date", "Keep-Alive", "Content-Disposition"}) {
    head.headers.add(name, "container");
  }
  head.headers.add("Content-Type", "text/plain");
  head.headers.add("Set-Cookie", "a=1");
  head.headers.add("Set-Cookie", "b=2");
  world.runtime.script.app = answerWith(head, "teapot");
  world.run([&]() -> net::Task<void> {
    co_await deploy();
    const Answered got = co_await ask(throughTrigger("GET", "/"));
    EXPECT_EQ(got.status, 418);
    EXPECT_EQ(got.body, "teapot");
    EXPECT_EQ(got.header("content-type"), "text/plain");
    EXPECT_EQ(got.headers.count("set-cookie"), 2u);
    for (const auto field : got.headers) EXPECT_NE(field.value, "container") << field.name;
    // An invocation gives back the body and nothing else, whatever the status.
    const Answered invoked = co_await ask(invocation());
    EXPECT_EQ(invoked.status, 200);
    EXPECT_EQ(invoked.body, "teapot");
    EXPECT_EQ(invoked.headers.count("set-cookie"), 0u);
    EXPECT_EQ(invoked.header("x-fc-error-type"), "");
  });
}

// ---- limits

TEST_F(GatewayTest, BodiesOverTheLimitAreRefused) {
  world.runtime.script.app = [](net::Exchange& exchange, FakeInstance&) -> net::Task<void> {
    std::size_t size = 0;
    for (;;) {
      auto piece = co_await exchange.read();
      if (!piece || piece->empty()) break;
      size += piece->size();
    }
    co_await net::answer(exchange, {}, std::to_string(size));
  };
  world.run([&]() -> net::Task<void> {
    co_await deploy();
    const std::size_t most = static_cast<std::size_t>(limits::kSyncBody.count());
    for (const auto& head : {invocation(), throughTrigger("POST", "/")}) {
      const Answered fits = co_await ask(head, std::string(most, 'x'));
      EXPECT_EQ(fits.body, std::to_string(most));
      const Answered over = co_await ask(head, std::string(most + 1, 'x'));
      EXPECT_EQ(over.status, 400);
      EXPECT_TRUE(over.body.contains("EntityTooLarge")) << over.body;
    }
    // A trigger's body of unknown length is stopped where the limit is.
    RawPeer peer = co_await RawPeer::connect(*world.loop, address);
    co_await peer.send("POST /proxy/" + std::string(kTriggerId) +
                       "/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    const std::string mib(1 << 20, 'x');
    for (int i = 0; i < 33; ++i) co_await peer.send("100000\r\n" + mib + "\r\n");
    const std::string got = co_await peer.readUntil("}");
    EXPECT_TRUE(got.starts_with("HTTP/1.1 400")) << got.substr(0, 200);
    EXPECT_TRUE(got.contains("EntityTooLarge")) << got.substr(0, 400);
  });
}

TEST_F(GatewayTest, AnswerHeadsOverTheLimitAreABadResponse) {
  net::ResponseHead head;
  head.headers.add("X-Long", std::string(9000, 'x'));
  world.runtime.script.app = answerWith(head, "x");
  world.run([&]() -> net::Task<void> {
    co_await deploy();
    const Answered got = co_await ask(throughTrigger("GET", "/"));
    EXPECT_EQ(got.status, 502);
    EXPECT_TRUE(got.body.contains("BadResponse")) << got.body;
    const Answered invoked = co_await ask(invocation());
    EXPECT_EQ(invoked.status, 200);
    EXPECT_EQ(invoked.header("x-fc-error-type"), "UnhandledInvocationError");
  });
}

TEST_F(GatewayTest, AnAnswerOverTheLimitIsTheFunctionsErrorByInvocationAndPassesByTrigger) {
  world.runtime.script.app = answerWith({}, std::string(33 << 20, 'a'));
  world.run([&]() -> net::Task<void> {
    co_await deploy();
    const Answered invoked = co_await ask(invocation());
    EXPECT_EQ(invoked.status, 200);
    EXPECT_EQ(invoked.header("x-fc-error-type"), "UnhandledInvocationError");
    EXPECT_TRUE(invoked.body.contains("over the limit")) << invoked.body.substr(0, 300);
    EXPECT_EQ((co_await ask(throughTrigger("GET", "/"))).body.size(), std::size_t{33} << 20);
    EXPECT_EQ(world.runtime.starts(), 1u) << "the instance is not to blame";
  });
}

// ---- errors: the function's and the platform's, by either door

TEST_F(GatewayTest, ACrashIsAFunctionErrorByInvocationAnd502ByTrigger) {
  world.runtime.script.app = [&](net::Exchange& exchange,
                                 FakeInstance& instance) -> net::Task<void> {
    world.runtime.print(instance.id, seams::OutputStream::Stderr, "last words\n");
    world.runtime.crash(instance.id, {.id = {}, .exitCode = 7});
    co_return;
  };
  world.run([&]() -> net::Task<void> {
    co_await deploy();
    const Answered invoked = co_await ask(invocation());
    EXPECT_EQ(invoked.status, 200);
    EXPECT_EQ(invoked.header("x-fc-error-type"), "UnhandledInvocationError");
    EXPECT_TRUE(invoked.body.contains(R"("errorType":"FunctionUnhandledError")")) << invoked.body;
    EXPECT_TRUE(invoked.body.contains("code 7")) << invoked.body;
    EXPECT_TRUE(invoked.body.contains("last words")) << invoked.body;
    co_await world.loop->sleep(10min);
    const Answered got = co_await ask(throughTrigger("POST", "/"), "x");
    EXPECT_EQ(got.status, 502);
    EXPECT_TRUE(got.body.contains("FunctionUnhandledError")) << got.body;
    const auto usage = co_await world.usage("f");
    EXPECT_EQ(usage.calls, 2);
    EXPECT_EQ(usage.errors, 2);
  });
}

TEST_F(GatewayTest, ATimeoutIsAFunctionErrorByInvocationAnd502ByTrigger) {
  world.runtime.script.app = hang;
  world.run([&]() -> net::Task<void> {
    co_await deploy([](FunctionSpec& spec) { spec.timeout = Seconds(5); });
    const Answered invoked = co_await ask(invocation());
    EXPECT_EQ(invoked.status, 200);
    EXPECT_TRUE(invoked.body.contains("FunctionTimeoutError")) << invoked.body;
    EXPECT_TRUE(invoked.body.contains("5 seconds")) << invoked.body;
    const Answered got = co_await ask(throughTrigger("GET", "/"));
    EXPECT_EQ(got.status, 502);
    EXPECT_TRUE(got.body.contains("FunctionTimeoutError")) << got.body;
  });
}

TEST_F(GatewayTest, AStartThatFailsIs412AndAnInitializerThatFailsIsTheFunctions) {
  world.runtime.script.startError = Error{ErrorKind::Unavailable, "exec: '/app': no", {}};
  world.run([&]() -> net::Task<void> {
    co_await deploy([](FunctionSpec& spec) { spec.initializer.handler = "initialize"; });
    for (const auto& head : {invocation(), throughTrigger("POST", "/")}) {
      const Answered got = co_await ask(head);
      EXPECT_EQ(got.status, 412) << got.body;
      EXPECT_TRUE(got.body.contains(R"("Code":"FunctionNotStarted")")) << got.body;
      EXPECT_TRUE(got.body.contains("exec: '/app': no")) << got.body;
      co_await world.loop->sleep(10min);
    }
    world.runtime.script.startError.reset();
    net::ResponseHead head;
    head.status = 500;
    world.runtime.script.app = answerWith(head, "no model");
    const Answered invoked = co_await ask(invocation());
    EXPECT_EQ(invoked.status, 200);
    EXPECT_EQ(invoked.header("x-fc-error-type"), "InitializationError");
    EXPECT_TRUE(invoked.body.contains("status 500")) << invoked.body;
    co_await world.loop->sleep(10min);
    const Answered got = co_await ask(throughTrigger("GET", "/"));
    EXPECT_EQ(got.status, 502);
    EXPECT_TRUE(got.body.contains("InitializationError")) << got.body;
    EXPECT_EQ((co_await world.usage("f")).refused, 4);
  });
}

TEST_F(GatewayTest, TheContainersStatusHeaderSaysHowItWent) {
  net::ResponseHead head;
  head.headers.add("x-fc-status", "404");
  world.runtime.script.app = answerWith(head, "not found");
  world.run([&]() -> net::Task<void> {
    co_await deploy();
    const Answered invoked = co_await ask(invocation());
    EXPECT_EQ(invoked.header("x-fc-error-type"), "InvocationError");
    EXPECT_EQ(invoked.body, "not found");
    const Answered got = co_await ask(throughTrigger("GET", "/"));
    EXPECT_EQ(got.status, 200);
    EXPECT_EQ(got.headers.count("x-fc-status"), 0u);
    for (const auto& record : co_await world.records("f")) {
      EXPECT_EQ(record.outcome, ledger::Outcome::FunctionError);
      EXPECT_EQ(record.errorType, "InvocationError");
    }
  });
}

TEST_F(GatewayTest, WhenTheLedgerCannotBeWrittenNoAnswerIsCompleted) {
  world.run([&]() -> net::Task<void> {
    co_await deploy();
    EXPECT_EQ((co_await ask(invocation())).status, 200);
    ::signal(SIGXFSZ, SIG_IGN);
    rlimit before{}, full{};
    ::getrlimit(RLIMIT_FSIZE, &before);
    full = before;
    full.rlim_cur = 1;
    ::setrlimit(RLIMIT_FSIZE, &full);
    const Answered invoked = co_await ask(invocation());
    const Answered got = co_await ask(throughTrigger("GET", "/"));
    ::setrlimit(RLIMIT_FSIZE, &before);
    EXPECT_EQ(invoked.status, 500) << "the platform's fault, no quota";
    EXPECT_NE(got.body, "ok");
    EXPECT_EQ((co_await ask(invocation())).status, 200);
    EXPECT_EQ((co_await world.usage("f")).calls, 4);
  });
}

// ---- log tail, timing

TEST_F(GatewayTest, TheLogTailIsOfThisRequestAndOnlyWhereRequestsAreAlone) {
  world.runtime.script.app = [&](net::Exchange& exchange,
                                 FakeInstance& instance) -> net::Task<void> {
    world.runtime.print(instance.id, seams::OutputStream::Stdout,
                        "request " + std::to_string(instance.requests.size()) + "\n");
    co_await net::answer(exchange, {}, "ok");
  };
  world.run([&]() -> net::Task<void> {
    co_await deploy();
    net::RequestHead head = invocation();
    EXPECT_EQ((co_await ask(head)).header("x-fc-log-result"), "");
    head.headers.add("X-Fc-Log-Type", "Tail");
    const Answered got = co_await ask(head);
    EXPECT_EQ(fromBase64(got.header("x-fc-log-result")), "request 2\n");
    FunctionSpec shared = world.spec("f");
    shared.concurrency = 2;
    EXPECT_TRUE(world.conductor->update(World::ref("f"), shared));
    co_await world.settled(World::ref("f"));
    EXPECT_EQ((co_await ask(head)).headers.count("x-fc-log-result"), 0u);
  });
}

std::map<std::string, double> timing(const std::string& text) {
  std::map<std::string, double> phases;
  for (std::string_view entry : split(text, ',')) {
    const std::string one(trim(entry));
    const std::size_t at = one.find(";dur=");
    if (at != std::string::npos) phases[one.substr(0, at)] = std::stod(one.substr(at + 5));
  }
  return phases;
}

TEST_F(GatewayTest, AColdAnswerSaysItsPhasesAndTheySumToTheTotal) {
  world.runtime.script.start = 30ms;
  world.runtime.script.listens = 200ms;
  world.runtime.script.app = [&](net::Exchange& exchange, FakeInstance&) -> net::Task<void> {
    co_await world.loop->sleep(exchange.request().path() == "/initialize" ? 2s : 500ms);
    co_await net::answer(exchange, {}, "ok");
  };
  world.run([&]() -> net::Task<void> {
    co_await deploy([](FunctionSpec& spec) {
      spec.initializer.handler = "initialize";
      spec.idleTimeout = Seconds(5);
    });
    for (const auto& head : {invocation(), throughTrigger("GET", "/")}) {
      const Answered cold = co_await ask(head);
      auto phases = timing(cold.header("server-timing"));
      EXPECT_EQ(phases.size(), 7u) << cold.header("server-timing");
      EXPECT_NEAR(phases["sandbox"], 30, 0.01);
      EXPECT_NEAR(phases["app"], 200, 5);
      EXPECT_NEAR(phases["init"], 2000, 0.01);
      EXPECT_NEAR(phases["request"], 500, 0.01);
      double sum = 0;
      for (const auto& [name, time] : phases) sum += name == "total" ? 0 : time;
      EXPECT_NEAR(sum, phases["total"], 0.01);
      const Answered warm = co_await ask(head);
      EXPECT_EQ(warm.headers.count("server-timing"), 0u);
      co_await world.loop->sleep(1min);
    }
  });
}

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

class WithoutSpool : public GatewayTest {
 protected:
  WithoutSpool()
      : GatewayTest([](conductor::Settings& settings) { settings.spoolDirectory += "/gone"; }) {}
};

TEST_F(WithoutSpool, BodiesTooBigForMemoryGoNowhereElse) {
  world.runtime.script.app = mirror;
  world.run([&]() -> net::Task<void> {
    co_await deploy();
    EXPECT_EQ((co_await ask(invocation(), std::string(100'000, 'b'))).status, 200);
    const Answered got = co_await ask(invocation(), std::string(2 << 20, 'b'));
    EXPECT_EQ(got.status, 500) << "the spool directory is missing";
    // A trigger streams: it needs none.
    EXPECT_EQ((co_await ask(throughTrigger("POST", "/"), std::string(2 << 20, 'b'))).status, 200);
  });
}

}  // namespace
}  // namespace okibi::gateway
