// Accounts and access keys.

#include <fmt/format.h>

#include "base/encoding.h"
#include "cli/commands.h"
#include "cli/credentials.h"
#include "cli/table.h"

namespace okibi::cli {

namespace {

std::string accountsPath() {
  return std::string(kOwnApi) + "/accounts";
}

std::string keysPath(const std::string& account) {
  return accountsPath() + "/" + percentEncode(account) + "/keys";
}

// The one named, or the caller's own.
Outcome<std::string> accountOf(Client& client, const std::string& named) {
  if (!named.empty()) return named;
  Outcome<Json> info = client.get(std::string(kOwnApi) + "/info", "GetOkibiInfo");
  if (!info) return std::unexpected(info.error());
  return text(*info, "accountId");
}

Outcome<Json> makeKey(Client& client, const std::string& account) {
  ApiRequest request;
  request.method = "POST";
  request.path = keysPath(account);
  request.action = "CreateOkibiAccessKey";
  return client.json(request);
}

constexpr const char* kRemoveKey = "DeleteOkibiAccessKey";

std::string keyPath(const std::string& account, const std::string& id) {
  return keysPath(account) + "/" + percentEncode(id);
}

void printKey(const Json& key) {
  printLine(fmt::format(
      "Access key, shown this once:\n  Account ID:        {}\n  Access key ID:     {}\n"
      "  Access key secret: {}",
      printable(text(key, "accountId")), text(key, "accessKeyId"), text(key, "accessKeySecret")));
}

}  // namespace

Outcome<void> listAccounts(Context& context) {
  Outcome<Json> answer = context.client.get(accountsPath(), "ListOkibiAccounts");
  if (!answer) return std::unexpected(answer.error());
  if (context.asJson()) {
    printJson(*answer);
    return {};
  }
  Table table({left("ACCOUNT"), left("CREATED"), left("ROLE")});
  for (const Json& account : items(*answer, "accounts")) {
    table.add({text(account, "accountId"), text(account, "createdTime"),
               member(account, "administrator") == Json(true) ? "administrator" : "-"});
  }
  print(table.text());
  return {};
}

Outcome<void> createAccount(Context& context, const std::string& account) {
  JsonObject body;
  if (!account.empty()) body["accountId"] = account;
  Outcome<Json> made =
      context.client.json(jsonRequest("POST", accountsPath(), "CreateOkibiAccount", body));
  if (!made) return std::unexpected(made.error());
  if (context.asJson()) {
    printJson(*made);
  } else {
    printKey(member(*made, "accessKey"));
  }
  return {};
}

Outcome<void> listKeys(Context& context, const KeyOptions& options) {
  Outcome<std::string> account = accountOf(context.client, options.account);
  if (!account) return std::unexpected(account.error());
  Outcome<Json> answer = context.client.get(keysPath(*account), "ListOkibiAccessKeys");
  if (!answer) return std::unexpected(answer.error());
  if (context.asJson()) {
    printJson(*answer);
    return {};
  }
  Table table({left("ACCESS KEY ID"), left("ACCOUNT"), left("CREATED")});
  for (const Json& key : items(*answer, "accessKeys")) {
    table.add({text(key, "accessKeyId"), text(key, "accountId"), text(key, "createdTime")});
  }
  print(table.text());
  return {};
}

Outcome<void> createKey(Context& context, const KeyOptions& options) {
  Outcome<std::string> account = accountOf(context.client, options.account);
  if (!account) return std::unexpected(account.error());
  Outcome<Json> key = makeKey(context.client, *account);
  if (!key) return std::unexpected(key.error());
  if (context.asJson()) {
    printJson(*key);
  } else {
    printKey(*key);
  }
  return {};
}

Outcome<void> removeKey(Context& context, const KeyOptions& options) {
  Outcome<std::string> account = accountOf(context.client, options.account);
  if (!account) return std::unexpected(account.error());
  return removeNamed(context, keyPath(*account, options.key), kRemoveKey, options.key);
}

Outcome<void> rotateKey(Context& context) {
  if (!environmentCredentials().accessKeyId.empty()) {
    return std::unexpected(usageFailure(
        "the key comes from OKIBI_ACCESS_KEY_ID, which cannot be changed from here: use `okibi key "
        "create`, then `okibi key rm`"));
  }
  Result<Credentials> stored = loadCredentials(credentialsPath());
  if (!stored) return std::unexpected(localFailure(stored.error()));
  if (stored->accessKeyId.empty()) {
    return std::unexpected(usageFailure("no access key is stored: see `okibi login`"));
  }
  Outcome<std::string> account = accountOf(context.client, "");
  if (!account) return std::unexpected(account.error());
  Outcome<Json> made = makeKey(context.client, *account);
  if (!made) return std::unexpected(made.error());
  Credentials next = *stored;
  next.accessKeyId = text(*made, "accessKeyId");
  next.secret = text(*made, "accessKeySecret");
  // The new key is kept before the old one goes: nobody is locked out half way.
  if (auto kept = storeCredentials(credentialsPath(), next); !kept) {
    return std::unexpected(localFailure(kept.error()));
  }
  Credentials now = context.client.credentials();
  now.accessKeyId = next.accessKeyId;
  now.secret = next.secret;
  Client renewed(std::move(now));
  Outcome<void> dropped = removeAt(renewed, keyPath(*account, stored->accessKeyId), kRemoveKey);
  if (!dropped) return dropped;
  if (context.asJson()) {
    printJson(JsonObject{{"accessKeyId", next.accessKeyId}, {"removed", stored->accessKeyId}});
  } else {
    printLine(next.accessKeyId + " replaces " + stored->accessKeyId + " in " + credentialsPath());
  }
  return {};
}

}  // namespace okibi::cli
