// Who may call an HTTP trigger, and from where.

#include <gtest/gtest.h>

#include "base/encoding.h"
#include "gateway/cors.h"
#include "gateway/trigger_auth.h"

namespace okibi::gateway {
namespace {

class TriggerAuth : public testing::Test {
 protected:
  std::string ask(std::initializer_list<std::pair<std::string_view, std::string_view>> headers,
                  std::string_view path = "/") {
    net::RequestHead head;
    head.headers = net::Headers(headers);
    const auto passed = authenticateCaller(
        trigger_.http, [](const auth::Caller&) { return Result<void>(); }, head, path, verifier_,
        WallTime{});
    return passed ? "let in" : passed.error().message;
  }

  Trigger trigger_;
  auth::Verifier verifier_{[](std::string_view) { return std::nullopt; }};
};

TEST_F(TriggerAuth, BearerTokensThatAreEnabled) {
  trigger_.http.auth = HttpAuth::Bearer;
  trigger_.http.bearer = {{"on", std::string(32, 'a'), true}, {"off", std::string(32, 'b'), false}};
  EXPECT_EQ(ask({{"authorization", "Bearer " + std::string(32, 'a')}}), "let in");
  EXPECT_EQ(ask({{"authorization", "bearer " + std::string(32, 'a')}}), "let in");
  EXPECT_EQ(ask({}), "Authorization header is expected but missing");
  for (const std::string& bad : {"Bearer " + std::string(32, 'b'), "Bearer " + std::string(31, 'a'),
                                 std::string(32, 'a'), std::string("Bearer "), std::string("x")}) {
    EXPECT_EQ(ask({{"authorization", bad}}), "access denied due to invalid bearer token") << bad;
  }
}

TEST_F(TriggerAuth, BasicUsers) {
  trigger_.http.auth = HttpAuth::Basic;
  trigger_.http.basic = {{"u", "p:w"}, {"v", "x"}};
  EXPECT_EQ(ask({{"authorization", "Basic " + toBase64("u:p:w")}}), "let in");
  EXPECT_EQ(ask({{"authorization", "Basic " + toBase64("v:x")}}), "let in");
  EXPECT_EQ(ask({}), "authorization require");
  EXPECT_EQ(ask({{"authorization", "Bearer x"}}), "Authorization header must start with Basic");
  for (const std::string& bad : {"u:x", "u:", ":p:w", "u:p:w "}) {
    EXPECT_EQ(ask({{"authorization", "Basic " + toBase64(bad)}}),
              "access denied due to invalid user or password");
  }
  EXPECT_NE(ask({{"authorization", "Basic ***"}}), "let in");
}

TEST_F(TriggerAuth, JwtIsAskedWhereThePathsSay) {
  trigger_.http.auth = HttpAuth::Jwt;
  trigger_.http.jwt = JwtRule{"{}", {{{"header", "Authorization"}, "Bearer"}}, {}, {}, {}};
  EXPECT_EQ(ask({}, "/a"), "missing or malformed jwt");
  EXPECT_EQ(ask({{"authorization", "Bearer x.y.z"}}, "/a"), "invalid or expired jwt");
  EXPECT_EQ(ask({{"authorization", "x.y.z"}}, "/a"), "missing or malformed jwt");
  trigger_.http.jwt->open = {"/a", "/b/*"};
  EXPECT_EQ(ask({}, "/a"), "let in");
  EXPECT_EQ(ask({}, "/b/c"), "let in");
  EXPECT_EQ(ask({}, "/ab"), "missing or malformed jwt");
  trigger_.http.jwt->open.clear();
  trigger_.http.jwt->closed = {"/secret/*"};
  EXPECT_EQ(ask({}, "/a"), "let in");
  EXPECT_EQ(ask({}, "/secret/a"), "missing or malformed jwt");
}

TEST(PassOn, ClaimsReplaceWhatTheCallerSaid) {
  net::RequestHead head;
  head.headers.add("X-Name", "forged");
  std::string target = "/a?b=c";
  passOn({{{"x-name", "kyo"}, {"x-bad", "a\r\nb: c"}}, {{"uid", "7&8"}}}, head, target);
  EXPECT_EQ(head.headers.getOr("x-name", ""), "kyo");
  EXPECT_EQ(head.headers.count("x-name"), 1u);
  EXPECT_FALSE(head.headers.has("x-bad"));
  EXPECT_EQ(target, "/a?b=c&uid=7%268");
}

net::RequestHead preflight(std::string_view origin, std::string_view method,
                           std::string_view headers = "") {
  net::RequestHead head;
  head.method = "OPTIONS";
  head.headers.add("origin", origin);
  head.headers.add("access-control-request-method", method);
  if (!headers.empty()) head.headers.add("access-control-request-headers", headers);
  return head;
}

TEST(Cors, PreflightsOfTheRuleAreAnswered) {
  HttpTriggerConfig http;
  EXPECT_FALSE(answerPreflight(http, preflight("http://a", "GET"))) << "without a rule";
  http.cors = CorsRule{{"http://a"}, {"GET", "PUT"}, {"x-a"}, {}, true, Seconds(9)};
  const auto answer = answerPreflight(http, preflight("http://a", "PUT", "X-A"));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 204);
  EXPECT_EQ(answer->headers.getOr("access-control-allow-origin", ""), "http://a");
  EXPECT_EQ(answer->headers.getOr("access-control-allow-methods", ""), "GET,PUT");
  EXPECT_EQ(answer->headers.getOr("access-control-allow-credentials", ""), "true");
  EXPECT_EQ(answer->headers.getOr("access-control-max-age", ""), "9");
  EXPECT_FALSE(answerPreflight(http, preflight("http://b", "GET")));
  EXPECT_FALSE(answerPreflight(http, preflight("http://a", "POST")));
  EXPECT_FALSE(answerPreflight(http, preflight("http://a", "GET", "x-a, x-b")));
}

TEST(Cors, AnswersSayWhoMayReadThem) {
  HttpTriggerConfig http;
  net::ResponseHead open;
  addCorsHeaders(http, "http://a", open);
  EXPECT_EQ(open.headers.getOr("access-control-allow-origin", ""), "http://a");
  net::ResponseHead own;
  own.headers.add("Access-Control-Allow-Origin", "http://own");
  addCorsHeaders(http, "http://a", own);
  EXPECT_EQ(own.headers.getOr("access-control-allow-origin", ""), "http://own");
  net::ResponseHead none;
  addCorsHeaders(http, "", none);
  EXPECT_TRUE(none.headers.empty());
  http.cors = CorsRule{{"http://a"}, {"GET"}, {}, {"x-b"}, false, Seconds(1)};
  addCorsHeaders(http, "http://b", own);
  EXPECT_FALSE(own.headers.has("access-control-allow-origin"))
      << "the rule decides, not the function";
  addCorsHeaders(http, "http://a", own);
  EXPECT_EQ(own.headers.getOr("access-control-expose-headers", ""), "x-b");
  EXPECT_FALSE(own.headers.has("access-control-allow-credentials"));
}

}  // namespace
}  // namespace okibi::gateway
