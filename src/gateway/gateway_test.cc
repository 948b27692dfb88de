// The data path as callers and containers see it: routes, headers, limits, errors, log tail.

#include <csignal>

#include <sys/resource.h>

#include "base/encoding.h"
#include "gateway/kept_request.h"
#include "gateway/role_credentials.h"
#include "gateway/testing_gateway.h"

namespace okibi::gateway {
namespace {

using namespace testing;
using net::testing::RawPeer;

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
    while (!world.runtime.running().empty()) co_await world.loop->sleep(1s);
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
