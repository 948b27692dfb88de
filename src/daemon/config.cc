#include "daemon/config.h"

#include <array>
#include <fstream>
#include <functional>
#include <span>
#include <sstream>

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include "base/encoding.h"
#include "net/address.h"

namespace okibi::daemon {
namespace {

struct Key {
  std::string_view name;
  std::function<void(Config&, const YAML::Node&)> set;
};

std::vector<std::filesystem::path> folders(const YAML::Node& list) {
  std::vector<std::filesystem::path> out;
  for (const auto& one : list.as<std::vector<std::string>>()) out.emplace_back(one);
  return out;
}

// In the order of the file: the first that fits a card decides.
void setCardTypes(Config& config, const YAML::Node& node) {
  if (!node.IsMap()) throw YAML::Exception(node.Mark(), "is not a map");
  config.cardTypes.clear();
  for (const auto& entry : node) {
    config.cardTypes.push_back({entry.first.as<std::string>(), entry.second.as<std::string>(), {}});
  }
}

ModelRoot modelRoot(const YAML::Node& node) {
  if (!node.IsMap()) throw YAML::Exception(node.Mark(), "has an entry that is not a map");
  ModelRoot root;
  for (const auto& entry : node) {
    const auto key = entry.first.as<std::string>();
    if (key == "name") {
      root.name = entry.second.as<std::string>();
    } else if (key == "path") {
      root.path = entry.second.as<std::string>();
    } else if (key == "accounts") {
      root.accounts = entry.second.as<std::vector<std::string>>();
      if (root.accounts.empty()) {
        throw YAML::Exception(node.Mark(), "has an empty list of accounts; leave it out for all");
      }
    } else {
      throw YAML::Exception(
          node.Mark(), fmt::format("has an unknown key '{}'; known: name, path, accounts", key));
    }
  }
  return root;
}

void setModelRoots(Config& config, const YAML::Node& node) {
  if (!node.IsSequence()) throw YAML::Exception(node.Mark(), "is not a list");
  config.modelRoots.clear();
  for (const auto& entry : node) config.modelRoots.push_back(modelRoot(entry));
}

std::span<const Key> keys() {
  static const auto kKeys = std::to_array<Key>({
      {"listen", [](Config& c, const YAML::Node& n) { c.listen = n.as<std::string>(); }},
      {"listenTls", [](Config& c, const YAML::Node& n) { c.listenTls = n.as<std::string>(); }},
      {"tls.certificate",
       [](Config& c, const YAML::Node& n) { c.tlsCertificate = n.as<std::string>(); }},
      {"tls.key", [](Config& c, const YAML::Node& n) { c.tlsKey = n.as<std::string>(); }},
      {"stateDir", [](Config& c, const YAML::Node& n) { c.stateDirectory = n.as<std::string>(); }},
      {"simulatedCards",
       [](Config& c, const YAML::Node& n) { c.simulatedCards = n.as<std::string>(); }},
      {"nvmlLibrary", [](Config& c, const YAML::Node& n) { c.nvmlLibrary = n.as<std::string>(); }},
      {"cardTypes", setCardTypes},
      {"cdiDirectories", [](Config& c, const YAML::Node& n) { c.cdiDirectories = folders(n); }},
      {"shim", [](Config& c, const YAML::Node& n) { c.shim = n.as<std::string>(); }},
      {"gpuContextMB",
       [](Config& c, const YAML::Node& n) { c.gpuContext = Bytes::mib(n.as<std::int64_t>()); }},
      {"gpuAllowanceMB",
       [](Config& c, const YAML::Node& n) { c.gpuAllowance = Bytes::mib(n.as<std::int64_t>()); }},
      {"prices", [](Config& c, const YAML::Node& n) { c.priceFile = n.as<std::string>(); }},
      {"insecureNoAuth",
       [](Config& c, const YAML::Node& n) {
         c.authentication = n.as<bool>() ? Authentication::None : Authentication::Signature;
       }},
      {"account", [](Config& c, const YAML::Node& n) { c.account = n.as<std::string>(); }},
      {"region", [](Config& c, const YAML::Node& n) { c.region = n.as<std::string>(); }},
      {"publicDomain",
       [](Config& c, const YAML::Node& n) { c.publicDomain = n.as<std::string>(); }},
      {"hostNames",
       [](Config& c, const YAML::Node& n) { c.hostNames = n.as<std::vector<std::string>>(); }},
      {"queueDeadlineSeconds",
       [](Config& c, const YAML::Node& n) { c.queueDeadline = Seconds(n.as<std::int64_t>()); }},
      {"cardTurns", [](Config& c, const YAML::Node& n) { c.cardTurns = n.as<int>(); }},
      {"keepAlive", [](Config& c, const YAML::Node& n) { c.keepAlive = n.as<std::string>(); }},
      {"drainSeconds",
       [](Config& c, const YAML::Node& n) { c.drainDeadline = Seconds(n.as<std::int64_t>()); }},
      {"logLevel", [](Config& c, const YAML::Node& n) { c.logLevel = n.as<std::string>(); }},
      {"runtime", [](Config& c, const YAML::Node& n) { c.runtime = n.as<std::string>(); }},
      {"launcher", [](Config& c, const YAML::Node& n) { c.launcher = n.as<std::string>(); }},
      {"startTimeoutSeconds",
       [](Config& c, const YAML::Node& n) { c.startTimeout = Seconds(n.as<std::int64_t>()); }},
      {"images.layoutRoots", [](Config& c, const YAML::Node& n) { c.layoutRoots = folders(n); }},
      {"modelRoots", setModelRoots},
  });
  return kKeys;
}

std::string_view nearest(std::string_view name) {
  std::string_view best = keys().front().name;
  for (const Key& key : keys()) {
    if (editDistance(name, key.name) < editDistance(name, best)) best = key.name;
  }
  return best;
}

// `group` is "" at the top, then the key above and a point.
Result<void> applyNode(Config& config, const YAML::Node& root, const std::string& group) {
  if (root.IsNull()) return {};
  if (!root.IsMap()) return fail(ErrorKind::Invalid, "configuration: is not a map of keys");
  for (const auto& entry : root) {
    const std::string name = group + entry.first.as<std::string>();
    const auto key = std::ranges::find(keys(), name, &Key::name);
    if (entry.second.IsMap() && key == keys().end()) {
      if (auto applied = applyNode(config, entry.second, name + "."); !applied) return applied;
      continue;
    }
    const int line = entry.first.Mark().line + 1;
    if (key == keys().end()) {
      return fail(ErrorKind::Invalid,
                  fmt::format("configuration line {}: unknown key '{}'; did you mean "
                              "'{}'?",
                              line, name, nearest(name)));
    }
    try {
      key->set(config, entry.second);
    } catch (const YAML::RepresentationException&) {
      return fail(
          ErrorKind::Invalid,
          fmt::format("configuration line {}: {} has a value of the wrong kind", line, name));
    } catch (const YAML::Exception& error) {
      return fail(ErrorKind::Invalid,
                  fmt::format("configuration line {}: {} {}", line, name, error.msg));
    }
  }
  return {};
}

}  // namespace

Result<void> applyYaml(Config& config, const std::string& text) {
  try {
    return applyNode(config, YAML::Load(text), "");
  } catch (const YAML::Exception& error) {
    return fail(ErrorKind::Invalid, fmt::format("configuration: {}", error.what()));
  }
}

Result<void> applyYamlFile(Config& config, const std::filesystem::path& file) {
  std::ifstream in(file);
  if (!in)
    return fail(ErrorKind::NotFound, fmt::format("configuration: cannot read {}", file.string()));
  std::ostringstream text;
  text << in.rdbuf();
  auto applied = applyYaml(config, text.str());
  if (!applied) return fail(withContext(applied.error(), file.string()));
  return {};
}

Result<ModelRoot> parseModelRoot(std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos) {
    return fail(ErrorKind::Invalid,
                fmt::format("--model-root: '{}' is not NAME=PATH or NAME=PATH:ACCOUNT,…", text));
  }
  ModelRoot root{std::string(text.substr(0, equals)), {}, {}};
  std::string_view path = text.substr(equals + 1);
  const std::size_t colon = path.rfind(':');
  if (colon != std::string_view::npos && path.find('/', colon) == std::string_view::npos) {
    for (std::string_view account : split(path.substr(colon + 1), ',')) {
      root.accounts.emplace_back(account);
    }
    path = path.substr(0, colon);
  }
  root.path = path;
  return root;
}

