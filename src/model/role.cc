#include "model/role.h"

#include <algorithm>

namespace okibi {

bool matchesPattern(std::string_view pattern, std::string_view text) {
  if (!pattern.ends_with('*')) return pattern == text;
  return text.starts_with(pattern.substr(0, pattern.size() - 1));
}

bool allows(const Role& role, std::string_view action, std::string_view function) {
  return std::ranges::any_of(role.grants, [&](const RoleGrant& grant) {
    return matchesPattern(grant.action, action) && matchesPattern(grant.function, function);
  });
}

std::string_view roleNameIn(std::string_view text, std::string_view account) {
  constexpr std::string_view kPrefix = "acs:ram::", kRole = ":role/";
  if (!text.starts_with("acs:")) return text;
  if (!text.starts_with(kPrefix)) return {};
  text.remove_prefix(kPrefix.size());
  if (!text.starts_with(account)) return {};
  text.remove_prefix(account.size());
  if (!text.starts_with(kRole)) return {};
  return text.substr(kRole.size());
}

}  // namespace okibi
