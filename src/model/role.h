#pragma once
// A role: what a function's containers may do with the temporary credentials they get, decided by
// its account. It belongs to one account; its name is the resource's. Values only.

#include <string>
#include <string_view>
#include <vector>

#include "base/units.h"

namespace okibi {

// `action`: an operation of the API ("InvokeFunction"); `function`: a function's name. Each may be
// "*" for all, or end with it for all that begin so. What names no function (lists, creating one)
// needs "*" there.
struct RoleGrant {
  std::string action, function;
  bool operator==(const RoleGrant&) const = default;
};

struct Role {
  std::string id;  // random: credentials die with it, even when another of its name is made
  std::vector<RoleGrant> grants;
  WallTime created{}, modified{};
  bool operator==(const Role&) const = default;
};

bool matchesPattern(std::string_view pattern, std::string_view text);
// `function`: empty when the operation names none.
bool allows(const Role& role, std::string_view action, std::string_view function);
// Of a text as Function Compute's field `role` has it, "acs:ram::{account}:role/{name}" or a name
// alone; empty: none, or another account's.
std::string_view roleNameIn(std::string_view text, std::string_view account);

}  // namespace okibi
