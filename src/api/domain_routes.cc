// Custom domains (Function Compute: API).

#include <fmt/format.h>

#include "api/call.h"
#include "api/domain_json.h"
#include "api/json_reader.h"
#include "conductor/clock.h"

namespace okibi::api {
namespace {

// What a route leads to must be there when the route is made; it may go later.
Result<void> checkRoutes(const Call& call, const CustomDomain& domain) {
  for (std::size_t i = 0; i < domain.routes.size(); ++i) {
    const DomainRoute& route = domain.routes[i];
    const FunctionRef function{call.account, route.function};
    auto there = call.conductor.catalog().get(function);
    auto exists =
        there ? call.conductor.checkQualifier(function, route.qualifier) : fail(there.error());
    if (!exists) {
      return fail(withContext(exists.error(), fmt::format("routeConfig.routes[{}]", i)));
    }
  }
  return {};
}

Result<Answer> answerOf(Result<const conductor::Domain*> domain) {
  if (!domain) return fail(domain.error());
  return ok(json::serialize(domainJson(**domain)));
}

Result<Answer> create(const Call& call) {
  auto body = parseObject(call.body, "body");
  if (!body) return fail(body.error());
  const WallTime now = conductor::wallNow();
  auto domain = readDomain(*body, {}, now);
  if (!domain) return fail(domain.error());
  Complaints complaints;
  const auto name = Reader(*body, complaints).text("domainName");
  if (complaints.empty() && !name) complaints.add("domainName", "is required");
  if (auto verdict = complaints.verdict(); !verdict) return fail(verdict.error());
  if (auto routes = checkRoutes(call, *domain); !routes) return fail(routes.error());
  domain->created = domain->modified = now;
  return answerOf(
      call.conductor.catalog().domains().create(call.account, *name, std::move(*domain)));
}

Result<Answer> update(const Call& call, const conductor::Domain& current) {
  auto body = parseObject(call.body, "body");
  if (!body) return fail(body.error());
  const WallTime now = conductor::wallNow();
  auto domain = readDomain(*body, *current.config, now);
  if (!domain) return fail(domain.error());
  if (body->contains("routeConfig")) {
    if (auto routes = checkRoutes(call, *domain); !routes) return fail(routes.error());
  }
  domain->modified = now;
  return answerOf(
      call.conductor.catalog().domains().update(call.account, current.name, std::move(*domain)));
}

Result<Answer> list(const Call& call) {
  NamedItems items;
  for (const conductor::Domain* domain : call.conductor.catalog().domains().of(call.account)) {
    items.emplace_back(domain->name, [domain] { return domainJson(*domain); });
  }
  return answerPage(call, "customDomains", items);
}

}  // namespace

Result<Answer> serveDomains(const Call& call) {
  if (call.path.size() == 1 && call.method == "POST") return create(call);
  if (call.path.size() == 1 && call.method == "GET") return list(call);
  if (call.path.size() != 2) return notSupported(call);
  auto& domains = call.conductor.catalog().domains();
  auto found = domains.get(call.account, call.path[1]);
  if (!found) return fail(found.error());
  if (call.method == "GET") return answerOf(found);
  if (call.method == "PUT") return update(call, **found);
  if (call.method != "DELETE") return notSupported(call);
  if (auto gone = domains.remove(call.account, call.path[1]); !gone) return fail(gone.error());
  return noContent();
}

}  // namespace okibi::api
