#include "cli/cli.h"

#include <functional>
#include <memory>

#include <CLI/CLI.hpp>

#include "base/encoding.h"
#include "base/limits.h"
#include "cli/commands.h"
#include "cli/credentials.h"

namespace okibi::cli {

namespace {

constexpr const char* kFooter =
    "Exit codes: 0 done; 1 the function or the request failed (not found, refused, …); 2 wrong\n"
    "usage; 3 the daemon cannot be reached; 4 denied; of `exec` the program's own. `okibi COMMAND "
    "--help` says more.\n"
    "Environment: OKIBI_ENDPOINT, OKIBI_CA, OKIBI_ACCESS_KEY_ID, OKIBI_ACCESS_KEY_SECRET and, of\n"
    "temporary ones, OKIBI_SECURITY_TOKEN; otherwise what `okibi login` stored in\n"
    "~/.config/okibi/credentials.";
constexpr const char* kCommandFooter = "`okibi --help` lists the commands and the exit codes.";

// What the command line chose: options that commands read, and the command itself.
struct CommandLine {
  Credentials flags;
  bool json = false;
  std::string name, stateDirectory;  // of several commands
  DeployOptions deploy;
  InvokeOptions invoke;
  ExecOptions exec;
  InstancesOptions instances;
  int exitCode = 0;
  LogsOptions logs;
  PullOptions pull;
  KeyOptions key;
  QuotaOptions quota;
  RoleOptions role;
  EstimateOptions estimate;
  SimulateOptions simulate;
  WhatIfOptions whatIf;
  LoginOptions login;
  // One of the two is set: with a daemon, or without.
  std::function<Outcome<void>(Context&)> command;
  std::function<Outcome<void>(Format)> localCommand;

