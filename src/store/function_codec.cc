#include "store/function_codec.h"

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <type_traits>
#include <utility>
#include <vector>

#include <boost/json.hpp>
#include <fmt/format.h>

namespace okibi::store {
namespace {

namespace json = boost::json;

// In order of HttpAuth.
constexpr std::array<std::string_view, 5> kHttpAuths{"anonymous", "function", "bearer", "basic",
                                                     "jwt"};

// In order of DomainProtocol.
constexpr std::array<std::string_view, 3> kProtocols{"http", "https", "both"};

// One description of the fields serves both directions: Fields<T>::visit(archive, value) names each
// member once. The Writer makes an object, the Reader takes one apart and insists that every member
// is there, of the right type, and that none is left over. later() names a member that what was
// stored by older daemons lacks; there it keeps its default.
template <typename T>
struct Fields;

template <>
struct Fields<HealthCheck> {
  template <typename A, typename T>
  static void visit(A& archive, T& check) {
    archive("path", check.path);
    archive("initialDelay", check.initialDelay);
    archive("period", check.period);
    archive("timeout", check.timeout);
    archive("failureThreshold", check.failureThreshold);
    archive("successThreshold", check.successThreshold);
  }
};

template <>
struct Fields<RegistryAuth> {
  template <typename A, typename T>
  static void visit(A& archive, T& auth) {
    archive("user", auth.user);
    archive("password", auth.password);
  }
};

template <>
struct Fields<ContainerConfig> {
  template <typename A, typename T>
  static void visit(A& archive, T& container) {
    archive("image", container.image);
    archive("port", container.port);
    archive("entrypoint", container.entrypoint);
    archive("command", container.command);
    archive("healthCheck", container.healthCheck);
    archive("registryAuth", container.registryAuth);
    archive.later("accelerationType", container.accelerationType);
  }
};

template <>
struct Fields<Hook> {
  template <typename A, typename T>
  static void visit(A& archive, T& hook) {
    archive("handler", hook.handler);
    archive("command", hook.command);
    archive("timeout", hook.timeout);
  }
};

template <>
struct Fields<GpuConfig> {
  template <typename A, typename T>
  static void visit(A& archive, T& gpu) {
    archive("type", gpu.type);
    archive("memory", gpu.memory);
  }
};

template <>
struct Fields<ModelDirectory> {
  template <typename A, typename T>
  static void visit(A& archive, T& directory) {
    archive("root", directory.root);
    archive("subdirectory", directory.subdirectory);
    archive("mountDir", directory.mountDir);
  }
};

template <>
struct Fields<FunctionSpec> {
  template <typename A, typename T>
  static void visit(A& archive, T& spec) {
    archive("name", spec.name);
    archive("handler", spec.handler);
    archive("runtime", spec.runtime);
    archive("description", spec.description);
    archive("cpu", spec.cpu);
    archive("memory", spec.memory);
    archive("disk", spec.disk);
    archive("gpu", spec.gpu);
    archive("concurrency", spec.concurrency);
    archive("timeout", spec.timeout);
    archive("idleTimeout", spec.idleTimeout);
    archive("onDemand", spec.onDemand);
    archive("internetAccess", spec.internetAccess);
    archive("container", spec.container);
    archive("initializer", spec.initializer);
    archive("preStop", spec.preStop);
    archive("environment", spec.environment);
    archive("tags", spec.tags);
    archive("inertFields", spec.inertFields);
    archive.later("modelDirectories", spec.modelDirectories);
    archive.later("weight", spec.weight);
  }
};

template <>
struct Fields<BearerToken> {
  template <typename A, typename T>
  static void visit(A& archive, T& token) {
    archive("name", token.name);
    archive("data", token.data);
    archive("enabled", token.enabled);
  }
};

template <>
struct Fields<BasicUser> {
  template <typename A, typename T>
  static void visit(A& archive, T& user) {
    archive("user", user.user);
    archive("password", user.password);
  }
};

template <>
struct Fields<RequestPlace> {
  template <typename A, typename T>
  static void visit(A& archive, T& place) {
    archive("kind", place.kind);
    archive("name", place.name);
  }
};

template <>
struct Fields<TokenPlace> {
  template <typename A, typename T>
  static void visit(A& archive, T& token) {
    archive("place", token.place);
    archive("prefix", token.prefix);
  }
};

template <>
struct Fields<PassedClaim> {
  template <typename A, typename T>
  static void visit(A& archive, T& claim) {
    archive("place", claim.place);
    archive("claim", claim.claim);
  }
};

template <>
struct Fields<JwtRule> {
  template <typename A, typename T>
  static void visit(A& archive, T& rule) {
    archive("key", rule.key);
    archive("lookup", rule.lookup);
    archive("claims", rule.claims);
    archive("open", rule.open);
    archive("closed", rule.closed);
  }
};

template <>
struct Fields<CorsRule> {
  template <typename A, typename T>
  static void visit(A& archive, T& rule) {
    archive("origins", rule.origins);
    archive("methods", rule.methods);
    archive("headers", rule.headers);
    archive("exposed", rule.exposed);
    archive("credentials", rule.credentials);
    archive("maxAge", rule.maxAge);
  }
};

template <>
struct Fields<TimerConfig> {
  template <typename A, typename T>
  static void visit(A& archive, T& timer) {
    archive("expression", timer.expression);
    archive("payload", timer.payload);
    archive("enabled", timer.enabled);
  }
};

template <>
struct Fields<HttpTriggerConfig> {
  template <typename A, typename T>
  static void visit(A& archive, T& http) {
    archive("auth", http.auth);
    archive("methods", http.methods);
    archive("internetDisabled", http.internetDisabled);
    archive("bearer", http.bearer);
    archive("basic", http.basic);
    archive("jwt", http.jwt);
    archive("cors", http.cors);
  }
};

template <>
struct Fields<Version> {
  template <typename A, typename T>
  static void visit(A& archive, T& version) {
    archive("spec", version.spec);
    archive("imageDigest", version.imageDigest);
    archive("description", version.description);
    archive("created", version.created);
  }
};

template <>
struct Fields<Alias> {
  template <typename A, typename T>
  static void visit(A& archive, T& alias) {
    archive("versionId", alias.versionId);
    archive("additional", alias.additional);
    archive("description", alias.description);
    archive("created", alias.created);
    archive("modified", alias.modified);
  }
};

template <>
struct Fields<VersionCounter> {
  template <typename A, typename T>
  static void visit(A& archive, T& counter) {
    archive("last", counter.last);
  }
};

template <>
struct Fields<InvocationRestriction> {
  template <typename A, typename T>
  static void visit(A& archive, T& restriction) {
    archive("disabled", restriction.disabled);
    archive("reason", restriction.reason);
    archive("modified", restriction.modified);
  }
};

template <>
struct Fields<ScheduledTarget> {
  template <typename A, typename T>
  static void visit(A& archive, T& schedule) {
    archive("name", schedule.name);
    archive("expression", schedule.expression);
    archive("timeZone", schedule.timeZone);
    archive("start", schedule.start);
    archive("end", schedule.end);
    archive("target", schedule.target);
    archive.later("startText", schedule.startText);
    archive.later("endText", schedule.endText);
  }
};

template <>
struct Fields<TrackingPolicy> {
  template <typename A, typename T>
  static void visit(A& archive, T& policy) {
    archive("name", policy.name);
    archive("metric", policy.metric);
    archive("timeZone", policy.timeZone);
    archive("start", policy.start);
    archive("end", policy.end);
    archive("metricTargetMillionths", policy.metricTargetMillionths);
    archive("least", policy.least);
    archive("most", policy.most);
    archive.later("startText", policy.startText);
    archive.later("endText", policy.endText);
  }
};

template <>
struct Fields<MinimumConfig> {
  template <typename A, typename T>
  static void visit(A& archive, T& config) {
    archive("scaling", config.scaling);
    archive("minimum", config.minimum);
    archive("alwaysCpu", config.alwaysCpu);
    archive("alwaysGpu", config.alwaysGpu);
    archive("schedules", config.schedules);
    archive("tracking", config.tracking);
    archive("onDemandScaling", config.onDemandScaling);
    archive.later("dispatchPolicy", config.dispatchPolicy);
  }
};

template <>
struct Fields<ConcurrencyCap> {
  template <typename A, typename T>
  static void visit(A& archive, T& cap) {
    archive("reserved", cap.reserved);
  }
};

template <>
struct Fields<AsyncConfig> {
  template <typename A, typename T>
  static void visit(A& archive, T& config) {
    archive("maxRetries", config.maxRetries);
    archive("maxAge", config.maxAge);
    archive("created", config.created);
    archive("modified", config.modified);
  }
};

template <>
struct Fields<QuotaRequest> {
  template <typename A, typename T>
  static void visit(A& archive, T& request) {
    archive("quota", request.quota);
    archive("from", request.from);
    archive("value", request.value);
    archive("reason", request.reason);
    archive("note", request.note);
    archive("status", request.status);
    archive("created", request.created);
    archive("decided", request.decided);
  }
};

template <>
struct Fields<RewriteRule> {
  template <typename A, typename T>
  static void visit(A& archive, T& rule) {
    archive("match", rule.match);
    archive("replacement", rule.replacement);
  }
};

template <>
struct Fields<DomainRoute> {
  template <typename A, typename T>
  static void visit(A& archive, T& route) {
    archive("path", route.path);
    archive("function", route.function);
    archive("qualifier", route.qualifier);
    archive("methods", route.methods);
    archive("equal", route.equal);
    archive("wildcard", route.wildcard);
    archive("regex", route.regex);
  }
};

template <>
struct Fields<DomainCertificate> {
  template <typename A, typename T>
  static void visit(A& archive, T& certificate) {
    archive("name", certificate.name);
    archive("chain", certificate.chain);
    archive("key", certificate.key);
  }
};

template <>
struct Fields<DomainTls> {
  template <typename A, typename T>
  static void visit(A& archive, T& tls) {
    archive("minVersion", tls.minVersion);
    archive("maxVersion", tls.maxVersion);
    archive("suites", tls.suites);
  }
};

template <>
struct Fields<CustomDomain> {
  template <typename A, typename T>
  static void visit(A& archive, T& domain) {
    archive("protocol", domain.protocol);
    archive("routes", domain.routes);
    archive("certificate", domain.certificate);
    archive("tls", domain.tls);
    archive("http", domain.http);
    archive("authInfo", domain.authInfo);
    archive.later("authGiven", domain.authGiven);
    archive("created", domain.created);
    archive("modified", domain.modified);
  }
};

template <>
struct Fields<RoleGrant> {
  template <typename A, typename T>
  static void visit(A& archive, T& grant) {
    archive("action", grant.action);
    archive("function", grant.function);
  }
};

template <>
struct Fields<Role> {
  template <typename A, typename T>
  static void visit(A& archive, T& role) {
    archive("id", role.id);
    archive("grants", role.grants);
    archive("created", role.created);
    archive("modified", role.modified);
  }
};

class Writer {
 public:
  template <typename T>
  void operator()(std::string_view name, const T& value) {
    object_[name] = toJson(value);
  }
  template <typename T>
  void later(std::string_view name, const T& value) {
    (*this)(name, value);
  }
  json::object take() { return std::move(object_); }

