#include "net/relay.h"

#include <utility>

#include <fmt/format.h>

#include "net/both.h"
#include "net/spool.h"

namespace okibi::net {

namespace {

class Relay {
 public:
  Relay(Loop& loop, Exchange& exchange, HttpConnection& upstream, const RelayOptions& options)
      : loop_(loop), exchange_(exchange), upstream_(upstream), options_(options), timer_(loop) {}

  ~Relay() { exchange_.onDisconnect(nullptr); }
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  Task<RelayReport> run() {
    watch();
    co_await exchangeBoth();
    exchange_.onDisconnect(nullptr);
    timer_.cancel();
    report_.upstreamFault = upstream_.fault();
    conclude();
    co_return std::move(report_);
  }

 private:
  enum class Phase { Http, Tunnel };

  void watch();
  Task<void> exchangeBoth();
  Task<void> upload(Phase phase);
  bool tooLarge();
  Task<void> download();
  Task<void> receiveAnswer();
  Task<Result<void>> passBody(Phase phase);
  Task<Result<void>> sendLast(std::string_view piece);
  Task<void> tunnel(ResponseHead head);
  RequestHead outgoing() const;
  void settle(RelayOutcome outcome, Error error);
  void settleReadFailure(Error error);
  void conclude();

  Loop& loop_;
  Exchange& exchange_;
  HttpConnection& upstream_;
  const RelayOptions& options_;
  Timer timer_;
  RelayReport report_;
  bool settled_ = false;  // the first cause counts, what follows from it does not
  bool uploading_ = false;
};

void Relay::settle(RelayOutcome outcome, Error error) {
  if (settled_) return;
  settled_ = true;
  report_.outcome = outcome;
  report_.error = std::move(error);
}

void Relay::watch() {
  exchange_.onDisconnect([this] {
    settle(RelayOutcome::CallerGone,
           {ErrorKind::Cancelled, "the caller closed the connection", {}});
    upstream_.cancel();
    exchange_.cancelRead();
  });
  if (options_.deadline == Instant::max()) return;
  timer_.schedule(options_.deadline, [this] {
    settle(RelayOutcome::TimedOut, {ErrorKind::TimedOut, "the deadline of the request passed", {}});
    upstream_.cancel();
    exchange_.cancelRead();
    // A write that waits for the caller ends only with the connection.
    if (report_.headSent) exchange_.abort();
  });
}

RequestHead Relay::outgoing() const {
  RequestHead head = exchange_.request();
  removeHopByHop(head.headers);
  head.headers.remove("expect");  // answered here
  head.headers.remove("content-length");
  if (options_.filterRequest) options_.filterRequest(head);
  return head;
}

Task<void> Relay::exchangeBoth() {
  RequestHead head = outgoing();
  // The first piece travels with the head if it is here already; the head never waits for it.
  std::string_view first;
  if (!exchange_.bodyEnded() && exchange_.pieceIsReady()) {
    report_.requestBodyRead = true;
    Result<std::string_view> piece = co_await exchange_.read();
    if (!piece) {
      settle(RelayOutcome::CallerGone, std::move(piece.error()));
      upstream_.cancel();
      co_return;
    }
    first = *piece;
    report_.bytesIn += first.size();
    if (tooLarge()) co_return;
  }
  bool whole = exchange_.bodyEnded();
  Result<void> sent =
      co_await upstream_.send(head, first, whole ? BodyEnd::Complete : BodyEnd::MoreFollows);
  if (whole || !sent) {
    // After a failed write an answer may still be there to be read.
    co_await download();
    co_return;
  }
  uploading_ = true;
  co_await both(loop_, upload(Phase::Http), download());
}

Task<void> Relay::upload(Phase phase) {
  for (;;) {
    report_.requestBodyRead = true;
    Result<std::string_view> piece = co_await exchange_.read();
    if (!piece) {
      // Harmless when the download has ended it.
      settleReadFailure(std::move(piece.error()));
      break;
    }
    if (piece->empty()) {
      co_await upstream_.finishBody();
      break;
    }
    report_.bytesIn += piece->size();
    if (phase == Phase::Http && tooLarge()) break;
    Result<void> sent = co_await upstream_.write(*piece);
    if (!sent) break;  // the download sees what became of the upstream
  }
  uploading_ = false;
}

bool Relay::tooLarge() {
  if (std::cmp_less_equal(report_.bytesIn, options_.requestLimit.count())) return false;
  settle(RelayOutcome::RequestTooLarge,
         {ErrorKind::Invalid,
          fmt::format("the body is over the limit of {} bytes", options_.requestLimit.count()),
          std::string(kBodyTooLarge)});
  upstream_.cancel();
  return true;
}

void Relay::settleReadFailure(Error error) {
  if (!uploading_) return;
  settle(RelayOutcome::CallerGone, std::move(error));
  upstream_.cancel();
}

Task<void> Relay::download() {
  co_await receiveAnswer();
  if (!uploading_) co_return;
  // The answer is complete (or lost) and the request is not: what is left of it goes nowhere.
  uploading_ = false;
  upstream_.cancel();
  exchange_.cancelRead();
}

Task<void> Relay::receiveAnswer() {
  Result<ResponseHead> head = co_await upstream_.readHead();
  if (!head) {
    bool none = upstream_.fault() == ConnectionFault::BeforeResponse ||
                upstream_.fault() == ConnectionFault::Cancelled;
    settle(none ? RelayOutcome::UpstreamFailed : RelayOutcome::UpstreamBad,
           std::move(head.error()));
    co_return;
  }
  report_.firstByteAt = loop_.now();
  report_.status = head->status;
  removeHopByHop(head->headers);
  if (upstream_.isTunnel()) {
    head->headers.set("upgrade", exchange_.request().upgrade);
    co_await tunnel(std::move(*head));
    co_return;
  }
  head->headers.remove("content-length");
  if (options_.filterResponse) options_.filterResponse(*head);
  if (upstream_.bodyEnded()) {
    // Without a body the head is the last byte.
    if (options_.beforeLastByte) {
      Result<void> agreed = co_await options_.beforeLastByte(report_);
      if (!agreed) settle(RelayOutcome::Refused, std::move(agreed.error()));
    }
    if (settled_) co_return;
    report_.headSent = true;
    exchange_.respond(std::move(*head));
    Result<void> sent = co_await exchange_.finish();
    if (!sent) settle(RelayOutcome::CallerGone, std::move(sent.error()));
    co_return;
  }
  if (settled_) co_return;
  report_.headSent = true;
  exchange_.respond(std::move(*head));
  if (!upstream_.pieceIsReady()) {
    Result<void> sent = co_await exchange_.flush();
    if (!sent) settle(RelayOutcome::CallerGone, std::move(sent.error()));
  }
  if (settled_) co_return;
  Result<void> passed = co_await passBody(Phase::Http);
  if (!passed) settle(RelayOutcome::CallerGone, std::move(passed.error()));
}

Task<Result<void>> Relay::sendLast(std::string_view piece) {
  if (options_.beforeLastByte) {
    Result<void> agreed = co_await options_.beforeLastByte(report_);
    if (!agreed) settle(RelayOutcome::Refused, std::move(agreed.error()));
  }
  if (settled_) co_return Result<void>();
  co_return co_await exchange_.finish(piece);
}

// Reads one piece, writes it, reads the next. An error is the caller's; the upstream's are settled
// here.
Task<Result<void>> Relay::passBody(Phase phase) {
  for (;;) {
    Result<std::string_view> piece = co_await upstream_.readBody();
    if (!piece) {
      settle(RelayOutcome::UpstreamBroken, std::move(piece.error()));
      co_return Result<void>();
    }
    report_.bytesOut += piece->size();
    if (upstream_.bodyEnded()) co_return co_await sendLast(*piece);
    Result<void> sent = co_await exchange_.write(*piece);
    if (!sent) {
      upstream_.cancel();
      co_return sent;
    }
    if (settled_) co_return Result<void>();
  }
}

Task<void> Relay::tunnel(ResponseHead head) {
  if (options_.filterResponse) options_.filterResponse(head);
  // Inside a tunnel a half-close is the protocol's own business.
  exchange_.onDisconnect(nullptr);
  report_.headSent = true;
  Result<void> switched = co_await exchange_.upgrade(std::move(head));
  if (!switched) {
    settle(RelayOutcome::CallerGone, std::move(switched.error()));
    co_return;
  }
  uploading_ = true;
  auto back = [](Relay& relay) -> Task<void> {
    Result<void> passed = co_await relay.passBody(Phase::Tunnel);
    if (!passed) relay.settle(RelayOutcome::CallerGone, std::move(passed.error()));
    relay.uploading_ = false;
    relay.exchange_.cancelRead();
  };
  co_await both(loop_, upload(Phase::Tunnel), back(*this));
}

void Relay::conclude() {
  if (report_.outcome == RelayOutcome::Complete && !exchange_.finished()) {
    settle(RelayOutcome::CallerGone, {ErrorKind::Cancelled, "the answer was cut", {}});
  }
  if (report_.outcome == RelayOutcome::Complete) return;
  upstream_.cancel();
  if (report_.headSent) exchange_.abort();
}

}  // namespace

Task<RelayReport> relay(Loop& loop, Exchange& exchange, HttpConnection& upstream,
                        const RelayOptions& options) {
  Relay relay(loop, exchange, upstream, options);
  co_return co_await relay.run();
}

}  // namespace okibi::net
