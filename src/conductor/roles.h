#pragma once
// Roles at work: which one a function's containers act for, what it may do, and the credentials
// that carry it (Function Compute: API, signatures, custom containers). Loop thread only.

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/units.h"
#include "model/function.h"

namespace okibi::conductor {

class ResourceMap;

inline constexpr std::string_view kInvokeFunction = "InvokeFunction";

enum class CredentialPlace { Request, Environment };

// A function's fields `role` and `disableInjectCredentials`. The role need not exist: users write
// any.
struct RoleUse {
  std::string name;  // empty: none
  bool inRequests = true, inEnvironment = true;
  bool operator==(const RoleUse&) const = default;
};
RoleUse roleUseOf(const FunctionSpec& spec, std::string_view account);

// Whether who acts by `role` of `account` may do it; an empty role: the account itself, which may.
// `function`: empty when `action` names none. Denied (AccessDenied) names all three.
Result<void> mayAct(const ResourceMap& resources, const std::string& account,
                    const std::string& role, std::string_view action, std::string_view function);

struct Credentials {
  std::string id, secret, token;
};

class CredentialGiver {
 public:
  virtual ~CredentialGiver() = default;
  // Null: the account has no role of that name. For Request they hold for an hour at least, for
  // Environment for twelve.
  virtual std::shared_ptr<const Credentials> give(const std::string& account,
                                                  const std::string& role, CredentialPlace place,
                                                  WallTime now) = 0;
};

}  // namespace okibi::conductor
