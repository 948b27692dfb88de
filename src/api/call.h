#pragma once
// One API request after its signature was verified, as the routes see it. Inside api only.

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json.hpp>

#include "conductor/accounts.h"
#include "conductor/conductor.h"
#include "conductor/trigger_address.h"
#include "net/exchange.h"

namespace okibi::api {

struct Call {
  conductor::Conductor& conductor;
  conductor::Accounts& accounts;
  std::string account;
  std::string role;  // for which the caller acts; empty: the account itself
  std::string requestId;
  std::string method;
  std::string target;             // path as sent, for messages
  std::vector<std::string> path;  // decoded, without version: {"functions", "f", "triggers"}
  std::map<std::string, std::string> query;
  std::string body;
  const conductor::TriggerAddresses& addresses;

  const std::string* parameter(const std::string& name) const {
    const auto found = query.find(name);
    return found == query.end() || found->second.empty() ? nullptr : &found->second;
  }
  const std::string& region() const { return conductor.settings().region; }
  FunctionRef function() const { return {account, path[1]}; }
};

struct Answer {
  int status = 200;
  std::string body;  // JSON; empty with 204
};
inline Answer ok(std::string body) {
  return {200, std::move(body)};
}
inline Answer noContent() {
  return {204, {}};
}

// PathNotSupported, in Function Compute's words.
std::unexpected<Error> notSupported(const Call& call);
// The query's qualifier, else LATEST. VersionNotFound, AliasNotFound.
Result<std::string> qualifierOf(const Call& call);
// Whether the query says true; false when it says nothing.
Result<bool> flagOf(const Call& call, const char* key);
// The query's `limit`, in 1–most.
Result<std::size_t> limitOf(const Call& call, std::size_t fallback, std::size_t most,
                            const char* key = "limit");

// "a=1&b=2", decoded; Invalid for a broken escape.
Result<std::map<std::string, std::string>> readQuery(std::string_view query);
// The same, in order, with what is repeated.
using QueryPairs = std::vector<std::pair<std::string, std::string>>;
Result<QueryPairs> readQueryPairs(std::string_view query);
Result<std::vector<std::string>> readPath(std::string_view path);

// {key: [...], "nextToken": …}: one page of `items`, which are named and in order of listing, as
// the query's prefix, nextToken and limit (1–100) ask. `more`: members beside the list.
using NamedItems = std::vector<std::pair<std::string, std::function<boost::json::object()>>>;
Result<Answer> answerPage(const Call& call, std::string_view key, const NamedItems& items,
                          boost::json::object more = {});

// The resources. Each REQUIRES a path that begins as named.
Result<Answer> serveFunctions(const Call& call);         // functions[/{fn}[/code]]
Result<Answer> serveTriggers(const Call& call);          // functions/{fn}/triggers[/{trigger}]
Result<Answer> serveVersions(const Call& call);          // functions/{fn}/versions[/{id}]
Result<Answer> serveAliases(const Call& call);           // functions/{fn}/aliases[/{alias}]
Result<Answer> serveInvocationSwitch(const Call& call);  // functions/{fn}/invoke/{enable,disable}
Result<Answer> serveProvisionConfig(const Call& call);   // functions/{fn}/provision-config
Result<Answer> serveScalingConfig(const Call& call);     // functions/{fn}/scaling-config
Result<Answer> serveConcurrency(const Call& call);       // functions/{fn}/concurrency
Result<Answer> serveAsyncConfig(const Call& call);       // functions/{fn}/async-invoke-config
Result<Answer> listProvisionConfigs(const Call& call);
Result<Answer> listScalingConfigs(const Call& call);
Result<Answer> listConcurrencyConfigs(const Call& call);
Result<Answer> listAsyncConfigs(const Call& call);
Result<Answer> serveTags(const Call& call);                  // tags-v2
Result<Answer> serveDomains(const Call& call);               // custom-domains[/{domain}]
Result<Answer> serveFunctionConfigs(const Call& call);       // functions/{fn}/{anything else}
Result<Answer> serveAccountConfigs(const Call& call);        // everything outside functions
net::Task<Result<Answer>> serveInstances(const Call& call);  // functions/{fn}/instances
net::Task<Result<Answer>> serveOkibi(const Call& call);      // /okibi/v1 less changes of images
// okibi/v1/accounts[/{account}/keys[/{key}]]
Result<Answer> serveAccounts(const Call& call);
net::Task<Result<Answer>> serveHistory(const Call& call);  // okibi/v1/functions/{fn}/history
Result<Answer> serveQuotas(const Call& call);  // /okibi/v1/quotas[/requests[/{id}/{verdict}]]
Result<Answer> serveRoles(const Call& call);   // /okibi/v1/roles[/{role}]
Result<Answer> listImages(const Call& call);
net::Task<Result<Answer>> removeImage(const Call& call);
// Streams; answers by itself.
net::Task<Result<void>> pullImage(const Call& call, net::Exchange& exchange);
// functions/{fn}/instances/{id}/exec: a WebSocket; errors come before its upgrade.
net::Task<Result<void>> serveExec(const Call& call, net::Exchange& exchange,
                                  ledger::Moment received);

}  // namespace okibi::api