namespace {

Result<void> validateModels(const Config& config) {
  if (config.modelRoots.empty()) return {};
  if (config.runtime == "process") {
    return fail(ErrorKind::Invalid,
                "modelRoots: have no use with runtime process, which cannot make a directory "
                "read-only");
  }
  return validateModelRoots(config.modelRoots);
}

bool isWithin(const std::filesystem::path& path, const std::filesystem::path& folder) {
  return (path / "").string().starts_with((folder / "").string());
}

Result<void> validateTls(const Config& config) {
  if (config.tlsCertificate.empty() != config.tlsKey.empty()) {
    return fail(ErrorKind::Invalid,
                fmt::format("{}: is required with {}",
                            config.tlsKey.empty() ? "tls.key" : "tls.certificate",
                            config.tlsKey.empty() ? "tls.certificate" : "tls.key"));
  }
  if (config.listenTls.empty()) {
    if (config.tlsCertificate.empty()) return {};
    return fail(ErrorKind::Invalid, "tls.certificate: has no use without listenTls");
  }
  auto address = net::SocketAddress::parse(config.listenTls);
  if (!address) return fail(withContext(address.error(), "listenTls"));
  if (config.authentication == Authentication::None && !address->isLoopback()) {
    return fail(ErrorKind::Invalid,
                fmt::format("insecureNoAuth: is refused on {}; without signatures Okibi listens on "
                            "loopback only",
                            config.listenTls));
  }
  return {};
}

}  // namespace

