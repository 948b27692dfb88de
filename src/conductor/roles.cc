#include "conductor/roles.h"

#include <boost/json.hpp>
#include <fmt/format.h>

#include "conductor/clock.h"
#include "conductor/conductor.h"
#include "conductor/resource_map.h"
#include "model/role.h"

namespace okibi::conductor {
namespace {

// A field of those that are kept as the client sent them; empty: absent, or no text.
std::string keptText(const boost::json::object& fields, std::string_view name) {
  const boost::json::value* value = fields.if_contains(name);
  const boost::json::string* text = value != nullptr ? value->if_string() : nullptr;
  return text != nullptr ? std::string(*text) : std::string();
}

}  // namespace

RoleUse roleUseOf(const FunctionSpec& spec, std::string_view account) {
  RoleUse use;
  boost::system::error_code error;
  const boost::json::value fields = boost::json::parse(spec.inertFields, error);
  if (error || !fields.is_object()) return use;
  use.name = roleNameIn(keptText(fields.get_object(), "role"), account);
  const std::string disabled = keptText(fields.get_object(), "disableInjectCredentials");
  use.inRequests = disabled != "All" && disabled != "Request";
  use.inEnvironment = disabled != "All" && disabled != "Env";
  return use;
}

Result<void> mayAct(const ResourceMap& resources, const std::string& account,
                    const std::string& role, std::string_view action, std::string_view function) {
  if (role.empty()) return {};
  const Role* found = resources.find<Role>({account, ""}, role);
  if (found != nullptr && allows(*found, action, function)) return {};
  return fail(ErrorKind::Denied,
              fmt::format("role '{}' does not allow {} on {}", role, action,
                          function.empty() ? "the account" : fmt::format("'{}'", function)),
              "AccessDenied");
}

std::shared_ptr<const Credentials> Conductor::credentialsFor(const Revision& revision,
                                                             CredentialPlace place) const {
  const RoleUse& use = revision.role;
  if (credentialGiver_ == nullptr || use.name.empty()) return nullptr;
  if (!(place == CredentialPlace::Request ? use.inRequests : use.inEnvironment)) return nullptr;
  return credentialGiver_->give(revision.ref.account, use.name, place, wallNow());
}

}  // namespace okibi::conductor
