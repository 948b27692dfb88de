// `okibi domain`, and the custom domain of an s.yaml.

#include <filesystem>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/encoding.h"
#include "cli/commands.h"
#include "cli/deploy_file.h"
#include "cli/files.h"
#include "cli/table.h"

namespace okibi::cli {

namespace {

constexpr Bytes kPemMost = Bytes::kib(64);

std::string domainsPath() {
  return std::string(kApi) + "/custom-domains";
}
std::string domainPath(std::string_view name) {
  return domainsPath() + "/" + percentEncode(name);
}

boost::json::array routesOf(const Json& domain) {
  const Json config = member(domain, "routeConfig");
  return items(config, "routes");
}

std::string methodsOf(const Json& route) {
  std::vector<std::string> out;
  for (const Json& method : items(route, "methods")) out.emplace_back(method.as_string());
  return fmt::format("{}", fmt::join(out, ","));
}

std::string leadsTo(const Json& route) {
  return fmt::format("{} -> {}:{}", text(route, "path"), text(route, "functionName"),
                     text(route, "qualifier"));
}

// The route's path is taken over from a route that is there, or added behind them.
void mergeRoutes(const Json& there, JsonObject& body) {
  boost::json::array routes = routesOf(there);
  for (const Json& mine : routesOf(Json(body))) {
    bool replaced = false;
    for (Json& other : routes) {
      if (text(other, "path") != text(mine, "path")) continue;
      other = mine;
      replaced = true;
    }
    if (!replaced) routes.push_back(mine);
  }
  body["routeConfig"] = JsonObject{{"routes", std::move(routes)}};
}

// PEM text as it is; anything else is a file's name, beside the s.yaml.
Outcome<void> readPem(JsonObject& certificate, std::string_view key, const std::string& folder) {
  Json* value = certificate.if_contains(key);
  if (value == nullptr || !value->is_string() || value->get_string().starts_with("-")) return {};
  const std::filesystem::path file =
      std::filesystem::path(folder) / std::string(value->get_string());
  Result<std::string> pem = readFile(file.string(), kPemMost);
  if (!pem) {
    return std::unexpected(
        localFailure(withContext(pem.error(), fmt::format("customDomain.certConfig.{}", key))));
  }
  *value = Json(std::string(trim(*pem)));
  return {};
}

}  // namespace

Outcome<Json> putDomain(Context& context, const DomainPlan& plan, const std::string& folder) {
  JsonObject body = plan.body;
  if (Json* certificate = body.if_contains("certConfig"); certificate && certificate->is_object()) {
    for (std::string_view key : {"certificate", "privateKey"}) {
      Outcome<void> read = readPem(certificate->get_object(), key, folder);
      if (!read) return std::unexpected(read.error());
    }
  }
  ApiRequest request;
  request.path = domainPath(plan.name);
  request.action = "GetCustomDomain";
  Outcome<ApiAnswer> there = context.client.exchange(request);
  if (!there) return std::unexpected(there.error());
  if (there->status == 404) {
    body["domainName"] = plan.name;
    return context.client.json(jsonRequest("POST", domainsPath(), "CreateCustomDomain", body));
  }
  if (there->status >= 300) return std::unexpected(answerFailure(*there));
  boost::system::error_code error;
  const Json current = boost::json::parse(there->body, error);
  if (!error) mergeRoutes(current, body);
  return context.client.json(jsonRequest("PUT", domainPath(plan.name), "UpdateCustomDomain", body));
}

Outcome<void> listDomains(Context& context) {
  Outcome<boost::json::array> domains =
      collect(context.client, domainsPath(), "ListCustomDomains", "customDomains");
  if (!domains) return std::unexpected(domains.error());
  if (context.asJson()) {
    printJson(JsonObject{{"customDomains", std::move(*domains)}});
    return {};
  }
  Table table(
      {left("DOMAIN"), left("PROTOCOL"), left("ROUTES"), left("CERTIFICATE"), left("MODIFIED")});
  for (const Json& one : *domains) {
    std::vector<std::string> routes;
    for (const Json& route : routesOf(one)) routes.push_back(leadsTo(route));
    table.add({text(one, "domainName"), text(one, "protocol"),
               fmt::format("{}", fmt::join(routes, "; ")),
               text(member(one, "certConfig"), "certName"), text(one, "lastModifiedTime")});
  }
  printTable(table, "no custom domains; `customDomain` in an s.yaml makes one");
  return {};
}

Outcome<void> showDomain(Context& context, const std::string& name) {
  Outcome<Json> domain = context.client.get(domainPath(name), "GetCustomDomain");
  if (!domain) return std::unexpected(domain.error());
  if (context.asJson()) {
    printJson(*domain);
    return {};
  }
  const auto line = [](std::string_view title, std::string_view value) {
    if (!value.empty()) printLine(fmt::format("{:<13} {}", title, printable(value)));
  };
  line("domain", text(*domain, "domainName"));
  line("protocol", text(*domain, "protocol"));
  line("callers", text(member(*domain, "authConfig"), "authType"));
  line("certificate", text(member(*domain, "certConfig"), "certName"));
  for (const Json& route : routesOf(*domain)) {
    const std::string methods = methodsOf(route);
    line("route", leadsTo(route) + (methods.empty() ? "" : " (" + methods + ")"));
    const Json rewrite = member(route, "rewriteConfig");
    for (std::string_view kind : {"equalRules", "wildcardRules", "regexRules"}) {
      for (const Json& rule : items(rewrite, kind)) {
        line("  rewrite",
             fmt::format("{}: {} -> {}", kind, text(rule, "match"), text(rule, "replacement")));
      }
    }
  }
  line("created", text(*domain, "createdTime"));
  line("modified", text(*domain, "lastModifiedTime"));
  return {};
}

Outcome<void> removeDomain(Context& context, const std::string& name) {
  return removeNamed(context, domainPath(name), "DeleteCustomDomain", name);
}

}  // namespace okibi::cli
