#include "conductor/accounts.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/limits.h"

namespace okibi::conductor {
namespace {

bool isAccountId(std::string_view text) {
  return !text.empty() && text.size() <= limits::kAccountIdLength &&
         std::ranges::all_of(text, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                  c == '-' || c == '_';
         });
}

std::unexpected<Error> noAccount(std::string_view account) {
  return fail(ErrorKind::NotFound, fmt::format("account '{}' does not exist", account),
              "AccountNotFound");
}

}  // namespace

Result<void> Accounts::load() {
  auto accounts = store_.accounts();
  if (!accounts) return fail(accounts.error());
  for (seams::Account& account : *accounts) accounts_[account.id] = account;
  auto keys = store_.accessKeys();
  if (!keys) return fail(keys.error());
  for (seams::StoredAccessKey& key : *keys) keys_[key.id] = key;
  return {};
}

std::vector<seams::Account> Accounts::all() const {
  std::vector<seams::Account> out;
  for (const auto& [id, account] : accounts_) out.push_back(account);
  return out;
}

Result<void> Accounts::add(const std::string& account, WallTime now) {
  if (!isAccountId(account)) {
    return fail(ErrorKind::Invalid,
                "accountId: must have 1–64 letters, digits, hyphens and underscores",
                "InvalidArgument");
  }
  if (exists(account)) {
    return fail(ErrorKind::AlreadyExists, fmt::format("account '{}' exists already", account),
                "AccountAlreadyExists");
  }
  if (accounts_.size() >= limits::kAccounts) {
    return fail(
        ErrorKind::Exhausted,
        fmt::format("there are {} accounts of at most {}", accounts_.size(), limits::kAccounts),
        "ResourceExhausted");
  }
  const seams::Account made{account, now};
  if (auto stored = store_.addAccount(made); !stored) return stored;
  accounts_[account] = made;
  return {};
}

const seams::StoredAccessKey* Accounts::key(std::string_view id) const {
  const auto found = keys_.find(id);
  return found == keys_.end() ? nullptr : &found->second;
}

std::vector<seams::StoredAccessKey> Accounts::keysOf(std::string_view account) const {
  std::vector<seams::StoredAccessKey> out;
  for (const auto& [id, key] : keys_) {
    if (key.account == account) out.push_back(key);
  }
  std::ranges::sort(out, {}, [](const auto& key) { return std::pair(key.created, key.id); });
  return out;
}

Result<void> Accounts::addKey(const seams::StoredAccessKey& key) {
  if (!exists(key.account)) return noAccount(key.account);
  if (const std::size_t count = keysOf(key.account).size(); count >= limits::kKeysPerAccount) {
    return fail(ErrorKind::Exhausted,
                fmt::format("account '{}' has {} access keys of at most {}", key.account, count,
                            limits::kKeysPerAccount),
                "ResourceExhausted");
  }
  if (auto stored = store_.addAccessKey(key); !stored) return stored;
  keys_[key.id] = key;
  return {};
}

Result<void> Accounts::removeKey(std::string_view account, std::string_view id) {
  const seams::StoredAccessKey* found = key(id);
  if (!found || found->account != account) {
    return fail(ErrorKind::NotFound,
                fmt::format("account '{}' has no access key '{}'", account, id),
                "AccessKeyNotFound");
  }
  if (account == administrator_ && keysOf(account).size() == 1) {
    return fail(ErrorKind::Invalid,
                "this is the administrator's last access key: make another before removing it",
                "InvalidArgument");
  }
  if (auto removed = store_.removeAccessKey(account, id); !removed) return removed;
  keys_.erase(keys_.find(id));
  return {};
}

}  // namespace okibi::conductor
