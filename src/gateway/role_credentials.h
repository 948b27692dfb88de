#pragma once
// RoleCredentials: makes the temporary keys that containers get for their function's role, and
// finds who signs with one. Only the master secret is kept; a key dies when it expires or when its
// role is removed. Loop thread only.

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "auth/temporary_key.h"
#include "auth/verifier.h"
#include "conductor/catalog.h"
#include "conductor/roles.h"

namespace okibi::gateway {

class RoleCredentials : public conductor::CredentialGiver {
 public:
  static constexpr std::chrono::hours kRequestLife{1}, kEnvironmentLife{12};
  // A role's requests share one key for so long; it lives that much longer.
  static constexpr std::chrono::minutes kShared{5};

  // `master`: as for TemporaryKeys. The catalog outlives this.
  RoleCredentials(const conductor::Catalog& catalog, std::string master)
      : catalog_(catalog), keys_(std::move(master)) {}

  std::shared_ptr<const conductor::Credentials> give(const std::string& account,
                                                     const std::string& role,
                                                     conductor::CredentialPlace place,
                                                     WallTime now) override;

  // For auth::Verifier. Beyond TemporaryKeys::verify(): InvalidAccessKeyID when the role was
  // removed since.
  Result<auth::TemporaryAccess> find(std::string_view id, std::string_view token,
                                     WallTime now) const;

 private:
  struct Shared {
    std::string roleId;
    WallTime until{};
    std::shared_ptr<const conductor::Credentials> credentials;
  };
  std::shared_ptr<const conductor::Credentials> make(const std::string& account,
                                                     const std::string& role,
                                                     const std::string& roleId,
                                                     WallTime expires) const;

  const conductor::Catalog& catalog_;
  auth::TemporaryKeys keys_;
  std::map<std::pair<std::string, std::string>, Shared> shared_;  // by account and role
};

}  // namespace okibi::gateway
