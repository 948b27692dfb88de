#include "store/function_codec.h"

#include <gtest/gtest.h>

#include "store/random_spec.h"

namespace okibi::store {
namespace {

TEST(FunctionCodec, EverySpecComesBack) {
  Random random(1);
  for (int i = 0; i < 500; ++i) {
    const FunctionSpec spec = randomSpec(random);
    const auto back = decodeSpec(encodeSpec(spec));
    ASSERT_TRUE(back) << back.error().message;
    ASSERT_EQ(*back, spec) << encodeSpec(spec);
  }
}

TEST(FunctionCodec, EveryKindOfResourceComesBack) {
  Random random(2);
  for (int i = 0; i < 100; ++i) {
    const auto resources = randomResources(random);
    ASSERT_EQ(resources.size(), std::variant_size_v<Resource>);
    for (std::size_t kind = 0; kind < resources.size(); ++kind) {
      ASSERT_EQ(resources[kind].index(), kind);
      const std::string text = encodeResource(resources[kind]);
      const auto back = decodeResource(kResourceKinds[kind], text);
      ASSERT_TRUE(back) << back.error().message;
      ASSERT_EQ(*back, resources[kind]) << text;
    }
  }
  EXPECT_FALSE(decodeResource("nothing", "{}"));
  EXPECT_FALSE(decodeResource("cap", R"({"reserved":"1"})"));
}

TEST(FunctionCodec, TriggersComeBack) {
  for (const auto auth : {HttpAuth::Anonymous, HttpAuth::Function, HttpAuth::Bearer,
                          HttpAuth::Basic, HttpAuth::Jwt}) {
    HttpTriggerConfig config;
    config.auth = auth;
    config.methods = {"GET", "POST"};
    config.internetDisabled = auth == HttpAuth::Function;
    config.bearer = {{"n", "d", false}};
    config.basic = {{"u", "p"}};
    if (auth == HttpAuth::Jwt) {
      config.jwt =
          JwtRule{"{}", {{{"header", "A"}, "B"}}, {{{"query", "q"}, "c"}}, {"/a"}, {"/b*"}};
      config.cors = CorsRule{{"*"}, {"GET"}, {"x"}, {"y"}, true, Seconds(5)};
    }
    const auto back = decodeHttpTrigger(encodeHttpTrigger(config));
    ASSERT_TRUE(back);
    EXPECT_EQ(*back, config);
  }
}

TEST(FunctionCodec, WhatOlderDaemonsStoredIsReadWithDefaults) {
  std::string text = encodeSpec(FunctionSpec());
  const std::string added = R"(,"accelerationType":"")";
  ASSERT_NE(text.find(added), std::string::npos) << text;
  text.erase(text.find(added), added.size());
  const auto back = decodeSpec(text);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(*back, FunctionSpec());
}

TEST(FunctionCodec, BytesThatAreNoUtf8ComeBackToo) {
  FunctionSpec spec;
  spec.environment["K"] = "\xff\xfe";
  const auto back = decodeSpec(encodeSpec(spec));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->environment, spec.environment);
}

TEST(FunctionCodec, WrongJsonIsRefusedByField) {
  const std::string good = encodeSpec(FunctionSpec());
  const auto broken = [&](std::string_view from, std::string_view to) {
    std::string text = good;
    const auto at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
    const auto result = decodeSpec(text);
    return result ? std::string("accepted") : result.error().message;
  };
  EXPECT_NE(broken("\"concurrency\":1", "\"concurrency\":\"1\"").find("concurrency"),
            std::string::npos);
  EXPECT_NE(broken("\"concurrency\":1", "\"concurrency\":9999999999").find("smaller"),
            std::string::npos);
  EXPECT_NE(broken("\"port\":9000,", "").find("container.port: missing"), std::string::npos);
  EXPECT_NE(broken("\"port\":9000,", "\"port\":9000,\"extra\":1,").find("unknown members"),
            std::string::npos);
  EXPECT_NE(broken("\"onDemand\":true", "\"onDemand\":1").find("onDemand"), std::string::npos);
  EXPECT_NE(broken("\"environment\":{}", "\"environment\":[]").find("environment"),
            std::string::npos);
  for (const char* text : {"", "[]", "null", "{", "{}"}) {
    EXPECT_EQ(decodeSpec(text).error().kind, ErrorKind::Invalid) << text;
  }
  EXPECT_FALSE(decodeHttpTrigger(
      R"({"auth":"magic","methods":[],"internetDisabled":false,"bearer":[],"basic":[],"jwt":null,"cors":null})"));
}

}  // namespace
}  // namespace okibi::store
