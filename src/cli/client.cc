#include "cli/client.h"

#include <optional>

#include <fmt/format.h>

#include "auth/digest.h"
#include "auth/signer.h"
#include "base/encoding.h"
#include "cli/dial.h"
#include "cli/files.h"
#include "cli/wall_clock.h"
#include "net/http_client.h"
#include "net/tls.h"

namespace okibi::cli {

namespace {

constexpr Bytes kHeadLimit = Bytes::kib(64);
constexpr Bytes kAnswerLimit = Bytes::mib(64);
constexpr Bytes kAuthoritiesLimit = Bytes::mib(4);
constexpr Duration kConnectTime = 10s;

Failure unreachable(const std::string& endpoint, const Error& error) {
  return {.exit = Exit::Unreachable,
          .code = "Unreachable",
          .message = fmt::format("{}: {}", endpoint, error.message),
          .requestId = {},
          .remedy = "is `okibi serve` running? --endpoint or OKIBI_ENDPOINT says where"};
}

// Of a server that is there, but cannot be talked to in secret.
Failure untrusted(const std::string& endpoint, const Error& error) {
  Failure failure = unreachable(endpoint, error);
  failure.code = "Untrusted";
  failure.remedy =
      "--ca FILE, OKIBI_CA or `ca = FILE` in the credentials names the certificate (PEM) of the "
      "authority that signed the server's, where this system does not know it; the endpoint must "
      "be a name the certificate is for";
  return failure;
}

net::RequestHead headFor(const ApiRequest& request, const Credentials& credentials) {
  auth::RequestHead signedPart{.method = request.method,
                               .path = request.path,
                               .query = queryText(request.query),
                               .headers = {{"host", endpointOf(credentials.endpoint).authority}}};
  if (!request.body.empty()) signedPart.headers.emplace_back("content-type", request.contentType);
  net::RequestHead head;
  head.method = request.method;
  head.target = signedPart.path + (signedPart.query.empty() ? "" : "?" + signedPart.query);
  for (const auto& [name, value] : signedPart.headers) head.headers.add(name, value);
  for (const auto& [name, value] : request.headers) head.headers.add(name, value);
  head.headers.add("accept", "application/json");
  head.headers.add("user-agent", "okibi");
  if (credentials.accessKeyId.empty()) return head;
  auth::AccessKey key{.id = credentials.accessKeyId, .secret = credentials.secret, .account = {}};
  for (const auto& [name, value] :
       auth::signApi(signedPart, request.action, auth::sha256Hex(request.body), key, wallNow(),
                     auth::randomHex(32, auth::systemRandom()), credentials.token)) {
    head.headers.add(name, value);
  }
  return head;
}

void copyHead(const net::ResponseHead& head, ApiAnswer& answer) {
  answer.status = head.status;
  for (auto [name, value] : head.headers) answer.headers.emplace_back(toLower(name), value);
}

// A request without a key is refused with a status of its own (Function Compute: signatures).
bool isDenied(int status, std::string_view code) {
  return status == 401 || status == 403 || code == "MissingRequiredHeader";
}

std::string remedyFor(int status, std::string_view code) {
  if (code.starts_with("InvalidSecurityToken")) {
    return "OKIBI_SECURITY_TOKEN belongs with the key it was given with, and both end";
  }
  if (code == "AccessDenied") return "";  // the key is known
  if (isDenied(status, code)) {
    return "set OKIBI_ACCESS_KEY_ID and OKIBI_ACCESS_KEY_SECRET, or run `okibi login`; the daemon "
           "prints its key at its first start";
  }
  if (code == "FunctionNotFound") return "`okibi ls` lists the functions";
  return "";
}

// Cuts what arrives into lines.
class LineSplitter {
 public:
  explicit LineSplitter(const std::function<void(std::string_view)>& onLine) : onLine_(onLine) {}
  void add(std::string_view piece) {
    for (char c : piece) {
      if (c == '\n') {
        finish();
      } else {
        line_.push_back(c);
      }
    }
  }
  void finish() {
    if (!line_.empty()) onLine_(line_);
    line_.clear();
  }

