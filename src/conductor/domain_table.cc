#include "conductor/domain_table.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/encoding.h"
#include "base/limits.h"
#include "base/log.h"
#include "net/loopback_name.h"

namespace okibi::conductor {
namespace {

constexpr std::string_view kWildcard = "*.";
constexpr std::size_t kLabelLength = 63;

bool isLetter(char c) {
  return c >= 'a' && c <= 'z';
}
bool isLabel(std::string_view text) {
  return !text.empty() && text.size() <= kLabelLength && text.front() != '-' &&
         text.back() != '-' && std::ranges::all_of(text, [](char c) {
           return isLetter(c) || (c >= '0' && c <= '9') || c == '-' || c == '_';
         });
}

// Two labels or more, the last of letters: no address is one.
bool isDomainName(std::string_view name) {
  if (name.starts_with(kWildcard)) name.remove_prefix(kWildcard.size());
  const auto labels = split(name, '.');
  return name.size() <= limits::kDomainNameLength && labels.size() >= 2 &&
         std::ranges::all_of(labels, isLabel) && labels.back().size() >= 2 &&
         (std::ranges::all_of(labels.back(), isLetter) || labels.back().starts_with("xn--"));
}

// "*.b.c" for "a.b.c".
std::string wildcardOver(std::string_view name) {
  const auto dot = name.find('.');
  return dot == std::string_view::npos ? std::string() : "*" + std::string(name.substr(dot));
}

net::TlsRules rulesOf(const DomainTls& tls) {
  const auto version = [](std::string_view text) {
    return text == "TLSv1.3" ? net::TlsVersion::V13 : net::TlsVersion::V12;
  };
  net::TlsRules rules{version(tls.minVersion), version(tls.maxVersion), {}};
  if (auto suites = net::chooseSuites(tls.suites)) rules.suites = std::move(*suites);
  return rules;
}

Result<std::shared_ptr<const net::TlsIdentity>> identityOf(const CustomDomain& config) {
  if (!config.certificate) return nullptr;
  auto made = net::TlsIdentity::make(config.certificate->chain, config.certificate->key,
                                     rulesOf(config.tls.value_or(DomainTls())));
  if (!made) return fail(withContext(made.error(), "certConfig"));
  return made;
}

std::unexpected<Error> notFound(std::string_view name) {
  return fail(ErrorKind::NotFound, fmt::format("domain name '{}' does not exist", name),
              "DomainNameNotFound");
}

}  // namespace

std::string hostName(std::string_view host) {
  if (host.starts_with('[')) return toLower(host.substr(0, host.find(']') + 1));
  host = host.substr(0, host.find(':'));
  if (host.ends_with('.')) host.remove_suffix(1);
  return toLower(host);
}

void DomainTable::load() {
  for (const auto& [id, config] : resources_.all<CustomDomain>()) {
    auto routes = DomainRoutes::compile(config->routes);
    if (!routes) {
      log::error("a custom domain is not served", "domain={} error=\"{}\"", id.name,
                 routes.error().message);
      routes = DomainRoutes();
    }
    auto identity = identityOf(*config);
    if (!identity) {
      log::error("a custom domain is not served over TLS", "domain={} error=\"{}\"", id.name,
                 identity.error().message);
      identity = nullptr;
    }
    domains_[id.name] = {id.owner.account, id.name, config, std::move(*routes),
                         std::move(*identity)};
  }
}

bool DomainTable::isReserved(std::string_view host) const {
  return net::isLoopbackName(host) || std::ranges::any_of(reserved_, [&](std::string_view one) {
           return one.starts_with('.') ? host.ends_with(one) || host == one.substr(1) : host == one;
         });
}

const Domain* DomainTable::find(std::string_view host) const {
  if (domains_.empty()) return nullptr;
  const std::string name = hostName(host);
  if (name.starts_with(kWildcard)) return nullptr;
  auto found = domains_.find(name);
  if (found == domains_.end()) found = domains_.find(wildcardOver(name));
  return found == domains_.end() || isReserved(name) ? nullptr : &found->second;
}

Result<const Domain*> DomainTable::get(std::string_view account, std::string_view name) const {
  const auto found = domains_.find(toLower(name));
  if (found == domains_.end() || found->second.account != account) return notFound(name);
  return &found->second;
}

std::vector<const Domain*> DomainTable::of(std::string_view account) const {
  std::vector<const Domain*> out;
  for (const auto& [name, domain] : domains_) {
    if (domain.account == account) out.push_back(&domain);
  }
  return out;
}

Result<void> DomainTable::mayTake(std::string_view account, std::string_view name) const {
  if (!isDomainName(name)) {
    return fail(
        ErrorKind::Invalid,
        fmt::format("domainName: '{}' is not a name like www.example.com or *.example.com", name),
        "InvalidArgument");
  }
  const std::string_view bare = name.starts_with(kWildcard) ? name.substr(2) : name;
  if (isReserved(name) || (bare != name && isReserved(bare))) {
    return fail(ErrorKind::Invalid,
                fmt::format("domainName: '{}' is a name of the platform's own", name),
                "InvalidArgument");
  }
  for (const auto& [taken, domain] : domains_) {
    const bool overlaps =
        taken == name || taken == wildcardOver(name) || wildcardOver(taken) == name;
    if (!overlaps || domain.account == account) continue;
    return fail(ErrorKind::Denied,
                fmt::format("domainName: '{}' belongs to another account", taken), "AccessDenied");
  }
  if (domains_.contains(name)) {
    return fail(ErrorKind::AlreadyExists, fmt::format("domain name '{}' exists already", name),
                "DomainNameAlreadyExists");
  }
  if (const std::size_t count = of(account).size(); count >= limits::kDomainsPerAccount) {
    return fail(ErrorKind::Invalid,
                fmt::format("the account has {} custom domains of at most {}", count,
                            limits::kDomainsPerAccount),
                "LimitExceededError");
  }
  return {};
}

Result<const Domain*> DomainTable::put(const std::string& account, std::string name,
                                       CustomDomain config) {
  auto routes = DomainRoutes::compile(config.routes);
  if (!routes) return fail(routes.error());
  auto identity = identityOf(config);
  if (!identity) return fail(identity.error());
  const ResourceId id{{account, ""}, name};
  if (auto stored = resources_.put(id, std::move(config)); !stored) return fail(stored.error());
  Domain& domain = domains_[name];
  domain = {account, name, resources_.find<CustomDomain>(id.owner, name), std::move(*routes),
            std::move(*identity)};
  return &domain;
}

Result<const Domain*> DomainTable::create(const std::string& account, std::string_view name,
                                          CustomDomain config) {
  std::string lower = toLower(name);
  if (auto may = mayTake(account, lower); !may) return fail(may.error());
  return put(account, std::move(lower), std::move(config));
}

Result<const Domain*> DomainTable::update(const std::string& account, std::string_view name,
                                          CustomDomain config) {
  auto found = get(account, name);
  if (!found) return found;
  return put(account, (*found)->name, std::move(config));
}

Result<void> DomainTable::remove(const std::string& account, std::string_view name) {
  auto found = get(account, name);
  if (!found) return fail(found.error());
  const std::string key = (*found)->name;
  if (auto gone = resources_.remove<CustomDomain>({{account, ""}, key}); !gone) return gone;
  domains_.erase(key);
  return {};
}

}  // namespace okibi::conductor
