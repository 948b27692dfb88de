#include "daemon/serve.h"

#include <array>
#include <csignal>
#include <fstream>
#include <functional>
#include <memory>
#include <sstream>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "api/api.h"
#include "auth/access_key.h"
#include "auth/verifier.h"
#include "base/encoding.h"
#include "base/log.h"
#include "conductor/clock.h"
#include "conductor/conductor.h"
#include "conductor/error_answer.h"
#include "conductor/timer_triggers.h"
#include "daemon/cards.h"
#include "daemon/default_identity.h"
#include "daemon/flags.h"
#include "gateway/gateway.h"
#include "gateway/role_credentials.h"
#include "gpu/simulated_cards.h"
#include "images/oci_image_store.h"
#include "net/http_server.h"
#include "net/loopback_name.h"
#include "runtime/native_runtime.h"
#include "runtime/process_runtime.h"
#include "store/sqlite_state_store.h"
#include "store/state_directory.h"

namespace okibi::daemon {
namespace {

Result<ledger::PriceBook> readPrices(const std::filesystem::path& file) {
  if (file.empty()) return ledger::PriceBook{};
  std::ifstream in(file);
  if (!in) return fail(ErrorKind::NotFound, fmt::format("prices: cannot read {}", file.string()));
  std::ostringstream text;
  text << in.rdbuf();
  return ledger::parsePriceBook(text.str());
}

// At the very first start the administrator's account and key are made, and the secret is shown
// this once.
Result<void> ensureFirstKey(conductor::Accounts& accounts, seams::StateStore& store) {
  const std::string& account = accounts.administrator();
  if (!accounts.keysOf(account).empty()) return {};
  const WallTime now = conductor::wallNow();
  if (!accounts.exists(account)) {
    if (auto added = accounts.add(account, now); !added) return added;
  }
  const auth::AccessKey key = auth::makeAccessKey(account, auth::systemRandom());
  if (auto added = accounts.addKey({key.account, key.id, key.secret, now}); !added) return added;
  store.sync();
  fmt::print(
      "Access key, shown this once:\n  Account ID:        {}\n  Access key ID:     {}\n"
      "  Access key secret: {}\n",
      key.account, key.id, key.secret);
  std::fflush(stdout);
  return {};
}

auth::KeyLookup keyLookup(const conductor::Accounts& accounts) {
  return [&accounts](std::string_view id) -> std::optional<auth::AccessKey> {
    const seams::StoredAccessKey* found = accounts.key(id);
    if (!found) return std::nullopt;
    return auth::AccessKey{found->id, found->secret, found->account};
  };
}

// The secret that temporary keys follow from: made at the first start, kept in the database.
Result<std::string> temporaryKeyMaster(seams::StateStore& store) {
  constexpr std::string_view kSetting = "temporaryKeyMaster";
  auto kept = store.setting("", kSetting);
  if (!kept) return fail(kept.error());
  if (*kept) return std::move(**kept);
  std::string made = auth::randomHex(32, auth::systemRandom());
  if (auto put = store.putSetting("", kSetting, made); !put) return fail(put.error());
  return made;
}

Result<std::unique_ptr<gateway::RoleCredentials>> openCredentials(
    seams::StateStore& store, const conductor::Catalog& catalog) {
  auto master = temporaryKeyMaster(store);
  if (!master) return fail(master.error());
  return std::make_unique<gateway::RoleCredentials>(catalog, std::move(*master));
}

auth::TemporaryLookup temporaryLookup(const gateway::RoleCredentials& credentials) {
  return [&credentials](std::string_view id, std::string_view token, WallTime now) {
    return credentials.find(id, token, now);
  };
}

void applyLogLevel(const std::string& level) {
  if (level == "debug") log::setLevel(log::Level::Debug);
  if (level == "warning") log::setLevel(log::Level::Warning);
  if (level == "error") log::setLevel(log::Level::Error);
}

conductor::Settings settingsOf(const Config& config, const seams::GpuInventory& inventory,
                               const store::StateDirectory& directory) {
  conductor::Settings settings;
  settings.spoolDirectory = directory.spoolDirectory().string();
  settings.account = config.account;
  settings.region = config.region;
  settings.runtime = config.runtime;
  settings.queueDeadline = config.queueDeadline;
  settings.listenTimeout = config.startTimeout;
  settings.layoutRoots = config.layoutRoots;
  settings.modelRoots = config.modelRoots;
  settings.planner.cardTurns = config.cardTurns;
  if (config.keepAlive == "learned") settings.planner.keepAlive = planner::KeepAlivePolicy::Learned;
  for (const seams::CardFacts& facts : inventory.describe().cards) {
    settings.cards.push_back(facts.card);
  }
  settings.cpus = get_nprocs();
  struct sysinfo info{};
  sysinfo(&info);
  settings.memory = Bytes(static_cast<std::int64_t>(info.totalram) * info.mem_unit);
  return settings;
}

bool looksLikeRebinding(const net::RequestHead& head) {
  const auto origin = head.headers.get("origin");
  return !net::isLoopbackName(head.headers.getOr("host", "")) ||
         (origin && !net::isLoopbackName(*origin));
}

struct Doors {
  gateway::Gateway& gateway;
  api::Api& controlApi;
  Authentication authentication;

