#include "gateway/cors.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/encoding.h"

namespace okibi::gateway {
namespace {

constexpr std::string_view kExposed = "Date,x-fc-request-id,x-fc-error-type";

bool lists(const std::vector<std::string>& list, std::string_view wanted) {
  return std::ranges::any_of(list, [wanted](const std::string& one) {
    return one == "*" || equalsIgnoreCase(one, wanted);
  });
}

bool allHeadersAllowed(const CorsRule& rule, std::string_view asked) {
  for (std::string_view name : split(asked, ',')) {
    name = trim(name);
    if (!name.empty() && !lists(rule.headers, name)) return false;
  }
  return true;
}

void letIn(const CorsRule& rule, std::string_view origin, net::Headers& headers) {
  headers.set("Access-Control-Allow-Origin", origin);
  headers.add("Vary", "Origin");
  if (rule.credentials) headers.set("Access-Control-Allow-Credentials", "true");
}

}  // namespace

std::optional<net::ResponseHead> answerPreflight(const HttpTriggerConfig& http,
                                                 const net::RequestHead& head) {
  const auto origin = head.headers.get("origin");
  const auto method = head.headers.get("access-control-request-method");
  if (!http.cors || head.method != "OPTIONS" || !origin || !method) return std::nullopt;
  const CorsRule& rule = *http.cors;
  const std::string_view asked = head.headers.getOr("access-control-request-headers", "");
  if (!lists(rule.origins, *origin) || !lists(rule.methods, *method) ||
      !allHeadersAllowed(rule, asked)) {
    return std::nullopt;
  }
  net::ResponseHead answer;
  answer.status = 204;
  letIn(rule, *origin, answer.headers);
  answer.headers.add("Access-Control-Allow-Methods",
                     fmt::format("{}", fmt::join(rule.methods, ",")));
  if (!asked.empty()) answer.headers.add("Access-Control-Allow-Headers", asked);
  answer.headers.add("Access-Control-Max-Age", std::to_string(rule.maxAge.count()));
  return answer;
}

void addCorsHeaders(const HttpTriggerConfig& http, std::string_view origin,
                    net::ResponseHead& response) {
  if (origin.empty()) return;
  if (http.cors) {
    for (std::string_view name : {"Access-Control-Allow-Origin", "Access-Control-Allow-Credentials",
                                  "Access-Control-Expose-Headers"}) {
      response.headers.remove(name);
    }
    if (!lists(http.cors->origins, origin)) return;
    letIn(*http.cors, origin, response.headers);
    if (!http.cors->exposed.empty()) {
      response.headers.add("Access-Control-Expose-Headers",
                           fmt::format("{}", fmt::join(http.cors->exposed, ",")));
    }
    return;
  }
  if (response.headers.has("access-control-allow-origin")) return;
  response.headers.add("Access-Control-Allow-Origin", origin);
  response.headers.set("Access-Control-Allow-Credentials", "true");
  if (!response.headers.has("access-control-expose-headers")) {
    response.headers.add("Access-Control-Expose-Headers", kExposed);
  }
}

}  // namespace okibi::gateway
