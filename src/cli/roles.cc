// `okibi role`.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/encoding.h"
#include "cli/commands.h"
#include "cli/table.h"

namespace okibi::cli {

namespace {

std::string rolesPath() {
  return fmt::format("{}/roles", kOwnApi);
}
std::string rolePath(std::string_view name) {
  return rolesPath() + "/" + percentEncode(name);
}

// "InvokeFunction:f"; the function is left out for all.
JsonObject grantOf(std::string_view text) {
  const auto colon = text.find(':');
  const bool all = colon == std::string_view::npos;
  return JsonObject{{"action", text.substr(0, colon)},
                    {"function", all ? std::string_view("*") : text.substr(colon + 1)}};
}

std::string allowedBy(const Json& role) {
  std::vector<std::string> grants;
  for (const Json& grant : items(role, "allow")) {
    grants.push_back(text(grant, "action") + ":" + text(grant, "function"));
  }
  return fmt::format("{}", fmt::join(grants, " "));
}

}  // namespace

Outcome<void> putRole(Context& context, const RoleOptions& options) {
  boost::json::array allow;
  for (const std::string& grant : options.allow) allow.push_back(grantOf(grant));
  Outcome<Json> made = context.client.json(jsonRequest(
      "PUT", rolePath(options.name), "OkibiPutRole", JsonObject{{"allow", std::move(allow)}}));
  if (!made) return std::unexpected(made.error());
  if (context.asJson()) {
    printJson(*made);
    return {};
  }
  printLine(fmt::format("{} allows {}\nrole: {}", text(*made, "roleName"), allowedBy(*made),
                        text(*made, "roleArn")));
  return {};
}

Outcome<void> listRoles(Context& context) {
  Outcome<boost::json::array> roles = collect(context.client, rolesPath(), "OkibiRoles", "roles");
  if (!roles) return std::unexpected(roles.error());
  if (context.asJson()) {
    printJson(JsonObject{{"roles", std::move(*roles)}});
    return {};
  }
  Table table({left("ROLE"), left("ALLOWS"), left("MODIFIED")});
  for (const Json& role : *roles) {
    table.add({text(role, "roleName"), allowedBy(role), text(role, "lastModifiedTime")});
  }
  printTable(table, "no roles; `okibi role create` makes one");
  return {};
}

Outcome<void> removeRole(Context& context, const std::string& name) {
  return removeNamed(context, rolePath(name), "OkibiRemoveRole", name);
}

}  // namespace okibi::cli
