#include "cli/yaml_json.h"

#include <charconv>
#include <cstdlib>

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include "base/encoding.h"

namespace okibi::cli {

namespace {

struct ObjectSchema {
  std::string_view path, keys;
};

constexpr std::string_view kHealthCheck =
    "httpGetUrl initialDelaySeconds periodSeconds timeoutSeconds failureThreshold "
    "successThreshold";
constexpr std::string_view kHook = "handler command timeout";

constexpr std::string_view kRoute = "path functionName qualifier methods rewriteConfig";

// An object that is not listed may hold any key (the server checks it).
constexpr ObjectSchema kObjects[] = {
    {"",
     "region functionName handler description role resourceGroupId endpoint runtime cpu memorySize "
     "diskSize timeout instanceConcurrency gpuConfig customContainerConfig customRuntimeConfig "
     "code instanceLifecycleConfig environmentVariables internetAccess enableLongLiving "
     "idleTimeout disableOndemand layers logConfig vpcConfig nasConfig ossMountConfig "
     "polarFsConfig juiceFsConfig disableInjectCredentials tracingConfig customDNS tags "
     "instanceIsolationMode sessionAffinity sessionAffinityConfig triggers asyncInvokeConfig "
     "concurrencyConfig provisionConfig scalingConfig vpcBinding customDomain annotations okibi"},
    {"okibi", "modelDirectories weight"},
    {"okibi.modelDirectories[]", "name subdirectory mountDir"},
    {"gpuConfig", "gpuType gpuMemorySize"},
    {"customContainerConfig",
     "image port command entrypoint healthCheckConfig registryConfig acrInstanceId "
     "accelerationType"},
    {"customContainerConfig.healthCheckConfig", kHealthCheck},
    {"customContainerConfig.registryConfig", "authConfig certConfig networkConfig"},
    {"customContainerConfig.registryConfig.authConfig", "userName password"},
    {"customContainerConfig.registryConfig.certConfig", "insecure rootCaCertBase64"},
    {"customRuntimeConfig", "command args port healthCheckConfig"},
    {"customRuntimeConfig.healthCheckConfig", kHealthCheck},
    {"instanceLifecycleConfig", "initializer preStop"},
    {"instanceLifecycleConfig.initializer", kHook},
    {"instanceLifecycleConfig.preStop", kHook},
    {"tags[]", "key value"},
    {"triggers[]",
     "triggerName triggerType triggerConfig qualifier description invocationRole sourceArn"},
    {"concurrencyConfig", "reservedConcurrency"},
    {"customDomain",
     "domainName protocol route routeConfig certConfig tlsConfig authConfig wafConfig corsConfig"},
    {"customDomain.route", kRoute},
    {"customDomain.routeConfig", "routes"},
    {"customDomain.routeConfig.routes[]", kRoute},
    {"customDomain.certConfig", "certName certificate privateKey"},
    {"customDomain.tlsConfig", "minVersion maxVersion cipherSuites"},
    {"customDomain.authConfig", "authType authInfo"},
};

constexpr std::string_view kNumbers =
    "cpu memorySize diskSize timeout instanceConcurrency idleTimeout gpuMemorySize port "
    "initialDelaySeconds periodSeconds timeoutSeconds failureThreshold successThreshold userId "
    "groupId maxAge weight sessionConcurrencyPerInstance sessionTTLInSeconds "
    "sessionIdleTimeoutInSeconds";
constexpr std::string_view kTruths =
    "internetAccess enableLongLiving disableOndemand insecure enableRequestMetrics "
    "enableInstanceMetrics enableLlmMetrics disableURLInternet allowCredentials enable enableTLS "
    "readOnly disableSessionIdReuse enableWAF";

bool lists(std::string_view words, std::string_view word) {
  for (std::string_view one : split(words, ' ')) {
    if (one == word) return true;
  }
  return false;
}

std::string_view lastKey(std::string_view path) {
  std::size_t dot = path.rfind('.');
  return dot == std::string_view::npos ? path : path.substr(dot + 1);
}

bool holdsOnlyText(std::string_view path) {
  return path.starts_with("environmentVariables") || path.starts_with("tags");
}

Result<Json> scalar(const std::string& value, const YamlPlace& place) {
  std::string_view key = lastKey(place.schema);
  if (holdsOnlyText(place.schema)) return Json(value);
  if (lists(kTruths, key)) {
    if (value == "true" || value == "false") return Json(value == "true");
    return fail(ErrorKind::Invalid,
                fmt::format("{}: '{}' is neither true nor false", place.shown, value));
  }
  if (!lists(kNumbers, key)) return Json(value);
  const char* end = value.data() + value.size();
  std::int64_t whole = 0;
  if (auto [to, error] = std::from_chars(value.data(), end, whole);
      error == std::errc() && to == end) {
    return Json(whole);
  }
  double fraction = 0;
  if (auto [to, error] = std::from_chars(value.data(), end, fraction);
      error == std::errc() && to == end) {
    return Json(fraction);
  }
  return fail(ErrorKind::Invalid, fmt::format("{}: '{}' is not a number", place.shown, value));
}

std::string_view knownKeys(std::string_view path) {
  for (const ObjectSchema& object : kObjects) {
    if (object.path == path) return object.keys;
  }
  return "";
}

// Where a key belongs that is not known where it stands; empty: nowhere.
std::string_view homeOf(std::string_view key) {
  for (const ObjectSchema& object : kObjects) {
    if (lists(object.keys, key)) return object.path;
  }
  return "";
}

Result<void> checkPlace(std::string_view key, std::string_view known, const std::string& place) {
  if (lists(known, key)) return {};
  const std::string_view home = homeOf(key);
  if (home.empty()) return checkKey(key, known, place);
  return fail(ErrorKind::Invalid,
              fmt::format("{}: '{}' is not known here; it belongs in {}", place, key, home));
}

Result<Json> mapToJson(const YAML::Node& node, const YamlPlace& place, const YAML::Node& vars) {
  std::string_view known = knownKeys(place.schema);
  JsonObject result;
  for (const auto& entry : node) {
    if (!entry.first.IsScalar()) {
      return fail(ErrorKind::Invalid, place.shown + ": a key must be a plain text");
    }
    const std::string& key = entry.first.Scalar();
    if (!known.empty()) {
      if (Result<void> good = checkPlace(key, known, place.shown); !good) return fail(good.error());
    }
    YamlPlace inner{place.shown + "." + key, place.schema.empty() ? key : place.schema + "." + key};
    Result<Json> value = toJson(entry.second, inner, vars);
    if (!value) return value;
    if (result.contains(key)) return fail(ErrorKind::Invalid, inner.shown + ": given twice");
    if (!value->is_null()) result[key] = std::move(*value);
  }
  return Json(std::move(result));
}

Result<std::string> replacement(std::string_view expression, const YAML::Node& vars) {
  if (expression.starts_with("env(") && expression.ends_with(')')) {
    std::string name(trim(expression.substr(4, expression.size() - 5)));
    if (name.size() >= 2 && (name.front() == '\'' || name.front() == '"')) {
      name = name.substr(1, name.size() - 2);
    }
    if (const char* value = std::getenv(name.c_str())) return std::string(value);
    return fail(ErrorKind::Invalid, fmt::format("${{{}}}: not in the environment", expression));
  }
  if (expression.starts_with("vars.")) {
    YAML::Node at = YAML::Clone(vars);
    for (std::string_view key : split(expression.substr(5), '.')) {
      if (!at.IsMap()) break;
      at.reset(YAML::Node(at[std::string(key)]));
    }
    if (at.IsDefined() && at.IsScalar()) return at.Scalar();
    return fail(ErrorKind::Invalid, fmt::format("${{{}}}: no such text under vars", expression));
  }
  return fail(ErrorKind::Invalid,
              fmt::format("${{{}}}: only vars.NAME and env(NAME) are known", expression));
}

}  // namespace

Result<void> checkKey(std::string_view key, std::string_view known, const std::string& place) {
  if (lists(known, key)) return {};
  std::string_view nearest;
  std::size_t distance = key.size() / 2 + 2;
  for (std::string_view candidate : split(known, ' ')) {
    std::size_t d = editDistance(toLower(key), toLower(candidate));
    if (d >= distance) continue;
    distance = d;
    nearest = candidate;
  }
  std::string message = fmt::format("{}: unknown key '{}'", place, key);
  message += nearest.empty() ? fmt::format("; known: {}", known)
                             : fmt::format("; did you mean '{}'?", nearest);
  return fail(ErrorKind::Invalid, std::move(message));
}

Result<std::string> substitute(std::string_view text, const YAML::Node& vars) {
  std::string out;
  while (true) {
    std::size_t start = text.find("${");
    out += text.substr(0, start);
    if (start == std::string_view::npos) return out;
    std::size_t end = text.find('}', start);
    if (end == std::string_view::npos) return out.append(text.substr(start));
    Result<std::string> value = replacement(trim(text.substr(start + 2, end - start - 2)), vars);
    if (!value) return value;
    out += *value;
    text.remove_prefix(end + 1);
  }
}

Result<Json> toJson(const YAML::Node& node, const YamlPlace& place, const YAML::Node& vars) {
  if (node.IsMap()) return mapToJson(node, place, vars);
  if (node.IsSequence()) {
    boost::json::array result;
    for (std::size_t i = 0; i < node.size(); ++i) {
      YamlPlace inner{fmt::format("{}[{}]", place.shown, i), place.schema + "[]"};
      Result<Json> value = toJson(node[i], inner, vars);
      if (!value) return value;
      result.push_back(std::move(*value));
    }
    return Json(std::move(result));
  }
  if (!node.IsScalar()) return Json();
  Result<std::string> value = substitute(node.Scalar(), vars);
  if (!value) return fail(withContext(value.error(), place.shown));
  return scalar(*value, place);
}

}  // namespace okibi::cli