 private:
  static json::value toJson(bool value) { return value; }
  static json::value toJson(int value) { return value; }
  static json::value toJson(std::int64_t value) { return value; }
  static json::value toJson(const std::string& value) { return json::string(value); }
  static json::value toJson(WallTime value) { return value.time_since_epoch().count(); }
  static json::value toJson(Seconds value) { return value.count(); }
  static json::value toJson(Bytes value) { return value.count(); }
  static json::value toJson(MilliCpu value) { return value.count; }
  static json::value toJson(HttpAuth value) {
    return json::string(kHttpAuths.at(static_cast<std::size_t>(value)));
  }
  static json::value toJson(DomainProtocol value) {
    return json::string(kProtocols.at(static_cast<std::size_t>(value)));
  }
  static json::value toJson(const std::vector<std::string>& values) {
    json::array array;
    for (const std::string& value : values) array.emplace_back(json::string(value));
    return array;
  }
  static json::value toJson(const std::map<std::string, std::string>& values) {
    json::object object;
    for (const auto& [key, value] : values) object[key] = json::string(value);
    return object;
  }
  static json::value toJson(const std::map<std::string, std::int64_t>& values) {
    json::object object;
    for (const auto& [key, value] : values) object[key] = value;
    return object;
  }
  template <typename T>
    requires requires { &Fields<T>::template visit<Writer, const T>; }
  static json::value toJson(const std::vector<T>& values) {
    json::array array;
    for (const T& value : values) array.push_back(toJson(value));
    return array;
  }
  template <typename T>
  static json::value toJson(const std::optional<T>& value) {
    return value ? toJson(*value) : json::value(nullptr);
  }
  template <typename T>
    requires requires { &Fields<T>::template visit<Writer, const T>; }
  static json::value toJson(const T& value) {
    Writer writer;
    Fields<T>::visit(writer, value);
    return writer.take();
  }