  Format format() const { return json ? Format::JsonText : Format::Table; }
};

using App = CLI::App;

App* add(App& app, CommandLine& line, const std::string& name, const std::string& help,
         std::function<Outcome<void>(Context&)> command) {
  App* sub = app.add_subcommand(name, help);
  sub->callback([&line, command = std::move(command)] { line.command = command; });
  return sub;
}

App* addLocal(App& app, CommandLine& line, const std::string& name, const std::string& help,
              std::function<Outcome<void>(Format)> command) {
  App* sub = app.add_subcommand(name, help);
  sub->callback([&line, command = std::move(command)] { line.localCommand = command; });
  return sub;
}

void addFunctionCommands(App& app, CommandLine& l) {
  App* deployApp = add(app, l, "deploy", "Create or update the functions of an s.yaml",
                       [&l](Context& c) { return deploy(c, l.deploy); });
  deployApp->add_option("-f,--file", l.deploy.file, "The file")
      ->type_name("FILE")
      ->capture_default_str();
  deployApp->add_flag_callback(
      "--no-wait", [&l] { l.deploy.wait = false; },
      "Return at once; without it, wait until each function is ready");

  App* invokeApp = add(app, l, "invoke", "Call a function and print its answer",
                       [&l](Context& c) { return invoke(c, l.invoke); });
  invokeApp->add_option("name", l.invoke.name, "The function")->required();
  CLI::Option* data = invokeApp->add_option_function<std::string>(
      "-d,--data",
      [&l](const std::string& value) {
        l.invoke.data = value;
        l.invoke.hasData = true;
      },
      "What to send; without -d and -f: standard input when piped");
  data->type_name("TEXT|@FILE");
  invokeApp->add_option("-f,--file", l.invoke.file, "Send this file ('-': standard input)")
      ->type_name("FILE")
      ->excludes(data);
  invokeApp->add_option("-o,--output", l.invoke.output, "Write the answer to this file")
      ->type_name("FILE");
  invokeApp->add_option("--qualifier", l.invoke.qualifier, "Version or alias")->type_name("NAME");
  invokeApp
      ->add_option("--queue-deadline", l.invoke.queueDeadline,
                   "Wait no longer for an instance (the daemon's queueDeadlineSeconds bounds it)")
      ->type_name("SECONDS")
      ->check(CLI::Range(0.001, std::chrono::duration<double>(limits::kTimeoutMax).count()));
  invokeApp->add_flag("-v,--verbose", l.invoke.verbose,
                      "Instance, cold start phases, duration and cost, on standard error");

  App* execApp = add(app, l, "exec", "Run a program inside a live instance of a function",
                     [&l](Context& c) { return execute(c, l.exec); });
  execApp->add_option("name", l.exec.name, "The function")->required();
  execApp->add_option("--instance", l.exec.instance, "Which one (default: the newest that serves)")
      ->type_name("ID");
  execApp->add_flag("-i,--stdin", l.exec.input, "Pass standard input on to it");
  execApp->add_flag("-t,--tty", l.exec.terminal, "Give it a terminal");
  execApp->add_option("command", l.exec.command, "After --: the program and its arguments")
      ->required();

  add(app, l, "ls", "List the functions", listFunctions);
  add(app, l, "info", "Show a function and its triggers",
      [&l](Context& c) { return showFunction(c, l.name); })
      ->add_option("name", l.name, "The function")
      ->required();
  add(app, l, "rm", "Delete a function and its triggers",
      [&l](Context& c) { return removeFunction(c, l.name); })
      ->add_option("name", l.name, "The function")
      ->required();
}

void addWhatIf(App& app, CommandLine& l) {
  WhatIfOptions& o = l.whatIf;
  App* sub = add(app, l, "whatif", "What a function's recorded requests cost and waited elsewise",
                 [&o](Context& c) { return whatIf(c, o); });
  sub->add_option("name", o.name, "The function")->required();
  sub->add_option("--concurrency", o.concurrency,
                  "Requests an instance serves at once, 1 to 200: 1,2,4 (default of this and the "
                  "next three: as configured)")
      ->type_name("LIST");
  sub->add_option("--idle", o.idle, "Seconds an idle instance stays, 1 to 3600: 60,300")
      ->type_name("LIST");
  sub->add_option("--slice", o.slice, "GB of a card's memory: 4,8,16")->type_name("LIST");
  sub->add_option("--min", o.minimum, "Instances that are kept: 0,1")->type_name("LIST");
  sub->add_option("--p99", o.p99,
                  "Mark the cheapest setting in which 99% of the requests wait no longer: 1.5, "
                  "300ms")
      ->type_name("TIME");
  sub->add_option("--since", o.since, "How far back: 24h, 7d; requests are kept for 30 days")
      ->type_name("TIME")
      ->capture_default_str();
}

void addWatchCommands(App& app, CommandLine& l) {
  App* logs = add(app, l, "logs", "Show what a function's instances printed",
                  [&l](Context& c) { return showLogs(c, l.logs); });
  logs->add_option("name", l.logs.name, "The function")->required();
  logs->add_option("-n,--lines", l.logs.limit, "How many lines, the last ones: 1 to 10,000")
      ->check(CLI::Range(1, 10'000))
      ->type_name("N")
      ->capture_default_str();
  logs->add_flag("-f,--follow", l.logs.follow, "Go on with what is printed later");
  App* ps = add(app, l, "ps", "List the live instances",
                [&l](Context& c) { return showInstances(c, l.instances); });
  ps->add_flag("-a,--all", l.instances.ended, "Also those that have ended, and why");
  ps->add_option("-n,--limit", l.instances.limit, "Of those that have ended, the newest: 1 to 1000")
      ->check(CLI::Range(1, 1000))
      ->type_name("N")
      ->capture_default_str();
  add(app, l, "cards", "List the GPU cards", showCards);
  add(app, l, "usage", "Calls, GPU time and cost, beside an always-on card", [&l](Context& c) {
    return showUsage(c, l.name);
  })->add_option("name", l.name, "Only this function");
  add(app, l, "explain", "Why a call was cold, warm or refused, and what it cost",
      [&l](Context& c) { return explain(c, l.name); })
      ->add_option("request-id", l.name, "Of the answer: X-Fc-Request-Id")
      ->required();
  add(app, l, "coldstarts", "Recent cold starts, phase by phase", [&l](Context& c) {
    return showColdStarts(c, l.name);
  })->add_option("name", l.name, "Only this function");
  addWhatIf(app, l);
}

void addImageCommands(App& app, CommandLine& l) {
  App* image = app.add_subcommand("image", "Images on the daemon's machine");
  image->require_subcommand(1);
  App* pull = add(*image, l, "pull", "Fetch an image from a registry",
                  [&l](Context& c) { return pullImage(c, l.pull); });
  pull->add_option("reference", l.pull.reference, "localhost:5000/team/app:v1")->required();
  pull->add_option("--user", l.pull.userName, "User name for the registry");
  pull->add_option("--password", l.pull.password, "Password for the registry")
      ->envname("OKIBI_REGISTRY_PASSWORD");
  add(*image, l, "import", "Take an image from an OCI layout",
      [&l](Context& c) { return importImage(c, l.name); })
      ->add_option("layout", l.name, "DIR or DIR:REF")
      ->required();
  add(*image, l, "ls", "List the images", listImages);
  add(*image, l, "rm", "Remove an image", [&l](Context& c) { return removeImage(c, l.name); })
      ->add_option("reference", l.name, "The image")
      ->required();
}

void addAccountCommands(App& app, CommandLine& l) {
  App* account = app.add_subcommand("account", "Accounts that may call the daemon");
  account->require_subcommand(1);
  add(*account, l, "ls", "List the accounts", listAccounts);
  add(*account, l, "create", "Make an account with its first access key (administrator only)",
      [&l](Context& c) { return createAccount(c, l.name); })
      ->add_option("account", l.name, "Its id; without one, sixteen digits");

  App* key = app.add_subcommand("key", "Access keys");
  key->require_subcommand(1);
  App* ls = add(*key, l, "ls", "List access keys", [&l](Context& c) { return listKeys(c, l.key); });
  App* create = add(*key, l, "create", "Make another access key",
                    [&l](Context& c) { return createKey(c, l.key); });
  App* rm = add(*key, l, "rm", "Revoke an access key at once",
                [&l](Context& c) { return removeKey(c, l.key); });
  rm->add_option("key", l.key.key, "Its id")->required();
  for (App* command : {ls, create, rm}) {
    command->add_option("--account", l.key.account, "Another account's (administrator only)");
  }
  add(*key, l, "rotate", "Replace the stored access key by a new one", rotateKey);
}

void addQuotaCommands(App& app, CommandLine& l) {
  App* quota = app.add_subcommand("quota", "What an account may have at once");
  quota->require_subcommand(1);
  quota->add_option("--account", l.quota.account, "Another account's (for the administrator)");
  add(*quota, l, "ls", "List the quotas", [&l](Context& c) { return listQuotas(c, l.quota); });
  add(*quota, l, "requests", "List what was asked for, and what came of it", listQuotaRequests);
  App* request = add(*quota, l, "request", "Ask for another limit",
                     [&l](Context& c) { return requestQuota(c, l.quota); });
  request->add_option("name", l.quota.name, "gpuCards, instances, burst, growth or weight")
      ->required();
  request->add_option("value", l.quota.value, "The limit wanted")->required();
  request->add_option("--reason", l.quota.reason, "Why");
  for (const char* verb : {"approve", "refuse"}) {
    App* decide = add(*quota, l, verb, "Decide a request (for the administrator)",
                      [&l, verb](Context& c) { return decideQuota(c, l.quota, verb); });
    decide->add_option("request", l.quota.name, "The request's id")->required();
    decide->add_option("--note", l.quota.reason, "What to say to it");
  }
}

void addRoleCommands(App& app, CommandLine& l) {
  App* role = app.add_subcommand("role", "What containers may do with the credentials they get");
  role->require_subcommand(1);
  App* create = add(*role, l, "create", "Make a role, or replace what it allows",
                    [&l](Context& c) { return putRole(c, l.role); });
  create->add_option("name", l.role.name, "Its name, for the field role of functions")->required();
  create->add_option("--allow", l.role.allow, "InvokeFunction:f, Get*:team-*, ListFunctions:*")
      ->type_name("ACTION:FUNCTION")
      ->required();
  add(*role, l, "ls", "List the roles", listRoles);
  add(*role, l, "rm", "Delete one; its credentials end at once",
      [&l](Context& c) { return removeRole(c, l.role.name); })
      ->add_option("name", l.role.name, "The role")
      ->required();
}

void addDomainCommands(App& app, CommandLine& l) {
  App* domain = app.add_subcommand("domain", "Custom domains: names whose paths lead to functions");
  domain->require_subcommand(1);
  add(*domain, l, "ls", "List the custom domains", listDomains);
  add(*domain, l, "info", "Show one, with its routes",
      [&l](Context& c) { return showDomain(c, l.name); })
      ->add_option("name", l.name, "The domain")
      ->required();
  add(*domain, l, "rm", "Delete one", [&l](Context& c) { return removeDomain(c, l.name); })
      ->add_option("name", l.name, "The domain")
      ->required();
}

void addOtherCommands(App& app, CommandLine& l) {
  App* estimate = addLocal(app, l, "estimate", "What a steady load would cost a day",
                           [&l](Format f) { return showEstimate(f, l.estimate); });
  estimate->add_option("--calls-per-day", l.estimate.callsPerDay, "3600 or 50,000")
      ->type_name("N")
      ->required();
  estimate->add_option("--seconds", l.estimate.seconds, "Busy time of one call: 1, 0.25, 300ms")
      ->type_name("TIME")
      ->required();
  estimate->add_option("--gpu", l.estimate.gpu, "The slice of a card: 4G, 4096M")
      ->type_name("SIZE")
      ->required();
  estimate->add_option("--gpu-type", l.estimate.gpuType, "A card type, as fc.gpu.tesla.1")
      ->type_name("TYPE");
  estimate->add_option("--prices", l.estimate.pricesFile, "A price file instead of the defaults")
      ->type_name("FILE");
  add(app, l, "doctor", "What this machine can and cannot do, and how to mend it",
      [&l](Context& c) { return runDoctor(c, l.stateDirectory); })
      ->add_option("--state-dir", l.stateDirectory,
                   "The daemon's state directory, to try disks in (default: a temporary one)")
      ->type_name("DIR");
  App* loginApp = addLocal(app, l, "login", "Store the endpoint and the access key", [&l](Format) {
    const Credentials environment = environmentCredentials();
    l.login.endpoint = l.flags.endpoint.empty() ? environment.endpoint : l.flags.endpoint;
    l.login.authorities =
        l.flags.authorities.empty() ? environment.authorities : l.flags.authorities;
    return login(l.login);
  });
  loginApp->add_option("--access-key-id", l.login.accessKeyId, "Asked for when not given");
  loginApp->add_option("--access-key-secret", l.login.secret,
                       "Asked for when not given, which keeps it out of the shell's history");
  addLocal(app, l, "version", "Show the version", showVersion);
  app.add_subcommand("serve", "Run the daemon (see `okibi serve --help`)");
}

void addSimulate(App& app, CommandLine& l) {
  SimulateOptions& o = l.simulate;
  App* sub = addLocal(app, l, "simulate", "Play a workload against the planner, policy by policy",
                      [&o](Format f) { return simulateWorkload(f, o); });
  sub->add_option("trace", o.trace, "A CSV of requests, plain or gzip");
  sub->add_option("--columns", o.columns,
                  "arrival=TITLE[@UNIT],function=…,duration=…,cold=…,count=… (default: the usual "
                  "titles)");
  sub->add_option(
      "--functions", o.functionsFile,
      "A CSV of functions: function, gpu_mem_mib, weight (how many it stands for), okibi_weight");
  sub->add_option("--synthetic", o.synthetic,
                  "Instead of a trace: functions=100,requests=1000000,time=24h,skew=1,timers=0.3,"
                  "bursts=0.3,daily=1,service=1s,slice=8G|16G (of the functions in turn)");
  sub->add_option("--service", o.service,
                  "Time of a request where the trace has none: 2s, 1s..5s, "
                  "exp:2s, lognormal:2s:0.8, table:FILE:COLUMN");
  sub->add_option("--horizon", o.horizon, "The time the trace covers (default: its last request)");
  sub->add_option(
         "--policy", o.policies,
         "fixed:10m, two-tier:60s:60m, learned:60s:60m, learned:10m, hybrid:4h, keep; each may end "
         "in /per-request or /expected-wait:PERCENT (when another instance is started) and in "
         "/best-fit or /fragmentation (which card takes it)")
      ->delimiter(',')
      ->capture_default_str();
  sub->add_option("--protocol", o.protocol,
                  "queue: as the daemon serves; bound: a request waits on the instance it started")
      ->check(CLI::IsMember({"queue", "bound"}))
      ->capture_default_str();
  sub->add_option("--fleet", o.fleetFile,
                  "A file: card = 8 x TYPE x 48G, host_memory = 512G, "
                  "cold_start, park, wake, stop = TIME");
  sub->add_option("--set", o.fleet, "One line of a fleet file, as KEY=VALUE");
  sub->add_option("--slice", o.slice, "GPU memory of an instance where nothing says it")
      ->capture_default_str();
  sub->add_option("--concurrency", o.concurrency, "Requests an instance serves at once")
      ->check(CLI::Range(1, 200))
      ->capture_default_str();
  sub->add_option("--card-quota", o.cardQuota, "GPU instances at most; 0: no limit")
      ->check(CLI::Range(0, 1'000'000));
  sub->add_option("--deadline", o.deadline, "How long a request may wait for capacity")
      ->capture_default_str();
  sub->add_option("--seed", o.seed, "Of everything that is drawn")->capture_default_str();
  sub->add_flag("--check", o.check,
                "Instead: draw fleet, traffic and faults from the seed and check all laws");
  sub->add_option("--scenario", o.scenario,
                  "Instead: play a scenario file and check what it expects (sim/scenario.h)");
  CLI::Option* nodes = sub->add_option("--nodes", o.nodes, "Instead: pack pods on these nodes");
  CLI::Option* pods = sub->add_option("--pods", o.pods, "The list of pods")->needs(nodes);
  nodes->needs(pods);
  sub->add_option("--placement", o.placements, "random, bestfit, fgd, okibi")
      ->delimiter(',')
      ->capture_default_str();
  sub->add_option("--seeds", o.seeds, "With --check and --nodes: that many seeds, from --seed on")
      ->check(CLI::Range(1, 100'000'000));
  sub->add_option("--prices", o.pricesFile, "A price file instead of the defaults");
  sub->add_option("--idle-price", o.idlePrice, "Of a GB of idle card memory for a second");
  sub->add_option("--parked-price", o.parkedPrice, "Of a GB of host memory for a second");
  sub->add_option("--html", o.html, "Also write a report with charts to this file");
}

Exit report(const Failure& failure, Format format) {
  note(format == Format::JsonText ? describeJson(failure) : describe(failure));
  return failure.exit;
}

Outcome<void> runWithDaemon(CommandLine& line) {
  Credentials environment = environmentCredentials();
  Credentials file;
  // The file is not needed, so not judged, when the rest says everything.
  if (environment.accessKeyId.empty() ||
      (line.flags.endpoint.empty() && environment.endpoint.empty())) {
    Result<Credentials> loaded = loadCredentials(credentialsPath());
    if (!loaded) return std::unexpected(localFailure(loaded.error()));
    file = std::move(*loaded);
  }
  Result<Credentials> credentials = resolveCredentials(line.flags, environment, file);
  if (!credentials) return std::unexpected(localFailure(credentials.error()));
  Client client(std::move(*credentials));
  Context context{.client = client, .format = line.format()};
  Outcome<void> done = line.command(context);
  line.exitCode = context.exitCode;
  return done;
}

int execute(CommandLine& line) {
  Outcome<void> done;
  if (line.localCommand) {
    done = line.localCommand(line.format());
  } else if (line.command) {
    done = runWithDaemon(line);
  } else {
    done = std::unexpected(usageFailure("`serve` is run by the daemon; see `okibi --help`"));
  }
  return done ? line.exitCode : static_cast<int>(report(done.error(), line.format()));
}

// The word on the command line that no command answers to, if that is what is wrong.
std::string strayWord(const App& app) {
  for (const std::string& word : app.remaining(true)) {
    if (!word.starts_with('-')) return word;
  }
  return "";
}

std::string nearestCommand(const App& app, std::string_view word) {
  std::string best;
  std::size_t distance = word.size() < 4 ? 2 : 3;  // as many letters apart is another word
  for (const App* command : app.get_subcommands([](const App*) { return true; })) {
    const std::size_t d = editDistance(word, command->get_name());
    if (d >= distance) continue;
    distance = d;
    best = command->get_name();
  }
  return best;
}

// What the parser found wrong, for people.
Failure explain(const App& app, const CLI::ParseError& error) {
  const std::vector<App*> chosen = app.get_subcommands();
  const App& last = chosen.empty() ? app : *chosen.front();
  const std::string command = chosen.empty() ? "okibi" : "okibi " + last.get_name();
  Failure failure = usageFailure(error.what());
  failure.remedy = "`" + command + " --help` shows what there is";
  const bool hasCommands = !last.get_subcommands([](const App*) { return true; }).empty();
  if (!hasCommands || !last.get_subcommands().empty()) return failure;
  const std::string word = strayWord(app);
  failure.message = word.empty() ? command + ": a command is missing"
                                 : command + ": unknown command '" + word + "'";
  const std::string nearest = word.empty() ? "" : nearestCommand(last, word);
  if (!nearest.empty()) failure.message += "; did you mean '" + nearest + "'?";
  return failure;
}

void configure(App& app, CommandLine& line) {
  app.add_option("--endpoint", line.flags.endpoint,
                 "The daemon (default 127.0.0.1:7070); https://HOST:PORT for its TLS listener")
      ->type_name("HOST:PORT");
  app.add_option("--ca", line.flags.authorities,
                 "For https: a PEM file of those who may have signed the daemon's certificate, "
                 "instead of whom this system believes")
      ->type_name("FILE");
  app.add_flag("--json", line.json, "Print JSON for programs");
  app.get_formatter()->label("SUBCOMMAND", "COMMAND");
  app.require_subcommand(1);
  app.fallthrough();
  app.footer(kCommandFooter);  // the commands inherit it
  addFunctionCommands(app, line);
  addWatchCommands(app, line);
  addImageCommands(app, line);
  addAccountCommands(app, line);
  addQuotaCommands(app, line);
  addDomainCommands(app, line);
  addRoleCommands(app, line);
  addOtherCommands(app, line);
  addSimulate(app, line);
  for (App* command : app.get_subcommands([](const App*) { return true; })) {
    command->group("Commands");
  }
  app.footer(kFooter);
  app.set_version_flag("--version", "okibi " OKIBI_VERSION, "Show the version");
}

}  // namespace

int run(int argc, char** argv) {
  CommandLine line;
  App app("Okibi: functions on GPUs that cost nothing while nobody calls them", "okibi");
  configure(app, line);
  try {
    app.parse(argc, argv);
    return execute(line);
  } catch (const CLI::Success& shown) {
    app.exit(shown);  // prints help or the version
    return static_cast<int>(Exit::Ok);
  } catch (const CLI::ParseError& error) {
    return static_cast<int>(report(explain(app, error), line.format()));
  } catch (const std::exception& error) {
    return static_cast<int>(report({.exit = Exit::Failed,
                                    .code = "Internal",
                                    .message = error.what(),
                                    .requestId = {},
                                    .remedy = {}},
                                   line.format()));
  }
}

}  // namespace okibi::cli