  net::Task<void> serve(net::Exchange& exchange) const {
    const net::RequestHead& head = exchange.request();
    const std::string requestId = gateway::makeRequestId();
    const bool isApi = api::Api::owns(head);
    // A custom domain leads to functions only, whoever asks.
    if (authentication == Authentication::None && looksLikeRebinding(head) &&
        !gateway.ownsHost(head)) {
      const Error error{
          ErrorKind::Denied,
          "Host and Origin must be this machine's loopback while requests are unsigned",
          "AccessDenied"};
      co_await gateway::refuse(exchange, requestId, error);
    } else if (gateway.owns(head)) {
      co_await gateway.serve(exchange, requestId);
    } else if (isApi) {
      co_await controlApi.serve(exchange, requestId);
    } else {
      const Error error{ErrorKind::NotFound,
                        fmt::format("'{}' against '{}' is not supported", head.path(), head.method),
                        "PathNotSupported"};
      co_await gateway::refuse(exchange, requestId, error);
    }
  }
};

net::FaultAnswer renderFault(net::HttpFault fault) {
  const int status = net::statusOf(fault);
  const Error error{ErrorKind::Invalid, std::string(net::toString(fault)), "InvalidArgument"};
  net::FaultAnswer answer;
  // Function Compute answers limits on heads with 400 (Function Compute: limits).
  answer.head.status = status == 431 || status == 414 ? 400 : status;
  const std::string requestId = gateway::makeRequestId();
  answer.head.headers.add("Content-Type", "application/json");
  answer.head.headers.add("X-Fc-Request-Id", requestId);
  answer.body = errorBody(requestId, error);
  return answer;
}

net::HttpServerOptions serverOptions() {
  net::HttpServerOptions options;
  options.renderFault = renderFault;
  options.wallClock = conductor::wallNow;
  return options;
}

net::Task<void> shutDown(net::Loop& loop, net::HttpServer& server, conductor::Conductor& conductor,
                         images::OciImageStore& images, Duration within) {
  log::info("draining", "deadline_s={}", std::chrono::duration_cast<Seconds>(within).count());
  const Instant deadline = loop.now() + within;
  // Listening ends first, so that nothing new comes while instances finish and go.
  co_await server.drain(deadline);
  co_await conductor.drain(std::max(deadline, loop.now() + std::chrono::seconds(8)));
  images.shutdown();
  loop.stop();
}

// Nothing where instances are plain processes.
using Launcher = std::optional<runtime::LauncherProcess>;

Result<Launcher> launcherFor(const Config& config, const runtime::Options& options) {
  if (config.runtime == "process") {
    log::warning("instances are plain processes: nothing isolates them and no limit holds",
                 "runtime=process");
    return Launcher();
  }
  auto launcher = runtime::spawnLauncher(options);
  if (!launcher) return fail(withContext(launcher.error(), "okibi-launcher"));
  return Launcher(std::move(*launcher));
}

std::unique_ptr<seams::InstanceRuntime> openRuntime(net::Loop& loop, Launcher launcher,
                                                    const runtime::Options& options) {
  if (!launcher) return std::make_unique<runtime::ProcessRuntime>(loop);
  return std::make_unique<runtime::NativeRuntime>(loop, std::move(*launcher), options);
}

Result<std::unique_ptr<images::OciImageStore>> openImages(net::Loop& loop,
                                                          const std::filesystem::path& directory) {
  images::OciImageStore::Options options;
  options.stateDirectory = directory;
  return images::OciImageStore::open(loop, std::move(options));
}

runtime::Options launchOptions(const Config& config, const std::filesystem::path& directory) {
  runtime::Options launching;
  launching.launcherPath =
      config.launcher.empty() ? besideThisProgram("okibi-launcher") : config.launcher;
  launching.stateDirectory = directory;
  launching.modelRoots = config.modelRoots;
  return launching;
}

net::Task<void> fireTimer(gateway::Gateway& gateway, FunctionRef function, std::string qualifier,
                          std::string event) {
  auto queued = co_await gateway.enqueue({.function = function,
                                          .qualifier = std::move(qualifier),
                                          .requestId = gateway::makeRequestId(),
                                          .taskId = {},
                                          .delay = {},
                                          .payload = std::move(event)});
  if (!queued) {
    log::warning("timer trigger failed", "function={} error=\"{}\"", function.name,
                 queued.error().message);
  }
}

net::Task<void> runTimers(net::Loop& loop, const conductor::Catalog& catalog,
                          gateway::Gateway& gateway) {
  conductor::TimerTriggers timers;
  for (;;) {
    timers.tick(
        catalog.allTriggers(), conductor::wallNow(),
        [&](const Trigger& trigger, std::string event) {
          loop.spawn(fireTimer(gateway, trigger.function, trigger.qualifier, std::move(event)));
        });
    co_await loop.sleep(std::chrono::seconds(1));
  }
}

// Hosts that no account may have as its custom domain.
std::vector<std::string> ownHosts(const Config& config, const DefaultIdentity& identity) {
  std::vector<std::string> hosts;
  for (const std::string& name : identity.names()) {
    hosts.push_back(name.starts_with("*.") ? name.substr(1) : name);
  }
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) == 0) hosts.push_back(toLower(name.data()));
  for (const std::string& host : config.hostNames) hosts.push_back(toLower(host));
  if (!config.publicDomain.empty()) hosts.push_back("." + toLower(config.publicDomain));
  return hosts;
}

