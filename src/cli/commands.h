#pragma once
// The commands, one function each; the options are what the command line said.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/client.h"
#include "cli/failure.h"
#include "cli/table.h"

namespace okibi::cli {

enum class Format { Table, JsonText };

struct Context {
  Client& client;
  Format format = Format::Table;
  int exitCode = 0;  // of the process, when the command succeeds

  bool asJson() const { return format == Format::JsonText; }
};

inline constexpr std::string_view kApi = "/2023-03-30";
inline constexpr std::string_view kOwnApi = "/okibi/v1";
std::string functionPath(std::string_view name);  // "/2023-03-30/functions/NAME"

// All pages of a list.
Outcome<boost::json::array> collect(Client& client, const std::string& path,
                                    const std::string& action, std::string_view name);

Outcome<void> removeAt(Client& client, const std::string& path, const std::string& action);
// The same of what is called `name`; says that it is removed.
Outcome<void> removeNamed(Context& context, const std::string& path, const std::string& action,
                          const std::string& name);

void print(std::string_view text);      // on standard output
void printLine(std::string_view text);  // with a line end
void note(std::string_view text);       // on standard error, with a line end
void printJson(const Json& value);
// On standard output; a table without rows is `nothing` on standard error instead.
void printTable(const Table& table, std::string_view nothing);

struct DeployOptions {
  std::string file = "s.yaml";
  bool wait = true;
};
Outcome<void> deploy(Context& context, const DeployOptions& options);

struct InvokeOptions {
  std::string name, data, file, output, qualifier;
  bool hasData = false;
  bool verbose = false;
  std::optional<double> queueDeadline;  // seconds
};
Outcome<void> invoke(Context& context, const InvokeOptions& options);

struct ExecOptions {
  std::string name, instance;  // instance empty: the newest that serves
  bool input = false, terminal = false;
  std::vector<std::string> command;
};
// The program's exit code becomes the process's.
Outcome<void> execute(Context& context, const ExecOptions& options);

Outcome<void> listFunctions(Context& context);
Outcome<void> showFunction(Context& context, const std::string& name);
Outcome<void> removeFunction(Context& context, const std::string& name);

struct DomainPlan;
// Creates or updates it; routes of other paths stay. File names are looked up in `folder`.
Outcome<Json> putDomain(Context& context, const DomainPlan& plan, const std::string& folder);
Outcome<void> listDomains(Context& context);
Outcome<void> showDomain(Context& context, const std::string& name);
Outcome<void> removeDomain(Context& context, const std::string& name);

struct LogsOptions {
  std::string name;
  std::int64_t limit = 100;
  bool follow = false;
};
Outcome<void> showLogs(Context& context, const LogsOptions& options);
struct InstancesOptions {
  bool ended = false;        // also those that have ended
  std::int64_t limit = 100;  // of those, the newest
};
Outcome<void> showInstances(Context& context, const InstancesOptions& options);
Outcome<void> showCards(Context& context);
Outcome<void> showUsage(Context& context, const std::string& name);
// Why a call was cold, warm or refused, and what it cost.
Outcome<void> explain(Context& context, const std::string& requestId);
struct WhatIfOptions {
  std::string name, concurrency, idle, slice, minimum, p99;
  std::string since = "7d";
};
// The function's own requests under other settings.
Outcome<void> whatIf(Context& context, const WhatIfOptions& options);
Outcome<void> showColdStarts(Context& context, const std::string& name);

struct PullOptions {
  std::string reference, userName, password;
};
// Has the daemon fetch an image, showing how far it is; its JSON.
Outcome<Json> fetchImage(Context& context, const PullOptions& options);
Outcome<void> pullImage(Context& context, const PullOptions& options);
Outcome<void> importImage(Context& context, const std::string& layout);
Outcome<void> listImages(Context& context);
Outcome<void> removeImage(Context& context, const std::string& reference);

Outcome<void> listAccounts(Context& context);
// Empty: the daemon gives it an id.
Outcome<void> createAccount(Context& context, const std::string& account);
struct KeyOptions {
  std::string account, key;  // account empty: the caller's own
};
Outcome<void> listKeys(Context& context, const KeyOptions& options);
Outcome<void> createKey(Context& context, const KeyOptions& options);
Outcome<void> removeKey(Context& context, const KeyOptions& options);
// Replaces the stored key by a new one.
Outcome<void> rotateKey(Context& context);

// `account`: the administrator may name another; empty: one's own.
struct QuotaOptions {
  std::string account, name, reason;  // `name`: of a quota, or the id of a request
  std::int64_t value = 0;
};
Outcome<void> listQuotas(Context& context, const QuotaOptions& options);
Outcome<void> listQuotaRequests(Context& context);
Outcome<void> requestQuota(Context& context, const QuotaOptions& options);
Outcome<void> decideQuota(Context& context, const QuotaOptions& options, const std::string& verb);

struct RoleOptions {
  std::string name;
  std::vector<std::string> allow;  // ACTION[:FUNCTION]
};
// Makes it, or replaces what it allows.
Outcome<void> putRole(Context& context, const RoleOptions& options);
Outcome<void> listRoles(Context& context);
Outcome<void> removeRole(Context& context, const std::string& name);

struct EstimateOptions {
  std::string callsPerDay, seconds, gpu, gpuType, pricesFile;
};
Outcome<void> showEstimate(Format format, const EstimateOptions& options);
struct SimulateOptions {
  std::string trace, columns, functionsFile, synthetic, service, horizon;
  std::string fleetFile, pricesFile, html;
  std::vector<std::string> fleet;  // KEY=VALUE, over the file
  std::vector<std::string> policies{"fixed:10m"};
  std::string protocol = "queue", slice = "8G", deadline = "60s";
  std::string idlePrice = "0", parkedPrice = "0";
  int concurrency = 1, cardQuota = 0;
  std::uint64_t seed = 1;
  bool check = false;       // the laws under faults, instead of a workload
  std::uint64_t seeds = 1;  // that many, from `seed` on
  std::string scenario;     // a story with what is expected of it, instead of a workload
  std::string nodes, pods;  // packing lists instead of a workload
  std::vector<std::string> placements{"random", "bestfit", "fgd", "okibi"};
};
Outcome<void> simulateWorkload(Format format, const SimulateOptions& options);
Outcome<void> runDoctor(Context& context, const std::string& stateDirectory);
struct LoginOptions {
  std::string endpoint, authorities, accessKeyId, secret;
};
Outcome<void> login(const LoginOptions& options);
Outcome<void> showVersion(Format format);

}  // namespace okibi::cli
