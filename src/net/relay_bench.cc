// A reverse proxy of nothing but net's own parts, for wrk: what one relayed request costs.
//   net_relay_bench 127.0.0.1:7171 127.0.0.1:7172   relays to the second address
//   net_relay_bench 127.0.0.1:7172                  answers 200 bytes itself
#include <csignal>
#include <cstdio>

#include "net/http_server.h"
#include "net/relay.h"
#include "net/upstream_pool.h"

using namespace okibi;
using namespace okibi::net;

namespace {

struct Bench {
  Loop loop;
  SocketAddress upstream;
  UpstreamPool pool{64};
  std::string body = std::string(200, 'x');

  Task<void> relayTo(Exchange& exchange) {
    std::unique_ptr<HttpConnection> connection = pool.take();
    if (!connection) {
      Result<Socket> socket = co_await Socket::open(loop, upstream, loop.now() + 5s);
      if (!socket) co_return;
      connection = std::make_unique<HttpConnection>(loop, std::move(*socket));
    }
    RelayOptions options;
    options.deadline = loop.now() + 60s;
    co_await relay(loop, exchange, *connection, options);
    pool.give(std::move(connection));
  }
  Task<void> answerItself(Exchange& exchange) { co_await answer(exchange, ResponseHead(), body); }
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  Bench bench;
  HttpServer::Handler handler = [&](Exchange& exchange) {
    return argc > 2 ? bench.relayTo(exchange) : bench.answerItself(exchange);
  };
  if (argc > 2) bench.upstream = SocketAddress::parse(argv[2]).value();
  HttpServer server(bench.loop, {}, handler);
  Result<SocketAddress> address = server.listen(SocketAddress::parse(argv[1]).value());
  if (!address) {
    std::fprintf(stderr, "%s\n", address.error().message.c_str());
    return 1;
  }
  bench.loop.onSignal(SIGTERM, [&] { bench.loop.stop(); });
  bench.loop.run();
  return 0;
}
