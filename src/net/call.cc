#include "net/both.h"
#include "net/http_client.h"

namespace okibi::net {

namespace {

// One call: the body goes out while the answer may already come in.
struct Call {
  HttpConnection& connection;
  const SpooledBody& body;
  SpooledBody::Reader reader;
  Loop& loop;
  Spool spool;
  WholeAnswer answer;
  Result<void> received;
  bool timedOut = false;

  Task<void> upload() {
    for (;;) {
      Result<std::string_view> piece = reader.next();
      if (!piece) {
        connection.cancel();
        break;
      }
      if (piece->empty()) {
        co_await connection.finishBody();
        break;
      }
      // A server may answer and close without reading everything: what counts is the answer.
      Result<void> sent = co_await connection.write(*piece);
      if (!sent) break;
    }
  }

  Task<Result<void>> receive() {
    Result<ResponseHead> head = co_await connection.readHead();
    if (!head) co_return fail(std::move(head.error()));
    answer.firstByteAt = loop.now();
    answer.head = std::move(*head);
    for (;;) {
      Result<std::string_view> piece = co_await connection.readBody();
      if (!piece) co_return fail(std::move(piece.error()));
      if (piece->empty()) break;
      Result<void> kept = spool.append(*piece);
      if (!kept) co_return kept;
    }
    answer.body = spool.take();
    co_return Result<void>();
  }

  enum class Upload { Done, Running };
  Task<void> download(Upload state) {
    received = co_await receive();
    // Nothing more is expected of a server that has answered; an upload still running is stopped.
    if (!received || state == Upload::Running) stopUpload();
  }
  void stopUpload() {
    if (!received || !uploaded) connection.cancel();
  }
  Task<void> uploadAndMark() {
    co_await upload();
    uploaded = true;
  }
  bool uploaded = false;
};

}  // namespace

Task<Result<WholeAnswer>> call(Loop& loop, HttpConnection& connection, RequestHead head,
                               const SpooledBody& body, Bytes answerLimit, Instant deadline,
                               std::string directory) {
  Spool spool(answerLimit, std::move(directory));
  Call call{connection, body, SpooledBody::Reader(body), loop, std::move(spool), {}, {}};
  Timer timer(loop);
  if (deadline != Instant::max()) {
    timer.schedule(deadline, [&call] {
      call.timedOut = true;
      call.connection.cancel();
    });
  }
  head.contentLength = static_cast<std::uint64_t>(body.size().count());
  head.chunked = false;
  Result<std::string_view> first = call.reader.next();
  if (!first) co_return fail(std::move(first.error()));
  bool whole = first->size() == *head.contentLength;
  Result<void> sent =
      co_await connection.send(head, *first, whole ? BodyEnd::Complete : BodyEnd::MoreFollows);
  if (whole || !sent) {
    co_await call.download(Call::Upload::Done);
  } else {
    co_await both(loop, call.uploadAndMark(), call.download(Call::Upload::Running));
  }
  if (call.timedOut) co_return fail(ErrorKind::TimedOut, "no whole answer before the deadline");
  if (!call.received) co_return fail(std::move(call.received.error()));
  co_return std::move(call.answer);
}

}  // namespace okibi::net