// The daemon's own certificate, as its files are; custom domains have theirs from the API.
net::Task<void> watchCertificate(net::Loop& loop, const Config& config, DefaultIdentity& identity,
                                 conductor::Catalog& catalog) {
  for (;;) {
    co_await loop.sleep(std::chrono::seconds(1));
    const auto before = identity.identity();
    if (auto read = identity.refresh(conductor::wallNow()); !read) {
      log::warning("the certificate stays as it was", "error=\"{}\"", read.error().message);
    } else if (identity.identity() != before) {
      catalog.domains().reserve(ownHosts(config, identity));
      log::info("new certificate", "names={}", fmt::join(identity.names(), ","));
    }
  }
}

// By the name that a client asks for: a custom domain's, else the daemon's own. A domain without a
// certificate is answered with the daemon's own, so that the refusal can be read.
std::shared_ptr<const net::TlsAcceptor> tlsAcceptor(const conductor::Catalog& catalog,
                                                    const DefaultIdentity& own) {
  return std::make_shared<net::TlsAcceptor>([&catalog, &own](std::string_view name) {
    const conductor::Domain* domain = name.empty() ? nullptr : catalog.domains().find(name);
    return domain != nullptr && domain->identity ? domain->identity : own.identity();
  });
}

// The port, 0 without a TLS listener.
Result<std::uint16_t> listenTls(const Config& config, net::HttpServer& server,
                                const conductor::Catalog& catalog, const DefaultIdentity& own) {
  if (config.listenTls.empty()) return std::uint16_t{0};
  auto address =
      server.listen(*net::SocketAddress::parse(config.listenTls), tlsAcceptor(catalog, own));
  if (!address) return fail(address.error());
  fmt::print("TLS: listening on {}\n", address->toString());
  return address->port();
}

// Calls that nobody is waiting for: accepted ones, and those of timers.
void startCalls(net::Loop& loop, conductor::AsyncQueue& queue, const conductor::Catalog& catalog,
                gateway::Gateway& gateway) {
  queue.start([&gateway](seams::AsyncEvent event, std::string payload) {
    return gateway.tryAsync(std::move(event), std::move(payload));
  });
  loop.spawn(runTimers(loop, catalog, gateway));
}

gateway::GatewayOptions gatewayOptions(const Config& config,
                                       const conductor::TriggerAddresses& addresses,
                                       std::uint16_t httpsPort) {
  const bool open = config.authentication == Authentication::None;
  return {open ? gateway::ApiAuth::None : gateway::ApiAuth::Signature, addresses, httpsPort};
}

api::ApiOptions apiOptions(const Config& config, const conductor::TriggerAddresses& addresses) {
  using Auth = api::ApiOptions::Auth;
  const bool open = config.authentication == Authentication::None;
  return {open ? Auth::None : Auth::Signature, addresses};
}

void onFirstStopSignal(net::Loop& loop, std::function<void()> stop) {
  enum class Phase { Running, Draining };
  const auto once = [stop = std::move(stop), phase = std::make_shared<Phase>(Phase::Running)] {
    if (std::exchange(*phase, Phase::Draining) == Phase::Running) stop();
  };
  loop.onSignal(SIGTERM, once);
  loop.onSignal(SIGINT, once);
}

void announce(const net::SocketAddress& address) {
  fmt::print("listening on {}\n", address.toString());
  std::fflush(stdout);
}