Result<void> validate(const Config& config) {
  if (auto tls = validateTls(config); !tls) return tls;
  auto address = net::SocketAddress::parse(config.listen);
  if (!address) return fail(withContext(address.error(), "listen"));
  if (config.authentication == Authentication::None && !address->isLoopback()) {
    return fail(ErrorKind::Invalid,
                fmt::format("insecureNoAuth: is refused on {}; without signatures Okibi listens on "
                            "loopback only",
                            config.listen));
  }
  if (config.runtime != "native" && config.runtime != "process") {
    return fail(ErrorKind::Invalid,
                fmt::format("runtime: '{}' is not native or process", config.runtime));
  }
  if (config.queueDeadline < Seconds(1) || config.queueDeadline > Seconds(3600)) {
    return fail(ErrorKind::Invalid, fmt::format("queueDeadlineSeconds: {} is not in 1–3600",
                                                config.queueDeadline.count()));
  }
  if (config.keepAlive != "fixed" && config.keepAlive != "learned") {
    return fail(ErrorKind::Invalid,
                fmt::format("keepAlive: '{}' is not one of fixed, learned", config.keepAlive));
  }
  if (config.cardTurns < 0 || config.cardTurns > kCardTurnsMax) {
    return fail(ErrorKind::Invalid,
                fmt::format("cardTurns: {} is not in 0–{}", config.cardTurns, kCardTurnsMax));
  }
  if (config.startTimeout < Seconds(1) || config.startTimeout > Seconds(3600)) {
    return fail(ErrorKind::Invalid, fmt::format("startTimeoutSeconds: {} is not in 1–3600",
                                                config.startTimeout.count()));
  }
  for (const auto& root : config.layoutRoots) {
    if (root.is_absolute()) continue;
    return fail(ErrorKind::Invalid,
                fmt::format("images.layoutRoots: '{}' is not an absolute path", root.string()));
  }
  if (config.drainDeadline < Seconds(0) || config.drainDeadline > limits::kTimeoutMax) {
    return fail(ErrorKind::Invalid,
                fmt::format("drainSeconds: {} is not in 0–{}", config.drainDeadline.count(),
                            limits::kTimeoutMax.count()));
  }
  if (auto models = validateModels(config); !models) return models;
  if (auto named = gpu::checkRules(config.cardTypes); !named) return named;
  if (config.gpuContext < Bytes() || config.gpuContext > Bytes::gib(4)) {
    return fail(ErrorKind::Invalid,
                fmt::format("gpuContextMB: {} is not in 0–4096", config.gpuContext.wholeMib()));
  }
  if (config.gpuAllowance < Bytes() || config.gpuAllowance > Bytes::gib(16)) {
    return fail(ErrorKind::Invalid, fmt::format("gpuAllowanceMB: {} is not in 0–16384",
                                                config.gpuAllowance.wholeMib()));
  }
  const bool dnsName =
      config.publicDomain.find_first_not_of(
          "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.") == std::string::npos;
  if (!dnsName || config.publicDomain.starts_with('.') || config.publicDomain.ends_with('.')) {
    return fail(ErrorKind::Invalid, fmt::format("publicDomain: '{}' is not a domain name like "
                                                "fn.example.com",
                                                config.publicDomain));
  }
  for (std::string_view level : {"debug", "info", "warning", "error"}) {
    if (config.logLevel == level) return {};
  }
  return fail(
      ErrorKind::Invalid,
      fmt::format("logLevel: '{}' is not one of debug, info, warning, error", config.logLevel));
}

Result<void> checkModelRoots(const Config& config) {
  std::error_code error;
  const auto state = std::filesystem::weakly_canonical(config.stateDirectory, error);
  for (const ModelRoot& root : config.modelRoots) {
    const auto real = std::filesystem::canonical(root.path, error);
    if (error) {
      return fail(ErrorKind::NotFound,
                  fmt::format("modelRoots.{}: '{}': {}", root.name, root.path, error.message()));
    }
    if (!std::filesystem::is_directory(real, error)) {
      return fail(ErrorKind::Invalid,
                  fmt::format("modelRoots.{}: '{}' is not a directory", root.name, root.path));
    }
    if (isWithin(state, real) || isWithin(real, state)) {
      return fail(
          ErrorKind::Invalid,
          fmt::format("modelRoots.{}: '{}' and the state directory '{}' lie in one another; "
                      "functions must not read it",
                      root.name, root.path, state.string()));
    }
  }
  return {};
}

}  // namespace okibi::daemon
