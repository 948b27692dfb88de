#include "gateway/role_credentials.h"

#include <fmt/format.h>

namespace okibi::gateway {

using conductor::CredentialPlace;
using conductor::Credentials;

std::shared_ptr<const Credentials> RoleCredentials::make(const std::string& account,
                                                         const std::string& role,
                                                         const std::string& roleId,
                                                         WallTime expires) const {
  const WallTime whole = std::chrono::floor<std::chrono::seconds>(expires);
  auth::TemporaryKey key = keys_.make({account, role, roleId, whole});
  return std::make_shared<const Credentials>(
      Credentials{std::move(key.id), std::move(key.secret), std::move(key.token)});
}

std::shared_ptr<const Credentials> RoleCredentials::give(const std::string& account,
                                                         const std::string& role,
                                                         CredentialPlace place, WallTime now) {
  const Role* found = catalog_.resources().find<Role>({account, ""}, role);
  if (found == nullptr) {
    shared_.erase({account, role});
    return nullptr;
  }
  constexpr std::chrono::seconds kRounding{1};
  if (place == CredentialPlace::Environment) {
    return make(account, role, found->id, now + kEnvironmentLife + kRounding);
  }
  Shared& shared = shared_[{account, role}];
  // A clock that was set back makes a new one too: `until` is never further off than kShared.
  if (shared.roleId != found->id || now >= shared.until || shared.until - now > kShared) {
    shared = {found->id, now + kShared,
              make(account, role, found->id, now + kShared + kRequestLife + kRounding)};
  }
  return shared.credentials;
}

Result<auth::TemporaryAccess> RoleCredentials::find(std::string_view id, std::string_view token,
                                                    WallTime now) const {
  auto verified = keys_.verify(id, token, now);
  if (!verified) return fail(verified.error());
  const auth::TemporaryIdentity& who = verified->identity;
  const Role* role = catalog_.resources().find<Role>({who.account, ""}, who.role);
  if (role == nullptr || role->id != who.roleId) {
    return fail(
        ErrorKind::Denied,
        fmt::format("role '{}', for which these credentials were made, was removed", who.role),
        "InvalidAccessKeyID");
  }
  return auth::TemporaryAccess{
      {std::string(id), std::move(verified->secret), who.account}, who.role, who.roleId};
}

}  // namespace okibi::gateway
