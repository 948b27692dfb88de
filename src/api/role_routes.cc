// /okibi/v1/roles: what an account lets the containers of its functions do with the temporary
// credentials they get. A function acts for one by its field `role`.

#include <algorithm>

#include <fmt/format.h>

#include "api/call.h"
#include "api/json_reader.h"
#include "api/operations.h"
#include "auth/access_key.h"
#include "base/encoding.h"
#include "base/limits.h"
#include "conductor/clock.h"
#include "model/validation.h"

namespace okibi::api {
namespace {

constexpr std::size_t kRoleIdBytes = 16;

json::object roleJson(const Call& call, std::string_view name, const Role& role) {
  json::array allow;
  for (const RoleGrant& grant : role.grants) {
    allow.push_back(json::object{{"action", toJsonText(grant.action)},
                                 {"function", toJsonText(grant.function)}});
  }
  return {{"roleName", toJsonText(name)},
          {"roleArn", toJsonText(fmt::format("acs:ram::{}:role/{}", call.account, name))},
          {"allow", std::move(allow)},
          {"createdTime", formatIso8601(role.created)},
          {"lastModifiedTime", formatIso8601(role.modified)}};
}

bool isKnownAction(std::string_view pattern) {
  return !pattern.empty() && std::ranges::any_of(operations(), [&](const Operation& operation) {
    return matchesPattern(pattern, operation.action);
  });
}

bool isFunctionPattern(std::string_view pattern) {
  if (!pattern.ends_with('*')) return validateFunctionName(pattern).has_value();
  pattern.remove_suffix(1);
  return pattern.empty() || validateFunctionName(pattern).has_value();
}

RoleGrant readGrant(const Reader& in) {
  RoleGrant grant{in.text("action").value_or(""), in.text("function").value_or("")};
  if (!isKnownAction(grant.action)) {
    in.complain("action", fmt::format("'{}' is no operation of the API, as InvokeFunction is one; "
                                      "'*' at its end stands for all that begin so",
                                      grant.action));
  }
  if (!isFunctionPattern(grant.function)) {
    in.complain("function", fmt::format("'{}' is not a function's name; '*' at its end stands for "
                                        "all that begin so",
                                        grant.function));
  }
  return grant;
}

Result<std::vector<RoleGrant>> readGrants(std::string_view text) {
  auto body = parseObject(text, "body");
  if (!body) return fail(body.error());
  Complaints complaints;
  const Reader in(*body, complaints);
  const auto allow = in.objects("allow");
  if (!in.has("allow")) in.complain("allow", "is required; [] allows nothing");
  std::vector<RoleGrant> grants;
  if (allow && allow->size() > limits::kGrantsPerRole) {
    in.complain("allow",
                fmt::format("{} entries, allowed 0–{}", allow->size(), limits::kGrantsPerRole));
  } else if (allow) {
    for (const Reader& one : *allow) grants.push_back(readGrant(one));
  }
  if (auto verdict = complaints.verdict(); !verdict) return fail(verdict.error());
  return grants;
}

Result<Answer> put(const Call& call, const std::string& name) {
  if (!validateFunctionName(name)) {
    return fail(ErrorKind::Invalid,
                fmt::format("roleName: '{}' must have 1–{} letters, digits, '_' or '-' and not "
                            "begin with a digit or '-'",
                            name, limits::kFunctionNameLength),
                "InvalidArgument");
  }
  auto grants = readGrants(call.body);
  if (!grants) return fail(grants.error());
  auto& resources = call.conductor.catalog().resources();
  const FunctionRef owner{call.account, ""};
  const Role* current = resources.find<Role>(owner, name);
  if (current == nullptr && resources.of<Role>(owner).size() >= limits::kRolesPerAccount) {
    return fail(ErrorKind::Exhausted,
                fmt::format("the account has {} roles of at most {}", limits::kRolesPerAccount,
                            limits::kRolesPerAccount),
                "ResourceExhausted");
  }
  const WallTime now = conductor::wallNow();
  const Role role{
      current != nullptr ? current->id : auth::randomHex(kRoleIdBytes, auth::systemRandom()),
      std::move(*grants), current != nullptr ? current->created : now, now};
  if (auto stored = resources.put({owner, name}, role); !stored) return fail(stored.error());
  return ok(json::serialize(roleJson(call, name, role)));
}

Result<Answer> list(const Call& call) {
  NamedItems items;
  for (const auto& [name, role] :
       call.conductor.catalog().resources().of<Role>({call.account, ""})) {
    items.emplace_back(name, [&call, name, role] { return roleJson(call, name, *role); });
  }
  return answerPage(call, "roles", items);
}

}  // namespace

Result<Answer> serveRoles(const Call& call) {
  if (call.path.size() == 1 && call.method == "GET") return list(call);
  if (call.path.size() != 2) return notSupported(call);
  const std::string& name = call.path[1];
  if (call.method == "PUT") return put(call, name);
  auto& resources = call.conductor.catalog().resources();
  const FunctionRef owner{call.account, ""};
  const Role* role = resources.find<Role>(owner, name);
  if (role == nullptr) {
    return fail(ErrorKind::NotFound, fmt::format("role '{}' does not exist", name), "RoleNotFound");
  }
  if (call.method == "GET") return ok(json::serialize(roleJson(call, name, *role)));
  if (call.method != "DELETE") return notSupported(call);
  if (auto gone = resources.remove<Role>({owner, name}); !gone) return fail(gone.error());
  return noContent();
}

}  // namespace okibi::api
