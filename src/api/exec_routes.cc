// Instance exec: a program run inside a live instance, over a WebSocket (Function Compute: instance
// exec).

#include "api/call.h"
#include "api/exec_bridge.h"
#include "api/exec_order.h"
#include "net/websocket.h"

namespace okibi::api {

net::Task<Result<void>> serveExec(const Call& call, net::Exchange& exchange,
                                  ledger::Moment received) {
  const net::RequestHead& head = exchange.request();
  // As everywhere: what does not exist is said before what could be done with it.
  auto function = call.conductor.catalog().get(call.function());
  if (!function) co_return fail(std::move(function.error()));
  auto query = readQueryPairs(head.query());
  if (!query) co_return fail(std::move(query.error()));
  auto order = readExecOrder(*query);
  if (!order) co_return fail(std::move(order.error()));
  const bool ours = net::offersProtocol(head, kExecProtocol);
  auto accepted = net::acceptWebSocket(head, ours ? kExecProtocol : std::string_view());
  if (!accepted) co_return fail(std::move(accepted.error()));
  accepted->headers.add("x-fc-request-id", call.requestId);
  accepted->headers.add("x-fc-instance-id", call.path[3]);
  conductor::SessionOrder wanted{call.function(), call.path[3],   order->qualifier,
                                 order->program,  call.requestId, received};
  auto session = co_await call.conductor.openSession(std::move(wanted));
  if (!session) co_return fail(std::move(session.error()));
  Result<void> upgraded = co_await exchange.upgrade(std::move(*accepted));
  if (!upgraded) {
    call.conductor.closeSession(*session);
    co_return Result<void>();  // the caller left meanwhile
  }
  ExecBridge bridge(call.conductor, *session, exchange, *order,
                    ours ? ExecControls::Text : ExecControls::None);
  co_await bridge.run();
  co_return Result<void>();
}

}  // namespace okibi::api
