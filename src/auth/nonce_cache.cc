#include "auth/nonce_cache.h"

namespace okibi::auth {

bool NonceCache::admit(std::string_view keyId, std::string_view nonce, WallTime date,
                       WallTime now) {
  KeyNonces& key = keys_[std::string(keyId)];
  const auto forgetOldest = [&key] {
    key.seen.erase(key.order.front().nonce);
    key.order.pop_front();
  };
  while (!key.order.empty() && key.order.front().expires < now) forgetOldest();
  if (key.seen.contains(nonce)) return false;
  if (key.order.size() >= perKey_) forgetOldest();
  key.order.push_back({std::string(nonce), date + limits::kSignatureSkew});
  key.seen.insert(key.order.back().nonce);
  return true;
}

std::size_t NonceCache::size(std::string_view keyId) const {
  const auto found = keys_.find(keyId);
  return found == keys_.end() ? 0 : found->second.order.size();
}

}  // namespace okibi::auth
