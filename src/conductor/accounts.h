#pragma once
// Accounts: who may call, and with which access keys. Everything is in memory, loaded from the
// StateStore at start; a change is on disk before it is visible (write-through), and counts from
// the next request on. One account is the administrator: it makes the others and may manage their
// keys. Loop thread only.

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "seams/state_store.h"

namespace okibi::conductor {

class Accounts {
 public:
  Accounts(seams::StateStore& store, std::string administrator)
      : store_(store), administrator_(std::move(administrator)) {}

  Result<void> load();

  const std::string& administrator() const { return administrator_; }
  bool exists(std::string_view account) const { return accounts_.contains(account); }
  std::vector<seams::Account> all() const;  // in order of id
  // Invalid: not 1–64 letters, digits, '-' and '_'. AlreadyExists. Exhausted: limits::kAccounts.
  Result<void> add(const std::string& account, WallTime now);

  // nullptr: there is no such key (any more).
  const seams::StoredAccessKey* key(std::string_view id) const;
  std::vector<seams::StoredAccessKey> keysOf(std::string_view account) const;  // oldest first
  // NotFound: the account. Exhausted: limits::kKeysPerAccount.
  Result<void> addKey(const seams::StoredAccessKey& key);
  // NotFound. Invalid: the administrator's last key, without which nobody could make another.
  Result<void> removeKey(std::string_view account, std::string_view id);

 private:
  seams::StateStore& store_;
  const std::string administrator_;
  std::map<std::string, seams::Account, std::less<>> accounts_;
  std::map<std::string, seams::StoredAccessKey, std::less<>> keys_;
};

}  // namespace okibi::conductor
