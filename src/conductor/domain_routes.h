#pragma once
// DomainRoutes: which route of a custom domain a path takes, and what the container sees of it.
//
// An exact path comes before a prefix, a longer prefix before a shorter one. Rules of the route
// are tried in the order equal, wildcard, regex, each list from its first; the first that matches
// gives the new path, whole: what its replacement says. Wildcards and regular expressions match
// anywhere in the path unless they begin with '^' (Function Compute, "rewrite policy"). A query in
// the replacement comes before the request's own. Paths are compared as they are sent, escapes
// included.
//
// Regular expressions are RE2's: time is linear in the path, memory bounded. Immutable; pure.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/domain.h"

namespace okibi::conductor {

class DomainRoutes {
 public:
  DomainRoutes();
  ~DomainRoutes();
  DomainRoutes(DomainRoutes&&) noexcept;
  DomainRoutes& operator=(DomainRoutes&&) noexcept;

  // Invalid names the field: "routeConfig.routes[0].rewriteConfig.regexRules[1].match: …".
  static Result<DomainRoutes> compile(const std::vector<DomainRoute>& routes);

  struct Way {
    const DomainRoute* route = nullptr;  // nullptr: none leads on
    std::string target;                  // path and query for the container
  };
  Way follow(std::string_view target) const;

 private:
  struct Compiled;
  std::vector<Compiled> routes_;
};

}  // namespace okibi::conductor
