#include "api/api.h"

#include <fmt/format.h>

#include "api/call.h"
#include "auth/digest.h"
#include "base/encoding.h"
#include "base/log.h"
#include "conductor/clock.h"
#include "conductor/error_answer.h"
#include "net/loopback_name.h"
#include "net/spool.h"

namespace okibi::api {
namespace {

constexpr std::string_view kFunctionCompute = "/2023-03-30/", kOkibi = "/okibi/v1/";

Result<void> onlyFromThisMachine(const net::RequestHead& head) {
  for (std::string_view name : {"host", "origin"}) {
    const auto value = head.headers.get(name);
    if (value && !net::isLoopbackName(*value)) {
      return fail(
          ErrorKind::Denied,
          fmt::format("{}: '{}' is not a loopback name, and signatures are not checked here", name,
                      *value),
          "AccessDenied");
    }
  }
  return {};
}

net::Task<Result<Answer>> route(const Call& call, bool ours) {
  if (ours) {
    const bool images = call.path.size() == 1 && call.path[0] == "images";
    if (images && call.method == "DELETE") co_return co_await removeImage(call);
    if (!call.path.empty() && call.path[0] == "accounts") co_return serveAccounts(call);
    if (!call.path.empty() && call.path[0] == "quotas") co_return serveQuotas(call);
    co_return co_await serveOkibi(call);
  }
  if (call.path.empty() || call.path[0] != "functions") co_return serveAccountConfigs(call);
  if (call.path.size() <= 2) co_return serveFunctions(call);
  if (call.path[2] == "triggers") co_return serveTriggers(call);
  co_return serveFunctionConfigs(call);
}

net::ResponseHead headFor(int status, const std::string& requestId) {
  net::ResponseHead head;
  head.status = status;
  if (status != 204) head.headers.add("content-type", "application/json");
  head.headers.add("x-fc-request-id", requestId);
  return head;
}

}  // namespace

bool Api::owns(const net::RequestHead& head) {
  const std::string_view path = head.path();
  if (path.starts_with(kOkibi)) return true;
  if (!path.starts_with(kFunctionCompute)) return false;
  const auto parts = split(path.substr(kFunctionCompute.size()), '/');
  return !(head.method == "POST" && parts.size() == 3 && parts[0] == "functions" &&
           parts[2] == "invocations");
}

Result<auth::Caller> Api::authenticate(const net::RequestHead& head) const {
  if (options_.auth == ApiOptions::Auth::Signature) {
    return verifier_.verifyApi(auth::signedPart(head), conductor::wallNow());
  }
  if (auto local = onlyFromThisMachine(head); !local) return fail(local.error());
  return auth::Caller{conductor_.settings().account, "", ""};
}

net::Task<Result<void>> Api::handle(net::Exchange& exchange, const std::string& requestId) {
  const net::RequestHead& head = exchange.request();
  auto caller = authenticate(head);
  if (!caller) co_return fail(caller.error());
  auto body =
      co_await net::readBody(exchange, limits::kApiBody, conductor_.settings().spoolDirectory);
  if (!body) co_return fail(body.error());
  auto text = body->text();
  if (!text) co_return fail(text.error());
  if (options_.auth == ApiOptions::Auth::Signature) {
    auto genuine = auth::Verifier::checkBody(*caller, auth::sha256Hex(*text));
    if (!genuine) co_return genuine;
  }
  const bool ours = head.path().starts_with(kOkibi);
  auto path = readPath(head.path().substr((ours ? kOkibi : kFunctionCompute).size()));
  if (!path) co_return fail(path.error());
  auto query = readQuery(head.query());
  if (!query) co_return fail(query.error());
  const Call call{conductor_,        accounts_,         caller->account,
                  requestId,         head.method,       std::string(head.path()),
                  std::move(*path),  std::move(*query), std::move(*text),
                  options_.addresses};
  if (ours && call.method == "POST" && call.path == std::vector<std::string>{"images"}) {
    co_return co_await pullImage(call, exchange);
  }
  auto answer = co_await route(call, ours);
  if (!answer) co_return fail(answer.error());
  co_return co_await net::answer(exchange, headFor(answer->status, requestId), answer->body);
}

net::Task<void> Api::serve(net::Exchange& exchange, const std::string& requestId) {
  auto done = co_await handle(exchange, requestId);
  if (done) co_return;
  // Something was sent: the caller must not take it for a whole answer.
  if (exchange.responded()) co_return exchange.abort();
  const Error& error = done.error();
  (void)co_await net::answer(exchange, headFor(httpStatus(error), requestId),
                             errorBody(requestId, error));
}

}  // namespace okibi::api