  json::object object_;
};

class Reader {
 public:
  Reader(const json::object& object, std::string path) : object_(object), path_(std::move(path)) {}

  template <typename T>
  void operator()(std::string_view name, T& value) {
    if (!error_.empty()) return;
    const std::string path = path_.empty() ? std::string(name) : fmt::format("{}.{}", path_, name);
    const json::value* found = object_.if_contains(name);
    if (found == nullptr) {
      error_ = path + ": missing";
      return;
    }
    ++used_;
    fromJson(*found, value, path);
  }

  template <typename T>
  void later(std::string_view name, T& value) {
    if (object_.contains(name)) (*this)(name, value);
  }

  // Empty: everything was read.
  std::string finish() const {
    if (error_.empty() && used_ != object_.size()) return path_ + ": unknown members";
    return error_;
  }

 private:
  void wrong(const std::string& path, std::string_view expected) {
    error_ = fmt::format("{}: {} expected", path, expected);
  }

  void fromJson(const json::value& from, bool& value, const std::string& path) {
    if (const bool* known = from.if_bool()) {
      value = *known;
    } else {
      wrong(path, "true or false");
    }
  }
  void fromJson(const json::value& from, std::int64_t& value, const std::string& path) {
    if (const std::int64_t* known = from.if_int64()) {
      value = *known;
    } else {
      wrong(path, "whole number");
    }
  }
  void fromJson(const json::value& from, int& value, const std::string& path) {
    std::int64_t wide = 0;
    fromJson(from, wide, path);
    if (wide < std::numeric_limits<int>::min() || wide > std::numeric_limits<int>::max()) {
      wrong(path, "smaller number");
    }
    value = static_cast<int>(wide);
  }
  void fromJson(const json::value& from, std::string& value, const std::string& path) {
    if (const json::string* known = from.if_string()) {
      value.assign(known->data(), known->size());
    } else {
      wrong(path, "text");
    }
  }
  void fromJson(const json::value& from, Seconds& value, const std::string& path) {
    std::int64_t count = 0;
    fromJson(from, count, path);
    value = Seconds(count);
  }
  void fromJson(const json::value& from, WallTime& value, const std::string& path) {
    std::int64_t count = 0;
    fromJson(from, count, path);
    value = WallTime(std::chrono::milliseconds(count));
  }
  void fromJson(const json::value& from, Bytes& value, const std::string& path) {
    std::int64_t count = 0;
    fromJson(from, count, path);
    value = Bytes(count);
  }
  void fromJson(const json::value& from, MilliCpu& value, const std::string& path) {
    fromJson(from, value.count, path);
  }
  void fromJson(const json::value& from, HttpAuth& value, const std::string& path) {
    std::string text;
    fromJson(from, text, path);
    const auto found = std::ranges::find(kHttpAuths, text);
    if (found == kHttpAuths.end()) return wrong(path, "kind of authentication");
    value = static_cast<HttpAuth>(found - kHttpAuths.begin());
  }
  void fromJson(const json::value& from, DomainProtocol& value, const std::string& path) {
    std::string text;
    fromJson(from, text, path);
    const auto found = std::ranges::find(kProtocols, text);
    if (found == kProtocols.end()) return wrong(path, "protocol");
    value = static_cast<DomainProtocol>(found - kProtocols.begin());
  }
  template <typename T>
  void fromJson(const json::value& from, std::vector<T>& values, const std::string& path) {
    const json::array* array = from.if_array();
    if (array == nullptr) return wrong(path, "list");
    for (const json::value& element : *array) fromJson(element, values.emplace_back(), path);
  }
  template <typename T>
  void fromJson(const json::value& from, std::map<std::string, T>& values,
                const std::string& path) {
    const json::object* object = from.if_object();
    if (object == nullptr) return wrong(path, "object");
    for (const auto& [key, value] : *object) {
      fromJson(value, values[std::string(key)], fmt::format("{}.{}", path, std::string(key)));
    }
  }
  template <typename T>
  void fromJson(const json::value& from, std::optional<T>& value, const std::string& path) {
    value.reset();
    if (!from.is_null()) fromJson(from, value.emplace(), path);
  }
  template <typename T>
    requires requires { &Fields<T>::template visit<Reader, T>; }
  void fromJson(const json::value& from, T& value, const std::string& path) {
    const json::object* object = from.if_object();
    if (object == nullptr) return wrong(path, "object");
    Reader reader(*object, path);
    Fields<T>::visit(reader, value);
    error_ = reader.finish();
  }