Result<store::StateDirectory> acquireState(const Config& config) {
  auto directory = store::StateDirectory::acquire(config.stateDirectory);
  if (!directory) return directory;
  if (auto there = checkModelRoots(config); !there) return fail(there.error());
  return directory;
}

Result<void> run(const Config& config) {
  auto simulated = gpu::parseSimulatedCards(config.simulatedCards);
  if (!simulated) return fail(simulated.error());
  auto prices = readPrices(config.priceFile);
  if (!prices) return fail(prices.error());
  auto directory = acquireState(config);
  if (!directory) return fail(directory.error());
  const runtime::Options launching = launchOptions(config, directory->path());
  // Before any thread and before any secret is read: the launcher is privileged and inherits
  // nothing.
  auto launcher = launcherFor(config, launching);
  if (!launcher) return fail(launcher.error());
  auto store = store::openStateStore(directory->databaseFile());
  if (!store) return fail(store.error());
  conductor::Accounts accounts(**store, config.account);
  if (auto loaded = accounts.load(); !loaded) return loaded;
  if (auto ok = ensureFirstKey(accounts, **store); !ok) return ok;
  const auto inventory = openInventory(config, std::move(*simulated));
  auto giver = openGiver(config, *inventory, directory->path());
  if (!giver) return fail(giver.error());
  auto loop = std::make_unique<net::Loop>();
  auto accounting = conductor::Accounting::open(*loop, directory->ledgerDirectory(), **store,
                                                std::move(*prices), conductor::wallNow());
  if (!accounting) return fail(accounting.error());
  conductor::Catalog catalog(**store);
  if (auto loaded = catalog.load(); !loaded) return loaded;
  DefaultIdentity own(config.tlsCertificate, config.tlsKey);
  if (auto read = own.refresh(conductor::wallNow()); !read) return read;
  catalog.domains().reserve(ownHosts(config, own));
  auto images = openImages(*loop, directory->path());
  if (!images) return fail(images.error());
  const auto runtime = openRuntime(*loop, std::move(*launcher), launching);
  auto owned = std::make_unique<conductor::Conductor>(
      *loop, settingsOf(config, *inventory, *directory), catalog, **accounting, **images, *runtime);
  conductor::Conductor& conductor = *owned;
  auto credentials = openCredentials(**store, catalog);
  if (!credentials) return fail(credentials.error());
  conductor.useCredentials(**credentials);
  auth::Verifier verifier(keyLookup(accounts), temporaryLookup(**credentials));
  auto queue = std::make_unique<conductor::AsyncQueue>(*loop, **store);
  if (auto loaded = queue->load(); !loaded) return loaded;
  std::optional<Doors> doors;
  auto server = std::make_unique<net::HttpServer>(
      *loop, serverOptions(), [&](net::Exchange& exchange) { return doors->serve(exchange); });
  auto address = server->listen(*net::SocketAddress::parse(config.listen));
  if (!address) return fail(address.error());
  auto httpsPort = listenTls(config, *server, catalog, own);
  if (!httpsPort) return fail(httpsPort.error());
  // The port may have been the kernel's choice. Nothing is served before the loop runs.
  const conductor::TriggerAddresses addresses(config.region, config.publicDomain, address->port());
  gateway::Gateway gateway(conductor, *queue, verifier,
                           gatewayOptions(config, addresses, *httpsPort));
  api::Api api(conductor, accounts, verifier, apiOptions(config, addresses));
  doors.emplace(gateway, api, config.authentication);
  announce(*address);
  conductor.useCards(*inventory, giver->get(), config.gpuAllowance);
  conductor.start();
  startCalls(*loop, *queue, catalog, gateway);
  if (!config.tlsCertificate.empty()) loop->spawn(watchCertificate(*loop, config, own, catalog));
  onFirstStopSignal(*loop, [&] {
    queue->stop();
    loop->spawn(shutDown(*loop, *server, conductor, **images, config.drainDeadline));
  });
  loop->run();
  server.reset();  // its listener and the conductor's timer belong to the loop
  queue.reset();
  owned.reset();
  loop.reset();  // waits for workers and drops what is left, before what it refers to goes
  return {};
}

}  // namespace

int serve(int argc, char** argv) {
  int exitCode = 0;
  const std::optional<Config> config = readFlags(argc, argv, exitCode);
  if (!config) return exitCode;
  applyLogLevel(config->logLevel);
  std::signal(SIGPIPE, SIG_IGN);
  if (auto ran = run(*config); !ran) {
    fmt::print(stderr, "okibi serve: {}\n", ran.error().message);
    return 1;
  }
  return 0;
}

}  // namespace okibi::daemon
