#include "conductor/trigger_address.h"

#include <fmt/format.h>

#include "base/encoding.h"

namespace okibi::conductor {
namespace {

std::string_view suffixOf(Reach reach) {
  return reach == Reach::Intranet ? "-vpc" : "";
}

}  // namespace

TriggerAddresses::TriggerAddresses(std::string region, std::string domain, std::uint16_t port)
    : region_(std::move(region)),
      domain_(domain.empty() ? std::string(kLocalDomain) : toLower(domain)),
      port_(port) {}

std::string TriggerAddresses::url(std::string_view label, Reach reach) const {
  const std::string port = port_ == 80 ? std::string() : fmt::format(":{}", port_);
  return fmt::format("http://{}.{}{}.{}{}/", label, region_, suffixOf(reach), domain_, port);
}

std::optional<TriggerAddresses::Match> TriggerAddresses::match(std::string_view host) const {
  if (const auto colon = host.rfind(':'); colon != std::string_view::npos) {
    host = host.substr(0, colon);
  }
  const auto dot = host.find('.');
  if (dot == 0 || dot == std::string_view::npos) return std::nullopt;
  const std::string_view rest = host.substr(dot + 1);
  for (const Reach reach : {Reach::Internet, Reach::Intranet}) {
    if (equalsIgnoreCase(rest, fmt::format("{}{}.{}", region_, suffixOf(reach), domain_))) {
      return Match{host.substr(0, dot), reach};
    }
  }
  return std::nullopt;
}

}  // namespace okibi::conductor
