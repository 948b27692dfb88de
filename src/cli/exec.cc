// okibi exec: a program run inside a live instance, with this terminal or these streams.

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/encoding.h"
#include "cli/commands.h"
#include "cli/terminal.h"
#include "net/both.h"
#include "net/websocket.h"

namespace okibi::cli {
namespace {

constexpr std::size_t kPiece = 16 * 1024;
constexpr int kStderr = 2;  // first byte of a frame; anything else of one byte's kind is 1
constexpr int kNormal = 1000;
constexpr std::string_view kExitCode = "exit code ";
constexpr int kMostInstances = 1000;  // a page of ListInstances

// A piece of standard input; empty: its end. On a worker: it may block, until `stop` is readable.
std::optional<std::string> readInput(int stop) {
  std::array<pollfd, 2> waits{{{STDIN_FILENO, POLLIN, 0}, {stop, POLLIN, 0}}};
  while (::poll(waits.data(), waits.size(), -1) < 0 && errno == EINTR) {
  }
  if (waits[1].revents != 0) return std::nullopt;
  std::string piece(kPiece, '\0');
  const ssize_t n = ::read(STDIN_FILENO, piece.data(), piece.size());
  piece.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  return piece;
}

void writeAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

// The client's end of a session.
class Conversation {
 public:
  Conversation(net::Loop& loop, net::WebSocket& socket, const ExecOptions& options)
      : loop_(loop), socket_(socket), options_(options), stop_(::eventfd(0, EFD_CLOEXEC)) {
    if (options_.terminal) shape_.emplace(loop_, watchTerminalShape());
  }

  net::Task<void> run() {
    std::optional<RawTerminal> raw;
    if (options_.terminal && options_.input) raw.emplace();
    co_await net::both(loop_, net::both(loop_, sendInput(), sendShape()), receive());
  }

 private:
  net::Task<void> sendInput() {
    while (options_.input) {
      auto piece = co_await loop_.offload([stop = stop_.get()] { return readInput(stop); });
      if (!piece) co_return;
      if (piece->empty()) break;
      Result<void> sent = co_await socket_.write(net::WebSocketOpcode::Binary, *piece);
      if (!sent) co_return;
    }
    (void)co_await socket_.write(net::WebSocketOpcode::Text, R"({"stdin":"closed"})");
  }

  net::Task<void> sendShape() {
    while (shape_) {
      Result<void> changed = co_await shape_->readable();
      if (!changed) co_return;
      std::array<char, 64> said;
      [[maybe_unused]] const ssize_t n = ::read(shape_->fd(), said.data(), said.size());
      const TerminalShape shape = terminalShape();
      const std::string message =
          fmt::format(R"({{"columns":{},"rows":{}}})", shape.columns, shape.rows);
      (void)co_await socket_.write(net::WebSocketOpcode::Text, message);
    }
  }

  net::Task<void> receive() {
    bool begins = true;
    int stream = 0;
    for (;;) {
      Result<net::WebSocketPiece> piece = co_await socket_.read();
      if (!piece) break;
      std::string_view bytes = piece->bytes;
      if (begins && !bytes.empty()) {
        stream = bytes.front();
        bytes.remove_prefix(1);
      }
      begins = piece->last;
      writeAll(stream == kStderr ? STDERR_FILENO : STDOUT_FILENO, bytes);
    }
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t n = ::write(stop_.get(), &one, sizeof one);
    if (shape_) shape_->cancel();
  }

