#include "conductor/domain_routes.h"

#include <gtest/gtest.h>

namespace okibi::conductor {
namespace {

DomainRoute route(std::string path, std::string function = "f") {
  DomainRoute out;
  out.path = std::move(path);
  out.function = std::move(function);
  return out;
}

// "function target", or "none".
std::string follow(const std::vector<DomainRoute>& routes, std::string_view target) {
  auto compiled = DomainRoutes::compile(routes);
  if (!compiled) return compiled.error().message;
  const auto way = compiled->follow(target);
  return way.route == nullptr ? "none" : way.route->function + " " + way.target;
}

std::string rewrite(std::vector<RewriteRule> DomainRoute::* kind, RewriteRule rule,
                    std::string_view target) {
  DomainRoute one = route("/*");
  (one.*kind) = {std::move(rule)};
  const std::string text = follow({one}, target);
  return text.starts_with("f ") ? text.substr(2) : text;
}

TEST(DomainRoutes, ExactBeforePrefixAndTheLongestPrefix) {
  const std::vector<DomainRoute> routes{route("/*", "all"), route("/a/*", "a"), route("/a/b", "ab"),
                                        route("/a/b/*", "below")};
  EXPECT_EQ(follow(routes, "/"), "all /");
  EXPECT_EQ(follow(routes, "/a"), "all /a");
  EXPECT_EQ(follow(routes, "/a/"), "a /a/");
  EXPECT_EQ(follow(routes, "/a/x?q=1"), "a /a/x?q=1");
  EXPECT_EQ(follow(routes, "/a/b?q"), "ab /a/b?q");
  EXPECT_EQ(follow(routes, "/a/b/c"), "below /a/b/c");
  EXPECT_EQ(follow({route("/a")}, "/b"), "none");
  EXPECT_EQ(follow({}, "/"), "none");
}

// The examples of Function Compute's page on rewrite policies.
TEST(DomainRoutes, EqualRules) {
  const auto kind = &DomainRoute::equal;
  EXPECT_EQ(rewrite(kind, {"/old", "/new"}, "/old"), "/new");
  EXPECT_EQ(rewrite(kind, {"/old", "/new"}, "/old?a=b"), "/new?a=b");
  EXPECT_EQ(rewrite(kind, {"/old", "/new"}, "/test/old"), "/test/old");
  EXPECT_EQ(rewrite(kind, {"/serviceName.Qualifier", "/serviceA"}, "/serviceName.Qualifier"),
            "/serviceA");
  EXPECT_EQ(rewrite(kind, {"/a.c", "/new"}, "/abc"), "/abc");
}

TEST(DomainRoutes, WildcardRules) {
  const auto kind = &DomainRoute::wildcard;
  EXPECT_EQ(rewrite(kind, {"/old", "/new"}, "/old"), "/new");
  EXPECT_EQ(rewrite(kind, {"/old", "/new"}, "/test/old"), "/new");
  EXPECT_EQ(rewrite(kind, {"^/old", "/new"}, "/test/old"), "/test/old");
  EXPECT_EQ(rewrite(kind, {"/api/*", "/$1"}, "/api/getFunctionName"), "/getFunctionName");
  EXPECT_EQ(rewrite(kind, {"/api/*", "/$1"}, "/api/getFunctionName&Version=1"),
            "/getFunctionName&Version=1");
  EXPECT_EQ(rewrite(kind, {"/css/*", "/public/static/css/$1"}, "/css/style.css"),
            "/public/static/css/style.css");
  EXPECT_EQ(rewrite(kind, {"/ServiceName/*/FunctionName/*/Qualifier/*", "/$1.$3/$2"},
                    "/ServiceName/svc-a/FunctionName/func-a/Qualifier/1"),
            "/svc-a.1/func-a");
  EXPECT_EQ(rewrite(kind, {"/f..c", "/helloworld"}, "/f..c"), "/helloworld");
  EXPECT_EQ(rewrite(kind, {"/f..c", "/helloworld"}, "/func"), "/func");
}

TEST(DomainRoutes, RegexRules) {
  const auto kind = &DomainRoute::regex;
  EXPECT_EQ(rewrite(kind, {"^/old/[a-z]+/", "/new"}, "/old/ab/"), "/new");
  EXPECT_EQ(rewrite(kind, {"^/old/[a-z]+/", "/new"}, "/test/a-b/"), "/test/a-b/");
  EXPECT_EQ(rewrite(kind, {"^/api/.+?/(.*)", "/api/v2/$1"}, "/api/v1/x/y?z"), "/api/v2/x/y?z");
  EXPECT_EQ(rewrite(kind, {"^/(a)?(b)", "/$1-$2-$0"}, "/b"), "/-b-/b");
  EXPECT_EQ(rewrite(kind, {"^/u/(.*)", "/x?user=$1"}, "/u/me?q=1"), "/x?user=me&q=1");
  EXPECT_EQ(rewrite(kind, {"^/(.*)", "$1"}, "/me"), "/me");
}

TEST(DomainRoutes, KindsInTheirOrderAndTheFirstThatMatches) {
  DomainRoute one = route("/*");
  one.equal = {{"/a", "/equal"}};
  one.wildcard = {{"/a", "/wild"}, {"/b", "/wild2"}};
  one.regex = {{"/.", "/regex"}};
  EXPECT_EQ(follow({one}, "/a"), "f /equal");
  EXPECT_EQ(follow({one}, "/ab"), "f /wild");
  EXPECT_EQ(follow({one}, "/b"), "f /wild2");
  EXPECT_EQ(follow({one}, "/c"), "f /regex");
}

TEST(DomainRoutes, RefusalsNameTheField) {
  const auto refusal = [](const std::string& path) { return follow({route(path)}, "/"); };
  for (const std::string& path : {"", "a", "/a*", "/*/b", "/a b", "/a?b", "/a#", "*"}) {
    EXPECT_TRUE(refusal(path).starts_with("routeConfig.routes[0].path: ")) << refusal(path);
  }
  EXPECT_TRUE(follow({route("/a"), route("/a")}, "/").starts_with("routeConfig.routes[1].path: "));
  const auto rule = [](RewriteRule rule) { return rewrite(&DomainRoute::regex, rule, "/"); };
  const std::string place = "routeConfig.routes[0].rewriteConfig.regexRules[0].";
  EXPECT_TRUE(rule({"(", "/a"}).starts_with(place + "match: ")) << rule({"(", "/a"});
  EXPECT_TRUE(rule({"", "/a"}).starts_with(place + "match: "));
  EXPECT_TRUE(rule({R"((a)\1)", "/a"}).starts_with(place + "match: "));  // no back-references
  EXPECT_TRUE(rule({"((a{1000}){1000})", "/a"}).starts_with(place + "match: "));
  EXPECT_TRUE(rule({"a", ""}).starts_with(place + "replacement: "));
  EXPECT_TRUE(rule({"a", "b"}).starts_with(place + "replacement: "));
  EXPECT_TRUE(rule({"a", "/b c"}).starts_with(place + "replacement: "));
  EXPECT_EQ(rule({"(a)", "/$2"}), place + "replacement: $2 is not among the 1 captures of match");
}

// What takes a backtracking engine longer than anybody waits.
TEST(DomainRoutes, TimeIsLinear) {
  const std::string path = "/" + std::string(4000, 'a') + "!";
  EXPECT_EQ(rewrite(&DomainRoute::regex, {"^/(a+)+$", "/x"}, path), path);
}

}  // namespace
}  // namespace okibi::conductor