 private:
  const std::function<void(std::string_view)>& onLine_;
  std::string line_;
};

}  // namespace

std::string ApiAnswer::header(std::string_view lowerName) const {
  for (const auto& [name, value] : headers) {
    if (name == lowerName) return value;
  }
  return "";
}

ApiRequest jsonRequest(std::string method, std::string path, std::string action, const Json& body) {
  ApiRequest request;
  request.method = std::move(method);
  request.path = std::move(path);
  request.action = std::move(action);
  request.body = boost::json::serialize(body);
  request.contentType = "application/json; charset=utf-8";
  return request;
}

std::string queryText(const Query& query) {
  std::string out;
  for (const auto& [name, value] : query) {
    if (value.empty() && name != "command") continue;
    out += (out.empty() ? "" : "&") + name + "=" + percentEncode(value);
  }
  return out;
}

Failure answerFailure(const ApiAnswer& answer) {
  Failure failure;
  failure.requestId = answer.header("x-fc-request-id");
  boost::system::error_code error;
  Json body = boost::json::parse(answer.body, error);
  if (!error && body.is_object()) {
    failure.code = text(body, "Code");
    failure.message = text(body, "Message");
    if (failure.requestId.empty()) failure.requestId = text(body, "RequestId");
  }
  if (failure.code.empty()) failure.code = fmt::format("HTTP {}", answer.status);
  if (failure.message.empty()) failure.message = answer.body.substr(0, 500);
  if (failure.message.empty()) failure.message = "the daemon gave no reason";
  failure.exit = isDenied(answer.status, failure.code) ? Exit::Denied : Exit::Failed;
  failure.remedy = remedyFor(answer.status, failure.code);
  return failure;
}

struct Client::Impl {
  net::Loop loop{1};
  std::unique_ptr<net::TlsConnector> connector;  // null until https is spoken

  // Runs `task` to its end.
  template <typename T>
  T await(net::Task<T> task) {
    std::optional<T> result;
    auto whole = [](net::Loop& l, net::Task<T> t, std::optional<T>& out) -> net::Task<void> {
      out.emplace(co_await std::move(t));
      l.stop();
    };
    loop.spawn(whole(loop, std::move(task), result));
    loop.run();
    return std::move(*result);
  }

  net::Task<Outcome<net::Socket>> connect(const Credentials& c) {
    const Endpoint endpoint = endpointOf(c.endpoint);
    auto addresses = resolve(endpoint.authority);
    if (!addresses) co_return std::unexpected(unreachable(c.endpoint, addresses.error()));
    Result<net::Socket> socket = co_await dial(loop, std::move(*addresses), kConnectTime);
    if (!socket) co_return std::unexpected(unreachable(c.endpoint, socket.error()));
    if (endpoint.scheme == Endpoint::Scheme::Http) co_return std::move(*socket);
    Outcome<void> secured = co_await secure(*socket, endpoint.host, c);
    if (!secured) co_return std::unexpected(std::move(secured.error()));
    co_return std::move(*socket);
  }

  net::Task<Outcome<void>> secure(net::Socket& socket, const std::string& host,
                                  const Credentials& c) {
    if (!connector) {
      auto made = connectorFor(c.authorities);
      if (!made) co_return std::unexpected(std::move(made.error()));
      connector = std::move(*made);
    }
    Result<void> done =
        co_await socket.secure(connector->session(socket.fd(), host), loop.now() + kConnectTime);
    if (!done) co_return std::unexpected(untrusted(c.endpoint, done.error()));
    co_return Outcome<void>();
  }

  static Outcome<std::unique_ptr<net::TlsConnector>> connectorFor(const std::string& file) {
    std::string authorities;
    if (!file.empty()) {
      Result<std::string> text = readFile(file, kAuthoritiesLimit);
      if (!text) return std::unexpected(localFailure(withContext(text.error(), "--ca")));
      authorities = std::move(*text);
    }
    auto made = net::TlsConnector::make(authorities);
    if (!made) {
      return std::unexpected(
          usageFailure(fmt::format("--ca: {} holds no certificate in PEM", file)));
    }
    return std::move(*made);
  }

  net::Task<Outcome<ApiAnswer>> exchange(const ApiRequest& request, const Credentials& c) {
    Outcome<net::Socket> socket = co_await connect(c);
    if (!socket) co_return std::unexpected(socket.error());
    net::HttpConnection connection(loop, std::move(*socket), kHeadLimit);
    net::SpooledBody body(request.body);
    Result<net::WholeAnswer> whole = co_await net::call(
        loop, connection, headFor(request, c), body, kAnswerLimit, loop.now() + request.patience);
    if (!whole) co_return std::unexpected(unreachable(c.endpoint, whole.error()));
    ApiAnswer answer;
    copyHead(whole->head, answer);
    Result<std::string> bytes = whole->body.text();
    if (!bytes) co_return std::unexpected(localFailure(bytes.error()));
    answer.body = std::move(*bytes);
    co_return answer;
  }