  net::Loop& loop_;
  net::WebSocket& socket_;
  const ExecOptions& options_;
  net::UniqueFd stop_;  // readable: no more input is wanted
  std::optional<net::FdWatcher> shape_;
};

// What the server said at the end.
Outcome<int> endOf(const std::optional<net::WebSocketClose>& close) {
  Failure failure{.exit = Exit::Failed,
                  .code = "SessionEnded",
                  .message = "the connection to the daemon broke off",
                  .requestId = {},
                  .remedy = {}};
  if (!close) return std::unexpected(failure);
  std::string_view reason = close->reason;
  if (close->code == kNormal && reason.starts_with(kExitCode)) {
    reason.remove_prefix(kExitCode.size());
    int code = 0;
    const auto read = std::from_chars(reason.data(), reason.data() + reason.size(), code);
    if (read.ec == std::errc()) return code;
  }
  if (!close->reason.empty()) failure.message = close->reason;
  return std::unexpected(failure);
}

// Credentials that may run programs need not be allowed to list instances.
Failure pickingFailed(Failure failure) {
  if (failure.exit == Exit::Denied) {
    failure.remedy = "--instance ID needs no leave to list instances (ListInstances)";
  }
  return failure;
}

// The newest that serves; an unhealthy one, too: that is when people want to look. Asked of
// Function Compute's own list, which temporary credentials may be allowed to read.
Outcome<std::string> pickInstance(Context& context, const std::string& name) {
  Outcome<Json> answer = context.client.get(
      functionPath(name) + "/instances", "ListInstances",
      {{"instanceStatus", R"(["Running"])"}, {"limit", std::to_string(kMostInstances)}});
  if (!answer) return std::unexpected(pickingFailed(std::move(answer.error())));
  const boost::json::array instances = items(*answer, "instances");
  const Json* newest = nullptr;
  for (const Json& instance : instances) {
    if (newest == nullptr || number(instance, "createdTimeMs") > number(*newest, "createdTimeMs")) {
      newest = &instance;
    }
  }
  if (newest == nullptr) {
    return std::unexpected(
        Failure{.exit = Exit::Failed,
                .code = "InstanceNotFound",
                .message = "function '" + name + "' sleeps: no instance of it is ready",
                .requestId = {},
                .remedy = "`okibi invoke " + name + "` wakes it; `okibi ps` shows its instances"});
  }
  const std::string picked = text(*newest, "instanceId");
  if (instances.size() > 1) {
    note(fmt::format("okibi: in {}, the newest of {}; --instance picks another", picked,
                     instances.size()));
  }
  return picked;
}

ApiRequest requestFor(const ExecOptions& options, const std::string& instance) {
  ApiRequest request;
  request.path = functionPath(options.name) + "/instances/" + percentEncode(instance) + "/exec";
  request.action = "InstanceExec";
  for (const std::string& word : options.command) request.query.emplace_back("command", word);
  request.query.emplace_back("stdin", options.input ? "true" : "false");
  request.query.emplace_back("stdout", "true");
  request.query.emplace_back("stderr", "true");
  request.query.emplace_back("tty", options.terminal ? "true" : "false");
  if (!options.terminal) return request;
  const TerminalShape shape = terminalShape();
  request.query.emplace_back("columns", std::to_string(shape.columns));
  request.query.emplace_back("rows", std::to_string(shape.rows));
  return request;
}

}  // namespace

Outcome<void> execute(Context& context, const ExecOptions& options) {
  if (options.terminal && options.input && !inputIsTerminal()) {
    return std::unexpected(usageFailure("-t: standard input is not a terminal"));
  }
  std::string instance = options.instance;
  if (instance.empty()) {
    Outcome<std::string> picked = pickInstance(context, options.name);
    if (!picked) return std::unexpected(picked.error());
    instance = std::move(*picked);
  }
  std::optional<net::WebSocketClose> close;
  auto talk = [&](net::Loop& loop, net::WebSocket& socket) -> net::Task<void> {
    Conversation conversation(loop, socket, options);
    co_await conversation.run();
    close = socket.peerClose();
  };
  Outcome<void> talked =
      context.client.webSocket(requestFor(options, instance), "okibi.exec.v1", talk);
  if (!talked) return talked;
  Outcome<int> code = endOf(close);
  if (!code) return std::unexpected(code.error());
  context.exitCode = *code;
  return {};
}

}  // namespace okibi::cli
