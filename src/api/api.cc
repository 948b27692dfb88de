#include "api/api.h"

#include <fmt/format.h>

#include "api/call.h"
#include "api/exec_order.h"
#include "api/operations.h"
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
    if (!call.path.empty() && call.path[0] == "roles") co_return serveRoles(call);
    if (!call.path.empty() && call.path[0] == "functions") co_return co_await serveHistory(call);
    co_return co_await serveOkibi(call);
  }
  if (call.path.empty() || call.path[0] != "functions") co_return serveAccountConfigs(call);
  if (call.path.size() <= 2) co_return serveFunctions(call);
  if (call.path[2] == "triggers") co_return serveTriggers(call);
  if (call.path[2] == "instances") co_return co_await serveInstances(call);
  co_return serveFunctionConfigs(call);
}

// What the request is, by its path and not by what it says of itself, must be among what the role
// allows.
Result<void> mayCall(const conductor::Catalog& catalog, const auth::Caller& caller,
                     std::string_view method, const std::vector<std::string>& path, bool ours) {
  if (caller.role.empty()) return {};
  if (ours) {
    return fail(ErrorKind::Denied,
                fmt::format("role '{}': {} is not for temporary credentials", caller.role, kOkibi),
                "AccessDenied");
  }
  const std::string_view action = actionOf(method, path);
  if (action.empty()) {
    return fail(ErrorKind::Denied,
                fmt::format("role '{}': no operation that it could allow is here", caller.role),
                "AccessDenied");
  }
  const bool named = path.size() > 1 && path[0] == "functions";
  return conductor::mayAct(catalog.resources(), caller.account, caller.role, action,
                           named ? path[1] : "");
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

// The tool that execs signs as older SDKs do (Function Compute: instance exec); ours as for
// everything else.
Result<auth::Caller> Api::authenticateExec(const net::RequestHead& head) const {
  if (options_.auth == ApiOptions::Auth::None) return authenticate(head);
  const auth::RequestHead signedPart = auth::signedPart(head);
  if (auth::Verifier::isLegacy(signedPart)) {
    return verifier_.verifyLegacy(signedPart, conductor::wallNow());
  }
  auto caller = verifier_.verifyApi(signedPart, conductor::wallNow());
  if (!caller) return caller;
  auto genuine = auth::Verifier::checkBody(*caller, auth::sha256Hex(""));
  if (!genuine) return fail(std::move(genuine.error()));
  return caller;
}

bool Api::isExec(const net::RequestHead& head) {
  if (!head.path().starts_with(kFunctionCompute)) return false;
  const auto path = readPath(head.path().substr(kFunctionCompute.size()));
  return path && api::isExec(head, *path);
}

net::Task<Result<void>> Api::exec(net::Exchange& exchange, const std::string& requestId) {
  const ledger::Moment received = conductor::momentNow(conductor_.loop());
  const net::RequestHead& head = exchange.request();
  auto caller = authenticateExec(head);
  if (!caller) co_return fail(std::move(caller.error()));
  auto path = readPath(head.path().substr(kFunctionCompute.size()));
  if (!path) co_return fail(std::move(path.error()));
  auto may = mayCall(conductor_.catalog(), *caller, head.method, *path, false);
  if (!may) co_return may;
  const Call call{conductor_, accounts_,   caller->account,          caller->role,
                  requestId,  head.method, std::string(head.path()), std::move(*path),
                  {},         {},          options_.addresses};
  co_return co_await serveExec(call, exchange, received);
}

net::Task<Result<void>> Api::handle(net::Exchange& exchange, const std::string& requestId) {
  const net::RequestHead& head = exchange.request();
  auto caller = authenticate(head);
  if (!caller) co_return fail(caller.error());
  const bool ours = head.path().starts_with(kOkibi);
  auto path = readPath(head.path().substr((ours ? kOkibi : kFunctionCompute).size()));
  if (!path) co_return fail(path.error());
  auto may = mayCall(conductor_.catalog(), *caller, head.method, *path, ours);
  if (!may) co_return may;
  auto body =
      co_await net::readBody(exchange, limits::kApiBody, conductor_.settings().spoolDirectory);
  if (!body) co_return fail(body.error());
  auto text = body->text();
  if (!text) co_return fail(text.error());
  if (options_.auth == ApiOptions::Auth::Signature) {
    auto genuine = auth::Verifier::checkBody(*caller, auth::sha256Hex(*text));
    if (!genuine) co_return genuine;
  }
  auto query = readQuery(head.query());
  if (!query) co_return fail(query.error());
  const Call call{conductor_,        accounts_,        caller->account,          caller->role,
                  requestId,         head.method,      std::string(head.path()), std::move(*path),
                  std::move(*query), std::move(*text), options_.addresses};
  if (ours && call.method == "POST" && call.path == std::vector<std::string>{"images"}) {
    co_return co_await pullImage(call, exchange);
  }
  auto answer = co_await route(call, ours);
  if (!answer) co_return fail(answer.error());
  // What is answered survives loss of power.
  if (call.method != "GET") {
    co_await disk_.reached();
  }
  co_return co_await net::answer(exchange, headFor(answer->status, requestId), answer->body);
}

net::Task<void> Api::serve(net::Exchange& exchange, const std::string& requestId) {
  const bool isProgram = isExec(exchange.request());
  auto task = isProgram ? exec(exchange, requestId) : handle(exchange, requestId);
  auto done = co_await std::move(task);
  if (done) co_return;
  // Something was sent: the caller must not take it for a whole answer.
  if (exchange.responded()) co_return exchange.abort();
  const Error& error = done.error();
  // The tool's client reads the names of version 2.0 (Function Compute: API).
  const std::string body = isProgram ? errorBodyOf2(requestId, error) : errorBody(requestId, error);
  (void)co_await net::answer(exchange, headFor(httpStatus(error), requestId), body);
}

}  // namespace okibi::api