  const json::object& object_;
  std::string path_;
  std::string error_;
  std::size_t used_ = 0;
};

template <typename T>
std::string encode(const T& value) {
  Writer writer;
  Fields<T>::visit(writer, value);
  return json::serialize(writer.take());
}

template <typename T>
Result<T> decode(std::string_view text) {
  boost::system::error_code error;
  json::parse_options options;
  options.allow_invalid_utf8 = true;  // what was stored comes back, whatever it was
  const json::value parsed = json::parse(text, error, {}, options);
  if (error) return fail(ErrorKind::Invalid, "stored JSON: " + error.message());
  const json::object* object = parsed.if_object();
  if (object == nullptr) return fail(ErrorKind::Invalid, "stored JSON: object expected");
  T value;
  Reader reader(*object, "");
  Fields<T>::visit(reader, value);
  if (const std::string wrong = reader.finish(); !wrong.empty()) {
    return fail(ErrorKind::Invalid, "stored JSON: " + wrong);
  }
  return value;
}

template <std::size_t Kind>
Result<Resource> decodeKind(std::string_view text) {
  auto value = decode<std::variant_alternative_t<Kind, Resource>>(text);
  if (!value) return fail(value.error());
  return Resource(std::move(*value));
}

template <std::size_t... Kinds>
Result<Resource> decodeAs(std::size_t kind, std::string_view text, std::index_sequence<Kinds...>) {
  using Decode = Result<Resource> (*)(std::string_view);
  constexpr std::array<Decode, sizeof...(Kinds)> kDecoders{decodeKind<Kinds>...};
  return kDecoders.at(kind)(text);
}

}  // namespace

std::string encodeSpec(const FunctionSpec& spec) {
  return encode(spec);
}
Result<FunctionSpec> decodeSpec(std::string_view text) {
  return decode<FunctionSpec>(text);
}
std::string encodeHttpTrigger(const HttpTriggerConfig& config) {
  return encode(config);
}
Result<HttpTriggerConfig> decodeHttpTrigger(std::string_view text) {
  return decode<HttpTriggerConfig>(text);
}

std::string encodeTimer(const TimerConfig& config) {
  return encode(config);
}
Result<TimerConfig> decodeTimer(std::string_view text) {
  return decode<TimerConfig>(text);
}
std::string encodeResource(const Resource& resource) {
  return std::visit([](const auto& value) { return encode(value); }, resource);
}
Result<Resource> decodeResource(std::string_view kind, std::string_view text) {
  const auto found = std::ranges::find(kResourceKinds, kind);
  if (found == kResourceKinds.end()) {
    return fail(ErrorKind::Invalid, fmt::format("stored JSON: unknown kind '{}'", kind));
  }
  return decodeAs(static_cast<std::size_t>(found - kResourceKinds.begin()), text,
                  std::make_index_sequence<std::variant_size_v<Resource>>());
}

}  // namespace okibi::store
