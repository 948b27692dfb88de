// /okibi/v1/accounts: accounts and their access keys. An account manages its own keys; the
// administrator makes accounts and manages everybody's. A secret is shown once, when it is made.

#include <fmt/format.h>

#include "api/call.h"
#include "api/json_reader.h"
#include "auth/access_key.h"
#include "base/encoding.h"
#include "conductor/clock.h"

namespace okibi::api {
namespace {

constexpr std::size_t kAccountIdBytes = 8;

bool isAdministrator(const Call& call) {
  return call.account == call.accounts.administrator();
}

json::object accountJson(const Call& call, const seams::Account& account) {
  return {{"accountId", toJsonText(account.id)},
          {"administrator", account.id == call.accounts.administrator()},
          {"createdTime", formatIso8601(account.created)}};
}

json::object keyJson(const seams::StoredAccessKey& key) {
  return {{"accountId", toJsonText(key.account)},
          {"accessKeyId", toJsonText(key.id)},
          {"createdTime", formatIso8601(key.created)}};
}

// With the secret: the only answer that has it.
Result<json::object> makeKey(const Call& call, const std::string& account) {
  const auth::AccessKey made = auth::makeAccessKey(account, auth::systemRandom());
  const seams::StoredAccessKey key{made.account, made.id, made.secret, conductor::wallNow()};
  if (auto added = call.accounts.addKey(key); !added) return fail(added.error());
  json::object out = keyJson(key);
  out["accessKeySecret"] = toJsonText(key.secret);
  return out;
}

// Without a name it gets one of sixteen digits, as Function Compute's accounts have.
std::string newAccountId() {
  std::string id = auth::randomHex(kAccountIdBytes, auth::systemRandom());
  for (char& c : id) {
    if (c >= 'a') c = static_cast<char>('0' + (c - 'a'));
  }
  return id;
}

Result<Answer> createAccount(const Call& call) {
  if (!isAdministrator(call)) {
    return fail(ErrorKind::Denied, "only the administrator's account may make accounts",
                "AccessDenied");
  }
  auto body = parseObject(call.body.empty() ? "{}" : call.body, "body");
  if (!body) return fail(body.error());
  Complaints complaints;
  const Reader in(*body, complaints);
  const auto wanted = in.text("accountId");
  if (auto verdict = complaints.verdict(); !verdict) return fail(verdict.error());
  const seams::Account account{wanted ? *wanted : newAccountId(), conductor::wallNow()};
  if (auto added = call.accounts.add(account.id, account.created); !added) {
    return fail(added.error());
  }
  auto key = makeKey(call, account.id);
  if (!key) return fail(key.error());
  json::object out = accountJson(call, account);
  out["accessKey"] = std::move(*key);
  return ok(json::serialize(out));
}

Result<Answer> listAccounts(const Call& call) {
  json::array out;
  for (const seams::Account& account : call.accounts.all()) {
    if (isAdministrator(call) || account.id == call.account) {
      out.push_back(accountJson(call, account));
    }
  }
  return ok(json::serialize(json::object{{"accounts", std::move(out)}}));
}

Result<Answer> listKeys(const Call& call, const std::string& account) {
  json::array out;
  for (const seams::StoredAccessKey& key : call.accounts.keysOf(account)) {
    out.push_back(keyJson(key));
  }
  return ok(json::serialize(json::object{{"accessKeys", std::move(out)}}));
}

}  // namespace

Result<Answer> serveAccounts(const Call& call) {
  if (call.path.size() == 1) {
    if (call.method == "GET") return listAccounts(call);
    if (call.method == "POST") return createAccount(call);
    return notSupported(call);
  }
  const std::string& account = call.path[1];
  // A stranger learns nothing of who else there is.
  if (account != call.account && !(isAdministrator(call) && call.accounts.exists(account))) {
    return fail(ErrorKind::NotFound, fmt::format("account '{}' does not exist", account),
                "AccountNotFound");
  }
  if (call.path.size() < 3 || call.path[2] != "keys") return notSupported(call);
  if (call.path.size() == 3 && call.method == "GET") return listKeys(call, account);
  if (call.path.size() == 3 && call.method == "POST") {
    auto key = makeKey(call, account);
    if (!key) return fail(key.error());
    return ok(json::serialize(*key));
  }
  if (call.path.size() == 4 && call.method == "DELETE") {
    if (auto removed = call.accounts.removeKey(account, call.path[3]); !removed) {
      return fail(removed.error());
    }
    return noContent();
  }
  return notSupported(call);
}

}  // namespace okibi::api
