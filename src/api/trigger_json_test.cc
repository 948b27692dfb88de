#include "api/trigger_json.h"

#include <boost/json.hpp>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "api/api.h"
#include "conductor/error_answer.h"

namespace okibi::api {
namespace {

namespace json = boost::json;

std::string withConfig(std::string_view config) {
  return fmt::format(R"({{"triggerName":"t","triggerType":"http","triggerConfig":{}}})",
                     jsonQuote(config));
}

TEST(TriggerJson, ReadsAndWritesAnHttpTrigger) {
  const char* config = R"({"authType":"function","methods":["get","POST"]})";
  auto trigger = readNewTrigger(withConfig(config));
  ASSERT_TRUE(trigger) << trigger.error().message;
  EXPECT_EQ(trigger->http,
            (HttpTriggerConfig{HttpAuth::Function, {"GET", "POST"}, false, {}, {}, {}, {}}));
  EXPECT_EQ(trigger->configText, config);
  EXPECT_EQ(trigger->qualifier, "LATEST");
  trigger->id = "abc";
  trigger->label = "abc";
  const auto out = json::parse(triggerJson(*trigger, "arn", {"r", "", 7070})).get_object();
  EXPECT_EQ(out.at("triggerConfig"), config);
  EXPECT_EQ(out.at("httpTrigger").get_object().at("urlInternet"),
            "http://abc.r.okibi.localhost:7070/");
  EXPECT_EQ(out.at("targetArn"), "arn");
}

TEST(TriggerJson, HidesTheInternetUrlWhereItIsSwitchedOff) {
  const auto trigger = readNewTrigger(
      withConfig(R"({"authType":"anonymous","methods":["GET"],"disableURLInternet":true})"));
  ASSERT_TRUE(trigger);
  const auto out = json::parse(triggerJson(*trigger, "arn", {})).get_object();
  EXPECT_FALSE(out.at("httpTrigger").get_object().contains("urlInternet"));
}

TEST(TriggerJson, EveryRefusalNamesItsField) {
  const std::pair<const char*, const char*> kCases[] = {
      {"nonsense", "triggerConfig: is not JSON"},
      {"[]", "triggerConfig: must be an object"},
      {R"({"methods":["GET"]})", "triggerConfig.authType: is required"},
      {R"({"authType":"anonymous"})", "triggerConfig.methods: is required"},
      {R"({"authType":"jwt","methods":["GET"]})", "triggerConfig.authConfig: is required"},
      {R"({"authType":"anonymous","methods":"GET"})", "triggerConfig.methods: must be a list"},
      {R"({"authType":"anonymous","methods":["GET"],"corsConfig":{"maxAge":-1}})",
       "triggerConfig.corsConfig.maxAge: "},
      {R"({"authType":"basic","methods":["GET"],"authConfig":"no"})",
       "triggerConfig.authConfig: "}};
  for (const auto& [config, message] : kCases) {
    const auto trigger = readNewTrigger(withConfig(config));
    ASSERT_FALSE(trigger) << config;
    EXPECT_NE(trigger.error().message.find(message), std::string::npos) << trigger.error().message;
  }
  const auto empty = readNewTrigger("{}");
  ASSERT_FALSE(empty);
  for (const char* field : {"triggerName", "triggerType", "triggerConfig"}) {
    EXPECT_NE(empty.error().message.find(std::string(field) + ": is required"), std::string::npos);
  }
}

TEST(TriggerJson, UpdateChangesOnlyWhatIsNamed) {
  auto current = *readNewTrigger(withConfig(R"({"authType":"function","methods":["GET"]})"));
  current.id = "abc";
  const auto described = readTriggerUpdate(R"({"description":"d"})", current);
  ASSERT_TRUE(described);
  EXPECT_EQ(described->http, current.http);
  EXPECT_EQ(described->description, "d");
  EXPECT_EQ(described->id, "abc");
  const auto opened = readTriggerUpdate(
      R"({"triggerConfig":"{\"authType\":\"anonymous\",\"methods\":[\"PUT\"]}"})", current);
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->http.auth, HttpAuth::Anonymous);
  EXPECT_EQ(opened->http.methods, std::vector<std::string>{"PUT"});
}

TEST(ErrorAnswer, IsValidJsonWhateverTheMessage) {
  const Error error{ErrorKind::NotFound, "a\"b\\c\n\x01\xff\xed\xa0\x80 é \xf0\x9f\x98\x80",
                    "FunctionNotFound"};
  const auto body = json::parse(errorBody("1-x", error)).get_object();
  EXPECT_EQ(body.at("RequestId"), "1-x");
  EXPECT_EQ(body.at("Code"), "FunctionNotFound");
  EXPECT_EQ(body.at("Message"),
            "a\"b\\c\n\x01\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd é \xf0\x9f\x98\x80");
  EXPECT_EQ(httpStatus(error), 404);
  EXPECT_EQ(wireCode({ErrorKind::Exhausted, "", ""}), "ResourceExhausted");
}

TEST(Api, LeavesInvocationsToTheGateway) {
  const auto owns = [](const char* method, const char* target) {
    net::RequestHead head;
    head.method = method;
    head.target = target;
    return Api::owns(head);
  };
  EXPECT_TRUE(owns("GET", "/2023-03-30/functions"));
  EXPECT_TRUE(owns("GET", "/okibi/v1/info"));
  EXPECT_FALSE(owns("POST", "/2023-03-30/functions/f/invocations?qualifier=LATEST"));
  EXPECT_TRUE(owns("GET", "/2023-03-30/functions/f/invocations"));
  EXPECT_FALSE(owns("GET", "/proxy/abc/"));
  EXPECT_FALSE(owns("GET", "/2023-03-3"));
}

}  // namespace
}  // namespace okibi::api
