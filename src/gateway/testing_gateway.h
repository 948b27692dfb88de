#pragma once
// The gateway for tests: a real server on loopback in front of fake sandboxes, on a virtual clock,
// and what its callers send and its containers answer.

#include <gtest/gtest.h>

#include "base/encoding.h"
#include "conductor/testing_world.h"
#include "gateway/gateway.h"
#include "net/http_server.h"

namespace okibi::gateway::testing {
using conductor::testing::kAccount;
using conductor::testing::World;
using seams::FakeInstance;

inline constexpr std::string_view kTriggerId = "0123456789abcdef";

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
inline net::Task<void> mirror(net::Exchange& exchange, FakeInstance&) {
  const net::RequestHead& head = exchange.request();
  std::string text = head.method + " " + head.target + "\n";
  for (const auto field : head.headers) {
    text += toLower(field.name) + ": " + std::string(field.value) + "\n";
  }
  auto body = co_await net::readBody(exchange, Bytes::mib(64));
  text += "\n" + (body ? body->text().value() : body.error().message);
  co_await net::answer(exchange, {}, text);
}
inline seams::FakeApp answerWith(net::ResponseHead head, std::string body) {
  return [head, body](net::Exchange& exchange, FakeInstance&) -> net::Task<void> {
    co_await net::answer(exchange, head, body);
  };
}
inline net::Task<void> hang(net::Exchange& exchange, FakeInstance& instance) {
  return instance.hang(exchange);
}

}  // namespace okibi::gateway::testing
