#pragma once
// A custom domain: a host name whose paths lead to functions (Function Compute: API). It belongs to
// one account; its name is the resource's, in lower case, "*.example.com" for every name one label
// below example.com. Values only.

#include <optional>
#include <string>
#include <vector>

#include "base/units.h"
#include "model/trigger.h"

namespace okibi {

// Https: plain requests are sent on to https. Both: each is served as it comes.
enum class DomainProtocol { Http, Https, Both };

// `replacement` takes the place of the whole path; $1, $2 … are what `match` captured, $0 all of
// it.
struct RewriteRule {
  std::string match, replacement;
  bool operator==(const RewriteRule&) const = default;
};

struct DomainRoute {
  std::string path;  // "/a": this path; "/a/*": what begins with "/a/"
  std::string function, qualifier = "LATEST";
  std::vector<std::string> methods;  // upper case; empty: all
  std::vector<RewriteRule> equal, wildcard, regex;
  bool operator==(const DomainRoute&) const = default;
};

struct DomainCertificate {
  std::string name;
  std::string chain, key;  // PEM; the domain's own certificate comes first
  bool operator==(const DomainCertificate&) const = default;
};

// Versions are "TLSv1.2" or "TLSv1.3"; suites have their IANA names; none: the platform's own.
struct DomainTls {
  std::string minVersion = "TLSv1.2", maxVersion = "TLSv1.3";
  std::vector<std::string> suites;
  bool operator==(const DomainTls&) const = default;
};

struct CustomDomain {
  DomainProtocol protocol = DomainProtocol::Http;
  std::vector<DomainRoute> routes;
  std::optional<DomainCertificate> certificate;
  std::optional<DomainTls> tls;
  HttpTriggerConfig http;  // who may call, cross-origin rules; its methods are the routes' matter
  std::string authInfo;    // as the client sent it
  bool authGiven = false;  // an authConfig was sent, and is shown
  WallTime created{}, modified{};
  bool operator==(const CustomDomain&) const = default;
};

}  // namespace okibi
