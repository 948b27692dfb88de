#pragma once
// relay: passes one exchange to one upstream connection, streaming both ways. Back-pressure is not
// reading; an answer may begin before the request has ended; a 101 turns both into a byte tunnel.

#include <cstdint>
#include <functional>
#include <optional>

#include "base/result.h"
#include "base/units.h"
#include "net/exchange.h"
#include "net/http_client.h"
#include "net/loop.h"
#include "net/task.h"

namespace okibi::net {

enum class RelayOutcome {
  Complete,        // the whole answer was handed to the caller's socket (tunnel: one side ended it)
  CallerGone,      // the caller closed, reset or stalled; the upstream connection was closed
  UpstreamFailed,  // no byte of an answer came; nothing was sent to the caller, who can still be
                   // answered
  UpstreamBad,     // malformed answer or headers over the limit; the caller can still be answered
  UpstreamBroken,  // broke off in the middle of the answer; the caller's connection was reset
  TimedOut,  // options.deadline; the caller can still be answered if !headSent, else was reset
  RequestTooLarge,  // over options.requestLimit; the caller can still be answered if !headSent,
                    // else was reset
  Refused,  // beforeLastByte failed; the caller can still be answered if !headSent, else was reset
};

struct RelayReport {
  RelayOutcome outcome = RelayOutcome::Complete;
  int status = 0;              // of the upstream's answer; 0: none came
  std::uint64_t bytesIn = 0;   // body bytes taken from the caller
  std::uint64_t bytesOut = 0;  // body bytes handed to the caller (before the last byte: got so far)
  std::optional<Instant> firstByteAt;  // when the answer's head had arrived
  bool headSent = false;               // anything of an answer has gone to the caller
  bool requestBodyRead = false;  // if not, and nothing was sent, another upstream may be tried
  ConnectionFault upstreamFault = ConnectionFault::None;
  Error error;  // why, when not Complete
};

struct RelayOptions {
  // End of the whole exchange, tunnels included.
  Instant deadline = Instant::max();
  // Of the request's body, where its length was not announced; a tunnel has none.
  Bytes requestLimit = Bytes(INT64_MAX);
  // Change the heads on their way. Hop-by-hop fields are already gone; framing is not in the
  // headers.
  std::function<void(RequestHead&)> filterRequest;
  std::function<void(ResponseHead&)> filterResponse;
  // Awaited when the upstream's whole answer has been read and before the last byte of it is sent
  // (for an answer without body, before its head; for a tunnel, before its end is passed on). A
  // failure stops the answer there.
  std::function<Task<Result<void>>(const RelayReport& soFar)> beforeLastByte;
};

// `upstream` is idle and connected; afterwards give it to its pool, which keeps it only if
// reusable(). A caller's disconnect cancels the upstream connection at once.
Task<RelayReport> relay(Loop& loop, Exchange& exchange, HttpConnection& upstream,
                        const RelayOptions& options);

}  // namespace okibi::net