  net::Task<Outcome<void>> stream(const ApiRequest& request, const Credentials& c,
                                  const std::function<void(std::string_view)>& onLine) {
    Outcome<net::Socket> socket = co_await connect(c);
    if (!socket) co_return std::unexpected(socket.error());
    net::HttpConnection connection(loop, std::move(*socket), kHeadLimit);
    net::RequestHead head = headFor(request, c);
    head.contentLength = request.body.size();
    Result<void> sent = co_await connection.send(head, request.body);
    if (!sent) co_return std::unexpected(unreachable(c.endpoint, sent.error()));
    Result<net::ResponseHead> answerHead = co_await connection.readHead();
    if (!answerHead) co_return std::unexpected(unreachable(c.endpoint, answerHead.error()));
    ApiAnswer answer;
    copyHead(*answerHead, answer);
    LineSplitter splitter(onLine);
    while (true) {
      Result<std::string_view> piece = co_await connection.readBody();
      if (!piece) co_return std::unexpected(unreachable(c.endpoint, piece.error()));
      if (piece->empty()) break;
      if (answer.status < 400) {
        splitter.add(*piece);
      } else if (answer.body.size() < 64 * 1024) {
        answer.body += *piece;
      }
    }
    splitter.finish();
    if (answer.status >= 400) co_return std::unexpected(answerFailure(answer));
    co_return Outcome<void>();
  }

  net::Task<Outcome<void>> webSocket(const ApiRequest& request, const Credentials& c,
                                     std::string_view protocol, const Talk& talk) {
    Outcome<net::Socket> socket = co_await connect(c);
    if (!socket) co_return std::unexpected(socket.error());
    net::HttpConnection connection(loop, std::move(*socket), kHeadLimit);
    net::RequestHead head = headFor(request, c);
    const std::string key = net::askForWebSocket(head, protocol);
    Result<void> sent = co_await connection.send(head);
    if (!sent) co_return std::unexpected(unreachable(c.endpoint, sent.error()));
    Result<net::ResponseHead> answerHead = co_await connection.readHead();
    if (!answerHead) co_return std::unexpected(unreachable(c.endpoint, answerHead.error()));
    if (answerHead->status != 101)
      co_return std::unexpected(co_await refusal(connection, *answerHead));
    Result<void> agreed = net::checkWebSocketAnswer(*answerHead, key);
    if (!agreed) co_return std::unexpected(unreachable(c.endpoint, agreed.error()));
    auto tunnel = net::tunnelOf(connection);
    net::WebSocket ws(loop, *tunnel, net::WebSocketRole::Client);
    co_await talk(loop, ws);
    co_return Outcome<void>();
  }

  static net::Task<Failure> refusal(net::HttpConnection& connection,
                                    const net::ResponseHead& head) {
    ApiAnswer answer;
    copyHead(head, answer);
    while (answer.body.size() < 64 * 1024) {
      Result<std::string_view> piece = co_await connection.readBody();
      if (!piece || piece->empty()) break;
      answer.body += *piece;
    }
    co_return answerFailure(answer);
  }
};

Outcome<void> Client::webSocket(const ApiRequest& request, std::string_view protocol,
                                const Talk& talk) {
  return impl_->await(impl_->webSocket(request, credentials_, protocol, talk));
}

Client::Client(Credentials credentials)
    : credentials_(std::move(credentials)), impl_(std::make_unique<Impl>()) {}
Client::~Client() = default;

Outcome<ApiAnswer> Client::exchange(const ApiRequest& request) {
  return impl_->await(impl_->exchange(request, credentials_));
}

Outcome<Json> Client::json(const ApiRequest& request) {
  Outcome<ApiAnswer> answer = exchange(request);
  if (!answer) return std::unexpected(answer.error());
  if (answer->status >= 300) return std::unexpected(answerFailure(*answer));
  if (answer->body.empty()) return Json();
  boost::system::error_code error;
  Json value = boost::json::parse(answer->body, error);
  if (error) {
    return std::unexpected(Failure{.exit = Exit::Failed,
                                   .code = "BadAnswer",
                                   .message = "the daemon's answer is not JSON",
                                   .requestId = answer->header("x-fc-request-id"),
                                   .remedy = "is " + endpoint() + " an Okibi daemon?"});
  }
  return value;
}

Outcome<Json> Client::get(std::string path, std::string action, Query query) {
  ApiRequest request;
  request.path = std::move(path);
  request.action = std::move(action);
  request.query = std::move(query);
  return json(request);
}

Outcome<void> Client::lines(const ApiRequest& request,
                            const std::function<void(std::string_view)>& onLine) {
  return impl_->await(impl_->stream(request, credentials_, onLine));
}

}  // namespace okibi::cli
