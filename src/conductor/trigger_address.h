#pragma once
// TriggerAddresses: the names under which HTTP triggers are reached. Every trigger has a random
// label: "{label}.{region}.{domain}" is its public name, "{label}.{region}-vpc.{domain}" the one
// for this machine. "okibi.localhost" works everywhere without DNS: names below localhost are
// loopback (RFC 6761). A public domain is used where the operator has one with a wildcard record.
// Pure.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace okibi::conductor {

enum class Reach { Internet, Intranet };

class TriggerAddresses {
 public:
  static constexpr std::string_view kLocalDomain = "okibi.localhost";

  TriggerAddresses() = default;
  // `domain`: empty: okibi.localhost. `port`: as bound.
  TriggerAddresses(std::string region, std::string domain, std::uint16_t port);

  // "http://…/".
  std::string url(std::string_view label, Reach reach) const;

  struct Match {
    std::string_view label;
    Reach reach = Reach::Internet;
  };
  // The label in a Host header's value, port and case aside; nullopt: not such a name.
  std::optional<Match> match(std::string_view host) const;

 private:
  std::string region_ = "local", domain_{kLocalDomain};
  std::uint16_t port_ = 80;
};

}  // namespace okibi::conductor
