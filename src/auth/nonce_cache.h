#pragma once
// NonceCache: a signed request is accepted once. Bounded per key: beyond the bound the oldest nonce
// is forgotten, so within the 15 minutes a signature lives, a replay is caught as long as fewer
// than the bound of other requests of that key lie between. Pure; one thread. Ask only after the
// signature was found good, so that strangers cannot fill it.

#include <cstddef>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <unordered_set>

#include "base/limits.h"
#include "base/units.h"

namespace okibi::auth {

class NonceCache {
 public:
  explicit NonceCache(std::size_t perKey = 65'536) : perKey_(perKey) {}

  // True the first time this key shows this nonce. Remembers it until no signature dated `date` can
  // be accepted any more.
  bool admit(std::string_view keyId, std::string_view nonce, WallTime date, WallTime now);

  std::size_t size(std::string_view keyId) const;

 private:
  struct Entry {
    std::string nonce;
    WallTime expires;
  };
  struct KeyNonces {
    std::deque<Entry> order;                    // oldest first
    std::unordered_set<std::string_view> seen;  // views into `order`, whose elements do not move
  };
  std::size_t perKey_;
  std::map<std::string, KeyNonces, std::less<>> keys_;
};

}  // namespace okibi::auth
