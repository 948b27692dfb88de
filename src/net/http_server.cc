#include "net/http_server.h"

#include <algorithm>
#include <list>
#include <set>
#include <utility>
#include <vector>

#include "base/log.h"
#include "net/event.h"
#include "net/server_connection.h"
#include "net/tls.h"

namespace okibi::net {

FaultAnswer plainFaultAnswer(HttpFault fault) {
  FaultAnswer answer;
  answer.head.status = statusOf(fault);
  answer.head.headers.add("content-type", "text/plain");
  answer.body = std::string(toString(fault)) + "\n";
  return answer;
}

const std::string& ServerState::date() {
  if (!options.wallClock || loop.now() < dateUntil_) return date_;
  dateUntil_ = loop.now() + 1s;
  date_ = formatHttpDate(options.wallClock());
  return date_;
}

struct HttpServer::Impl : std::enable_shared_from_this<HttpServer::Impl> {
  Impl(Loop& loop, HttpServerOptions options, Handler handler)
      : state(loop, std::move(options), std::move(handler)), sweeper(loop), empty(loop) {}

  using Tls = std::shared_ptr<const TlsAcceptor>;
  Task<void> acceptFrom(std::shared_ptr<Impl> self, std::shared_ptr<Listener> listener, Tls tls);
  Task<void> admit(std::shared_ptr<Impl> self, Socket socket);
  Task<void> shakeHands(std::shared_ptr<Impl> self, Socket socket, Tls tls);
  Task<void> serve(Socket socket);
  Task<void> turnAway(Socket socket);
  void checkEmpty();
  void sweep();

  ServerState state;
  std::vector<std::shared_ptr<Listener>> listeners;
  std::set<ServerConnection*> connections;
  std::list<Socket*> shaking;  // in handshakes, the oldest first
  Timer sweeper;
  Event empty;  // set when, draining, no connection is left
};

Task<void> HttpServer::Impl::acceptFrom(std::shared_ptr<Impl> self,
                                        std::shared_ptr<Listener> listener, Tls tls) {
  for (;;) {
    Result<UniqueFd> fd = co_await listener->accept();
    if (!fd && fd.error().kind == ErrorKind::Cancelled) co_return;
    if (!fd) {
      log::warning("cannot accept", "error=\"{}\"", fd.error().message);
      co_await state.loop.sleep(50ms);
      continue;
    }
    Socket socket(state.loop, std::move(*fd));
    state.loop.spawn(tls ? shakeHands(self, std::move(socket), tls)
                         : admit(self, std::move(socket)));
  }
}

// Limited by itself: those who begin a handshake and do not go on take no place of those who do.
Task<void> HttpServer::Impl::shakeHands(std::shared_ptr<Impl> self, Socket socket, Tls tls) {
  if (shaking.size() >= state.options.handshakes) {
    Socket* oldest = shaking.front();
    shaking.pop_front();
    oldest->cancel();
  }
  shaking.push_back(&socket);
  Result<void> done = co_await socket.secure(tls->session(socket.fd()),
                                             state.loop.now() + state.options.handshakeTimeout);
  shaking.remove(&socket);
  if (done && !state.draining) {
    co_await admit(self, std::move(socket));
  } else {
    socket.close();
    checkEmpty();
  }
}

Task<void> HttpServer::Impl::admit(std::shared_ptr<Impl> self, Socket socket) {
  if (connections.size() >= state.options.connections)
    co_return co_await turnAway(std::move(socket));
  co_await serve(std::move(socket));
}

void HttpServer::Impl::checkEmpty() {
  if (state.draining && connections.empty() && shaking.empty()) empty.set();
}

Task<void> HttpServer::Impl::serve(Socket socket) {
  ServerConnection connection(state, std::move(socket));
  connections.insert(&connection);
  if (!sweeper.scheduled()) sweep();
  co_await connection.serve();
  connections.erase(&connection);
  checkEmpty();
}

Task<void> HttpServer::Impl::turnAway(Socket socket) {
  FaultAnswer answer = state.options.renderFault(HttpFault::TooManyConnections);
  answer.head.contentLength = answer.body.size();
  if (!state.date().empty()) answer.head.headers.set("date", state.date());
  std::string text;
  writeResponseHead(answer.head, Coding::Sized, Persistence::Close, text);
  // Small enough for the socket's buffer: it never waits.
  co_await socket.write(text + answer.body);
  socket.close();
}

// One timer for all connections: a request arms none.
void HttpServer::Impl::sweep() {
  Instant now = state.loop.now();
  for (ServerConnection* connection : connections) connection->checkStall(now);
  if (connections.empty()) return;
  const HttpServerOptions& o = state.options;
  Duration shortest = std::min({o.headTimeout, o.idleTimeout, o.stallTimeout, o.lingerTimeout});
  Duration pause = std::clamp<Duration>(shortest / 4, 5ms, 1s);
  sweeper.schedule(now + pause, [this] { sweep(); });
}

HttpServer::HttpServer(Loop& loop, HttpServerOptions options, Handler handler)
    : impl_(std::make_shared<Impl>(loop, std::move(options), std::move(handler))) {}

HttpServer::~HttpServer() {
  for (auto& listener : impl_->listeners) listener->close();
}

Result<SocketAddress> HttpServer::listen(const SocketAddress& address,
                                         std::shared_ptr<const TlsAcceptor> tls) {
  Result<Listener> listener = Listener::open(impl_->state.loop, address);
  if (!listener) return fail(std::move(listener.error()));
  auto shared = std::make_shared<Listener>(std::move(*listener));
  impl_->listeners.push_back(shared);
  impl_->state.loop.spawn(impl_->acceptFrom(impl_, shared, std::move(tls)));
  return shared->address();
}

Task<void> HttpServer::drain(Instant deadline) {
  std::shared_ptr<Impl> impl = impl_;
  impl->state.draining = true;
  for (auto& listener : impl->listeners) listener->close();
  for (ServerConnection* connection : impl->connections) connection->closeIfIdle();
  for (Socket* socket : impl->shaking) socket->cancel();
  if (impl->connections.empty() && impl->shaking.empty()) co_return;
  Result<void> gone = co_await impl->empty.wait(deadline);
  if (gone) co_return;
  for (ServerConnection* connection : impl->connections) connection->abort();
  // Handlers learn of it from their next read, write or onDisconnect.
  for (ServerConnection* connection : impl->connections) connection->hungUp();
  if (!impl->connections.empty() || !impl->shaking.empty()) co_await impl->empty.wait();
}

std::size_t HttpServer::connectionCount() const {
  return impl_->connections.size();
}
std::size_t HttpServer::exchangesInFlight() const {
  return impl_->state.exchanges;
}

}  // namespace okibi::net
