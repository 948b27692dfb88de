#pragma once
// DomainTable: the custom domains by name, over all accounts; part of the Catalog. A name belongs
// to the account that took it first. Names that are the platform's own are nobody's. A change is on
// disk before it is visible. Loop thread only.

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "conductor/domain_routes.h"
#include "conductor/resource_map.h"
#include "model/domain.h"
#include "net/tls.h"

namespace okibi::conductor {

// Pointers to it are valid until the domain is put again or removed.
struct Domain {
  std::string account, name;
  const CustomDomain* config = nullptr;
  DomainRoutes routes;
  std::shared_ptr<const net::TlsIdentity> identity;  // null: it has no certificate
};

class DomainTable {
 public:
  explicit DomainTable(ResourceMap& resources) : resources_(resources) {}

  // After the resources. A domain whose rules are not understood any more is logged and left out.
  void load();

  // Hosts that are no custom domain whatever anybody says: exact names, and with a leading point
  // everything below. Loopback names and addresses need not be told.
  void reserve(std::vector<std::string> hosts) { reserved_ = std::move(hosts); }

  // The domain of a Host header's value (port and case aside): its own, or the wildcard above it.
  const Domain* find(std::string_view host) const;

  // Of one account. DomainNameNotFound, also for another's.
  Result<const Domain*> get(std::string_view account, std::string_view name) const;
  std::vector<const Domain*> of(std::string_view account) const;  // in order of name

  // A new one. Invalid: the name, by rule or because it is reserved. AccessDenied: it, or a
  // wildcard that overlaps it, is another account's. DomainNameAlreadyExists. LimitExceededError.
  Result<const Domain*> create(const std::string& account, std::string_view name,
                               CustomDomain config);
  Result<const Domain*> update(const std::string& account, std::string_view name,
                               CustomDomain config);
  Result<void> remove(const std::string& account, std::string_view name);

 private:
  Result<void> mayTake(std::string_view account, std::string_view name) const;
  bool isReserved(std::string_view host) const;
  Result<const Domain*> put(const std::string& account, std::string name, CustomDomain config);

  ResourceMap& resources_;
  std::vector<std::string> reserved_;
  std::map<std::string, Domain, std::less<>> domains_;  // by name
};

// The name in a Host header's value: lower case, without port and a last point.
std::string hostName(std::string_view host);

}  // namespace okibi::conductor
