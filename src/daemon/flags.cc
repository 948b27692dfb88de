#include "daemon/flags.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace okibi::daemon {
namespace {

struct TlsFlags {
  std::string listen, certificate, key;

  void addTo(CLI::App& app) {
    app.add_option("--listen-tls", listen, "address for TLS beside it (default: none)");
    app.add_option("--tls-certificate", certificate,
                   "PEM file for the daemon's own names, read again when it changes");
    app.add_option("--tls-key", key, "PEM file of its private key");
  }
  void apply(Config& config) const {
    if (!listen.empty()) config.listenTls = listen;
    if (!certificate.empty()) config.tlsCertificate = certificate;
    if (!key.empty()) config.tlsKey = key;
  }
};

// Folders of this machine that functions may name.
struct FolderFlags {
  std::vector<std::string> layoutRoots, modelRoots;

  void addTo(CLI::App& app) {
    app.add_option("--layout-root", layoutRoots,
                   "folder below which functions may name OCI layouts; may be repeated");
    app.add_option(
        "--model-root", modelRoots,
        "NAME=PATH[:ACCOUNT,...]: folder that functions (of these accounts; else of all) "
        "may be given to read; may be repeated");
  }
  Result<void> apply(Config& config) const {
    if (!layoutRoots.empty()) config.layoutRoots.assign(layoutRoots.begin(), layoutRoots.end());
    if (!modelRoots.empty()) config.modelRoots.clear();
    for (const std::string& flag : modelRoots) {
      auto root = parseModelRoot(flag);
      if (!root) return fail(root.error());
      config.modelRoots.push_back(std::move(*root));
    }
    return {};
  }
};

}  // namespace

std::optional<Config> readFlags(int argc, char** argv, int& exitCode) {
  CLI::App app("okibi serve: the Okibi daemon; one listener for the API and for invocations",
               "okibi serve");
  TlsFlags tls;
  std::string file, listen, stateDirectory, cards, prices, account, region, domain, level, launcher,
      runtime;
  std::optional<std::int64_t> queue, drain, start;
  std::optional<int> cardTurns;
  std::string keepAlive;
  FolderFlags folders;
  bool noAuth = false;
  app.add_option("--config", file, "configuration file (YAML); flags override it");
  app.add_option("--listen", listen, "address (default 127.0.0.1:7070)");
  tls.addTo(app);
  app.add_option("--state-dir", stateDirectory,
                 "where everything is kept (default /var/lib/okibi)");
  app.add_option("--simulated-cards", cards, "cards on paper, e.g. fc.gpu.tesla.1=2");
  app.add_option("--prices", prices, "price file (key = value)");
  app.add_option("--account", account, "account id of the first access key");
  app.add_option("--region", region, "region label (default local)");
  app.add_option("--public-domain", domain,
                 "domain of HTTP triggers: {label}.{region}.DOMAIN (default okibi.localhost)");
  app.add_option("--queue-deadline-seconds", queue, "longest wait for capacity (default 60)");
  app.add_option(
      "--keep-alive", keepAlive,
      "fixed (default): idleTimeout as it is; learned: as much idle time, where it helps");
  app.add_option("--card-turns", cardTurns,
                 "instances that compute on one card at once, by their slices (default 0: all)");
  app.add_option("--drain-seconds", drain, "longest wait for requests at shutdown (default 30)");
  app.add_option("--start-timeout-seconds", start,
                 "longest wait until a container listens (default 120)");
  folders.addTo(app);
  app.add_option("--log-level", level, "debug, info, warning or error");
  app.add_option("--runtime", runtime,
                 "native (default): sandboxes; process: no isolation and no limits");
  app.add_option("--launcher", launcher, "okibi-launcher (default: beside this program)");
  app.add_flag("--insecure-no-auth", noAuth, "accept unsigned requests; loopback only");
  try {
    app.parse(argc - 1, argv + 1);
  } catch (const CLI::ParseError& error) {
    exitCode = app.exit(error) == 0 ? 0 : 2;
    return std::nullopt;
  }
  Config config;
  Result<void> ok = file.empty() ? Result<void>{} : applyYamlFile(config, file);
  if (!listen.empty()) config.listen = listen;
  tls.apply(config);
  if (!stateDirectory.empty()) config.stateDirectory = stateDirectory;
  if (!cards.empty()) config.simulatedCards = cards;
  if (!prices.empty()) config.priceFile = prices;
  if (!account.empty()) config.account = account;
  if (!region.empty()) config.region = region;
  if (!domain.empty()) config.publicDomain = domain;
  if (queue) config.queueDeadline = Seconds(*queue);
  if (start) config.startTimeout = Seconds(*start);
  if (drain) config.drainDeadline = Seconds(*drain);
  if (!keepAlive.empty()) config.keepAlive = keepAlive;
  if (cardTurns) config.cardTurns = *cardTurns;
  if (!level.empty()) config.logLevel = level;
  if (!runtime.empty()) config.runtime = runtime;
  if (!launcher.empty()) config.launcher = launcher;
  if (noAuth) config.authentication = Authentication::None;
  if (ok) ok = folders.apply(config);
  if (ok) ok = validate(config);
  if (ok) return config;
  fmt::print(stderr, "okibi serve: {}\n", ok.error().message);
  exitCode = 2;
  return std::nullopt;
}

}  // namespace okibi::daemon
