#include "api/exec_bridge.h"

#include <array>
#include <cerrno>

#include <fmt/format.h>
#include <unistd.h>

#include "api/json_reader.h"
#include "net/both.h"

namespace okibi::api {
namespace {

constexpr std::size_t kPiece = 32 * 1024;
constexpr std::size_t kControlMost = 4 * 1024;
constexpr Duration kGoodbye = std::chrono::seconds(2);  // for the client's Close
constexpr int kNormal = 1000, kGoingAway = 1001, kUnsupported = 1003, kPolicy = 1008;

std::optional<net::FdWatcher> watch(net::Loop& loop, net::UniqueFd& fd) {
  if (!fd) return std::nullopt;
  return net::FdWatcher(loop, std::move(fd));
}

}  // namespace

ExecBridge::ExecBridge(conductor::Conductor& conductor, std::shared_ptr<conductor::Session> session,
                       net::Exchange& exchange, const ExecOrder& order, ExecControls controls)
    : conductor_(conductor),
      loop_(conductor.loop()),
      session_(std::move(session)),
      exchange_(exchange),
      order_(order),
      controls_(controls),
      tunnel_(net::tunnelOf(exchange)),
      socket_(loop_, *tunnel_, net::WebSocketRole::Server),
      outputEnded_(loop_),
      silence_(loop_),
      total_(loop_),
      linger_(loop_) {
  if (!session_->program) return;  // it has ended already: run() says so
  in_ = watch(loop_, session_->program->in);
  out_ = watch(loop_, session_->program->out);
  err_ = watch(loop_, session_->program->err);
  if (!order_.in && !order_.program.terminal) in_.reset();
}

net::Task<void> ExecBridge::run() {
  exchange_.onDisconnect([this] {
    gone_ = true;
    stop({kGoingAway, "the client is gone"});
  });
  session_->onEnd = [this](const Error& why) { stop({kGoingAway, why.message}); };
  total_.schedule(loop_.now() + limits::kSessionMax, [this] {
    stop({kPolicy, fmt::format("the limit of {} s was reached", limits::kSessionMax.count())});
  });
  touch();
  onSilence();
  if (!session_->program) stop({kGoingAway, "the instance ended"});
  co_await net::both(loop_, net::both(loop_, fromClient(), bothToClient()), awaitEnd());
  exchange_.onDisconnect(nullptr);
  conductor_.closeSession(session_);
}

void ExecBridge::touch() {
  lastData_ = loop_.now();
}

void ExecBridge::onSilence() {
  const Instant due = lastData_ + order_.idle;
  if (loop_.now() < due) return silence_.schedule(due, [this] { onSilence(); });
  stop({kPolicy,
        fmt::format("no data for {} s",
                    std::chrono::duration_cast<std::chrono::seconds>(order_.idle).count())});
}

// The program is killed and its instance let go at once; the rest of this winds up by itself.
void ExecBridge::stop(net::WebSocketClose close) {
  if (close_) return;
  close_ = std::move(close);
  conductor_.closeSession(session_);
  for (auto* watcher : {&in_, &out_, &err_}) {
    if (*watcher) (*watcher)->cancel();
  }
  if (gone_) exchange_.abort();
}

net::Task<void> ExecBridge::fromClient() {
  for (;;) {
    Result<net::WebSocketPiece> piece = co_await socket_.read();
    if (!piece) break;
    if (close_) continue;
    touch();
    if (controls_ == ExecControls::Text && piece->opcode == net::WebSocketOpcode::Text) {
      if (!onControl(*piece)) stop({kUnsupported, "a control message that is none"});
      continue;
    }
    co_await toProgram(piece->bytes);
  }
  stop({kNormal, "the client closed"});
}

// What the program does not want any more is thrown away.
net::Task<void> ExecBridge::toProgram(std::string_view bytes) {
  while (!bytes.empty() && in_ && order_.in) {
    const ssize_t n = ::write(in_->fd(), bytes.data(), bytes.size());
    if (n > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(n));
      session_->bytesIn += Bytes(n);
      continue;
    }
    if (n < 0 && errno == EINTR) continue;
    if (n == 0 || errno != EAGAIN) break;
    Result<void> ready = co_await in_->writable();
    if (!ready) break;
  }
}

bool ExecBridge::onControl(const net::WebSocketPiece& piece) {
  if (control_.size() + piece.bytes.size() > kControlMost) return false;
  control_ += piece.bytes;
  if (!piece.last) return true;
  auto object = parseObject(std::exchange(control_, {}), "control");
  if (!object) return false;
  const auto* columns = object->if_contains("columns");
  const auto* rows = object->if_contains("rows");
  const auto* input = object->if_contains("stdin");
  if (input != nullptr) {
    if (!input->is_string() || input->get_string() != "closed") return false;
    if (!order_.program.terminal) in_.reset();
    return true;
  }
  const auto fits = [](const json::value* size) {
    return size != nullptr && size->is_int64() && size->get_int64() >= 1 &&
           size->get_int64() <= seams::TerminalSize::kMost;
  };
  if (!fits(columns) || !fits(rows)) return false;
  if (order_.program.terminal) {
    session_->program->resize(
        {static_cast<int>(columns->get_int64()), static_cast<int>(rows->get_int64())});
  }
  return true;
}

net::Task<void> ExecBridge::toClient(net::FdWatcher* from, ExecStream stream, bool wanted) {
  if (from == nullptr) co_return;
  std::array<char, kPiece> piece;
  const char front = static_cast<char>(stream);
  for (;;) {
    Result<void> ready = co_await from->readable();
    if (!ready || close_) co_return;
    const ssize_t n = ::read(from->fd(), piece.data(), piece.size());
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (n <= 0) co_return;  // a terminal that nobody has open any more says EIO
    touch();
    if (!wanted) continue;
    session_->bytesOut += Bytes(n);
    const std::string_view bytes(piece.data(), static_cast<std::size_t>(n));
    Result<void> sent = co_await socket_.write(net::WebSocketOpcode::Binary, {&front, 1}, bytes);
    if (!sent) {
      gone_ = true;
      co_return stop({kGoingAway, "the client is gone"});
    }
    touch();
  }
}

net::Task<void> ExecBridge::bothToClient() {
  co_await net::both(loop_, toClient(out_ ? &*out_ : nullptr, ExecStream::Stdout, order_.out),
                     toClient(err_ ? &*err_ : nullptr, ExecStream::Stderr, order_.err));
  outputEnded_.set();
}

net::Task<void> ExecBridge::awaitEnd() {
  if (!close_) {
    Result<int> code = co_await session_->program->ended();
    // Nobody holds its output any more, so that ends as well, however slowly it is taken.
    if (code) (void)co_await outputEnded_.wait();
    if (code) stop({kNormal, fmt::format("exit code {}", *code)});
  }
  stop({kGoingAway, "the instance ended"});
  silence_.cancel();
  total_.cancel();
  if (gone_) co_return;
  linger_.schedule(loop_.now() + kGoodbye, [this] { exchange_.cancelRead(); });
  co_await socket_.close(*close_);
  if (!exchange_.callerGone()) (void)co_await exchange_.finish();
}

}  // namespace okibi::api
