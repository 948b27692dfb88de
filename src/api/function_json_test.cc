#include "api/function_json.h"

#include <boost/json.hpp>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/crc64.h"

namespace okibi::api {
namespace {

namespace json = boost::json;

constexpr std::string_view kWhole = R"({
  "functionName":"ocr","runtime":"custom-container","handler":"h","description":"d\u00e9",
  "cpu":0.35,"memorySize":1024,"diskSize":10240,"instanceConcurrency":8,"timeout":60,
  "idleTimeout":5,"disableOndemand":true,"internetAccess":false,
  "gpuConfig":{"gpuType":"g1","gpuMemorySize":4096},
  "customContainerConfig":{"image":"127.0.0.1:5000/a/b:1","port":8080,"entrypoint":["/e"],
    "command":["c","d"],
    "healthCheckConfig":{"httpGetUrl":"/ok","initialDelaySeconds":2,"periodSeconds":4,
      "timeoutSeconds":3,"failureThreshold":5,"successThreshold":6},
    "registryConfig":{"authConfig":{"userName":"u","password":"geheim"}}},
  "instanceLifecycleConfig":{"initializer":{"handler":"i","timeout":30},
    "preStop":{"handler":"p","timeout":9}},
  "environmentVariables":{"A":"1"},"tags":[{"Key":"k","Value":"v"}],
  "okibi":{"modelDirectories":[{"name":"weights","subdirectory":"a/b","mountDir":"/models"}],"weight":3},
  "role":"acs:ram::1:role/r","logConfig":{"project":"p"},"somethingNew":[1]})";

FunctionSpec whole() {
  auto spec = readNewFunction(kWhole);
  EXPECT_TRUE(spec) << (spec ? "" : spec.error().message);
  return spec ? *spec : FunctionSpec();
}

// The least a new function has, with `more` members beside.
std::string minimal(std::string_view more = "") {
  return fmt::format(R"({{"functionName":"f","runtime":"custom-container","handler":"h",
    "customContainerConfig":{{"image":"i:1"}}{}{}}})",
                     more.empty() ? "" : ",", more);
}

TEST(FunctionJson, ReadsEveryField) {
  const FunctionSpec spec = whole();
  EXPECT_EQ(spec.name, "ocr");
  EXPECT_EQ(spec.description, "dé");
  EXPECT_EQ(spec.cpu, MilliCpu{350});
  EXPECT_EQ(spec.memory, Bytes::gib(1));
  EXPECT_EQ(spec.disk, Bytes::gib(10));
  EXPECT_EQ(spec.concurrency, 8);
  EXPECT_EQ(spec.timeout, Seconds(60));
  EXPECT_EQ(spec.idleTimeout, Seconds(5));
  EXPECT_FALSE(spec.onDemand);
  EXPECT_FALSE(spec.internetAccess);
  EXPECT_EQ(spec.gpu, (GpuConfig{"fc.gpu.tesla.1", Bytes::gib(4)}));
  EXPECT_EQ(spec.container.image, "127.0.0.1:5000/a/b:1");
  EXPECT_EQ(spec.container.port, 8080);
  EXPECT_EQ(spec.container.entrypoint, std::vector<std::string>{"/e"});
  EXPECT_EQ(spec.container.command, (std::vector<std::string>{"c", "d"}));
  EXPECT_EQ(spec.container.healthCheck,
            (HealthCheck{"/ok", Seconds(2), Seconds(4), Seconds(3), 5, 6}));
  EXPECT_EQ(spec.container.registryAuth, (RegistryAuth{"u", "geheim"}));
  EXPECT_EQ(spec.initializer, (Hook{"i", {}, Seconds(30)}));
  EXPECT_EQ(spec.preStop, (Hook{"p", {}, Seconds(9)}));
  EXPECT_EQ(spec.environment.at("A"), "1");
  EXPECT_EQ(spec.tags.at("k"), "v");
  EXPECT_EQ(spec.modelDirectories, (std::vector<ModelDirectory>{{"weights", "a/b", "/models"}}));
  EXPECT_EQ(spec.weight, 3);
  EXPECT_NE(spec.inertFields.find("role/r"), std::string::npos);
  EXPECT_EQ(spec.inertFields.find("somethingNew"), std::string::npos);
}

TEST(FunctionJson, WhatIsWrittenReadsBackTheSame) {
  Function function;
  function.spec = whole();
  function.spec.container.registryAuth.reset();  // the password is not written
  function.ref = {"1", "ocr"};
  const auto again = readNewFunction(functionJson(function, {"local"}, FunctionView::Full));
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(*again, function.spec);
}

TEST(FunctionJson, NeverShowsThePassword) {
  Function function;
  function.spec = whole();
  const std::string text = functionJson(function, {"local"}, FunctionView::Full);
  EXPECT_EQ(text.find("geheim"), std::string::npos);
  EXPECT_NE(text.find(R"("userName":"u")"), std::string::npos);
}

TEST(FunctionJson, WritesStateAndNames) {
  Function function;
  function.spec = whole();
  function.ref = {"42", "ocr"};
  function.active = function.spec;
  function.state = FunctionState::Active;
  function.imageDigest = "sha256:abc";
  const auto object =
      json::parse(functionJson(function, {"local"}, FunctionView::Full)).get_object();
  EXPECT_EQ(object.at("functionArn"), "acs:fc:local:42:functions/ocr");
  EXPECT_EQ(object.at("state"), "Active");
  EXPECT_EQ(object.at("createdTime"), "1970-01-01T00:00:00Z");
  EXPECT_EQ(object.at("role"), "acs:ram::1:role/r");
  const auto& container = object.at("customContainerConfig").get_object();
  EXPECT_EQ(container.at("resolvedImageUri"), "127.0.0.1:5000/a/b@sha256:abc");
  EXPECT_EQ(container.at("accelerationInfo").get_object().at("status"), "Ready");
  EXPECT_EQ(object.at("codeChecksum").as_string(), std::to_string(crc64("sha256:abc")));
  const auto listed =
      json::parse(functionJson(function, {"local"}, FunctionView::Listed)).get_object();
  EXPECT_FALSE(listed.contains("state"));
}

TEST(FunctionJson, EmptyObjectsOfTheCommandLineClientAreNotSet) {
  const auto spec = readNewFunction(minimal(
      R"("vpcConfig":{"vpcId":"","vSwitchIds":[],"securityGroupId":""},
      "nasConfig":{"userId":0,"groupId":0,"mountPoints":[]},"ossMountConfig":{"mountPoints":[]},
      "logConfig":{"project":"","logstore":"","enableRequestMetrics":false,"logBeginRule":"None"},
      "tracingConfig":{},"layers":[],"environmentVariables":{},"gpuConfig":{},
      "instanceIsolationMode":"SHARE","sessionAffinity":"NONE","code":null)"));
  ASSERT_TRUE(spec) << spec.error().message;
  EXPECT_FALSE(spec->gpu);
  EXPECT_TRUE(spec->environment.empty());
}

TEST(FunctionJson, EveryRefusalNamesItsField) {
  const std::pair<const char*, const char*> kCases[] = {
      {R"("memorySize":"512")", "memorySize: must be a whole number, not text"},
      {R"("memorySize":512.5)", "memorySize: must be a whole number"},
      {R"("memorySize":1e300)", "memorySize: is too large"},
      {R"("cpu":true)", "cpu: must be a number, not a boolean"},
      {R"("cpu":0.00001)", "cpu: "},
      {R"("timeout":[])", "timeout: must be a whole number, not a list"},
      {R"("description":7)", "description: must be text"},
      {R"("internetAccess":"yes")", "internetAccess: must be true or false"},
      {R"("environmentVariables":{"A":1})", "environmentVariables.A: must be text"},
      {R"("environmentVariables":[])", "environmentVariables: must be an object"},
      {R"("tags":[{"Value":"v"}])", "tags[0].Key: is required"},
      {R"("tags":[1])", "tags[0]: must be an object"},
      {R"("gpuConfig":{"gpuType":"g1"})", "gpuConfig.gpuMemorySize: is required"},
      {R"("gpuConfig":{"gpuMemorySize":1024})", "gpuConfig.gpuType: is required"},
      {R"("vpcConfig":{"vpcId":"vpc-1"})", "vpcConfig.vpcId: "},
      {R"("nasConfig":{"mountPoints":[{"serverAddr":"a"}]})", "nasConfig.mountPoints: "},
      {R"("ossMountConfig":{"mountPoints":[{"bucketName":"a"}]})", "ossMountConfig.mountPoints: "},
      {R"("nasConfig":{"mountPoints":[{"serverAddr":"a"}]})", "okibi.modelDirectories"},
      {R"("okibi":[])", "okibi: must be an object"},
      {R"("okibi":{"modelDirectory":[]})", "okibi.modelDirectory: is unknown; known here: model"},
      {R"("okibi":{"weight":"3"})", "okibi.weight: must be a whole number"},
      {R"("okibi":{"weight":2.5})", "okibi.weight: must be a whole number"},
      {R"("okibi":{"modelDirectories":{}})", "okibi.modelDirectories: must be a list"},
      {R"("okibi":{"modelDirectories":[{"name":"a"}]})",
       "okibi.modelDirectories[0].mountDir: is required"},
      {R"("okibi":{"modelDirectories":[{"name":"a","mountDir":"/a","subDirectory":"b"}]})",
       "okibi.modelDirectories[0].subDirectory: is unknown; known here: name, subdirectory, mount"},
      {R"("polarFsConfig":{"mountPoints":[{"a":"b"}]})", "polarFsConfig.mountPoints: "},
      {R"("juiceFsConfig":{"mountPoints":[{"a":"b"}]})", "juiceFsConfig.mountPoints: "},
      {R"("layers":["acs:fc:x:y:layers/z/versions/1"])", "layers: "},
      {R"("code":{"zipFile":"UEsD"})", "code: "},
      {R"("customRuntimeConfig":{"port":1})", "customRuntimeConfig: "},
      {R"("customDNS":{"nameServers":["1.1.1.1"]})", "customDNS: "},
      {R"("sessionAffinity":"MCP_SSE")", "sessionAffinity: 'MCP_SSE'"},
      {R"("instanceIsolationMode":"SESSION")", "instanceIsolationMode: 'SESSION'"},
      {R"("enableLongLiving":true)", "enableLongLiving: "},
      {R"("instanceLifecycleConfig":{"initializer":{"timeout":"x"}})",
       "instanceLifecycleConfig.initializer.timeout: must be"},
      {R"("customContainerConfig":{"image":"i:1","command":"ls"})",
       "customContainerConfig.command: must be a list of texts"},
      {R"("customContainerConfig":{"image":"i:1","command":["ls",1]})",
       "customContainerConfig.command[1]: must be text"},
      {R"("customContainerConfig":{"image":"i","registryConfig":{"authConfig":{"userName":"u"}}})",
       "customContainerConfig.registryConfig.authConfig.password: is required"},
      {R"("customContainerConfig":{"image":"i","registryConfig":{"certConfig":{"insecure":true}}})",
       "customContainerConfig.registryConfig.certConfig: "}};
  for (const auto& [member, message] : kCases) {
    const auto spec = readNewFunction(minimal(member));
    ASSERT_FALSE(spec) << member;
    EXPECT_EQ(spec.error().code, "InvalidArgument");
    EXPECT_NE(spec.error().message.find(message), std::string::npos) << spec.error().message;
  }
}

TEST(FunctionJson, AllComplaintsComeAtOnce) {
  const auto spec = readNewFunction(R"({"timeout":"x","memorySize":"y"})");
  ASSERT_FALSE(spec);
  for (const char* field : {"functionName", "runtime", "handler", "timeout", "memorySize"}) {
    EXPECT_NE(spec.error().message.find(std::string(field) + ": "), std::string::npos) << field;
  }
}

TEST(FunctionJson, WhatIsNoObjectIsRefused) {
  for (const char* text : {"", "{", "[]", "7", "{\"a\":\"\xff\"}", "{} x"}) {
    EXPECT_FALSE(readNewFunction(text)) << text;
    EXPECT_FALSE(readFunctionUpdate(text, {})) << text;
  }
  EXPECT_FALSE(readNewFunction(std::string(100'000, '[')));
}

TEST(FunctionUpdate, ChangesOnlyWhatIsNamed) {
  const FunctionSpec before = whole();
  const auto after = readFunctionUpdate(R"({"functionName":"other","timeout":9})", before);
  ASSERT_TRUE(after);
  FunctionSpec expected = before;
  expected.timeout = Seconds(9);
  EXPECT_EQ(*after, expected);
  EXPECT_EQ(*readFunctionUpdate("{}", before), before);
}

TEST(FunctionUpdate, ContainerIsReplacedButThePasswordStays) {
  const auto after = readFunctionUpdate(
      R"({"customContainerConfig":{"image":"j:2","registryConfig":{"authConfig":{"userName":"u"}}}})",
      whole());
  ASSERT_TRUE(after) << after.error().message;
  EXPECT_EQ(after->container.image, "j:2");
  EXPECT_EQ(after->container.port, 9000);
  EXPECT_FALSE(after->container.healthCheck);
  EXPECT_EQ(after->container.registryAuth, (RegistryAuth{"u", "geheim"}));
  // Another user's password is another password.
  EXPECT_FALSE(readFunctionUpdate(
      R"({"customContainerConfig":{"image":"j","registryConfig":{"authConfig":{"userName":"x"}}}})",
      whole()));
}

TEST(FunctionUpdate, EmptyHandlerSwitchesAHookOff) {
  const auto after = readFunctionUpdate(
      R"({"instanceLifecycleConfig":{"initializer":{"handler":"","command":[],"timeout":0}}})",
      whole());
  ASSERT_TRUE(after);
  EXPECT_FALSE(after->initializer.enabled());
  EXPECT_TRUE(after->preStop.enabled());
}

TEST(FunctionUpdate, EmptyGpuConfigTakesTheGpuAway) {
  const auto after = readFunctionUpdate(R"({"gpuConfig":{},"environmentVariables":{}})", whole());
  ASSERT_TRUE(after);
  EXPECT_FALSE(after->gpu);
  EXPECT_TRUE(after->environment.empty());
}

TEST(FunctionUpdate, ModelDirectoriesStayUntilTheyAreNamed) {
  const auto after = [](const char* text) {
    const auto updated = readFunctionUpdate(text, whole());
    EXPECT_TRUE(updated) << text;
    return updated ? updated->modelDirectories : std::vector<ModelDirectory>{};
  };
  for (const char* unnamed : {"{}", R"({"okibi":{}})", R"({"okibi":null})"}) {
    EXPECT_EQ(after(unnamed), whole().modelDirectories) << unnamed;
  }
  EXPECT_TRUE(after(R"({"okibi":{"modelDirectories":[]}})").empty());
  const std::vector<ModelDirectory> other{{"b", "", "/b"}};
  EXPECT_EQ(after(R"({"okibi":{"modelDirectories":[{"name":"b","mountDir":"/b"}]}})"), other);
}

TEST(FunctionUpdate, TheWeightStaysUntilItIsNamed) {
  const auto after = [](const char* text) {
    const auto updated = readFunctionUpdate(text, whole());
    EXPECT_TRUE(updated) << text;
    return updated ? updated->weight : std::nullopt;
  };
  for (const char* unnamed : {"{}", R"({"okibi":{"modelDirectories":[]}})", R"({"okibi":null})"}) {
    EXPECT_EQ(after(unnamed), 3) << unnamed;
  }
  EXPECT_EQ(after(R"({"okibi":{"weight":1}})"), 1);
}

TEST(FunctionUpdate, InertFieldsAreReplacedOneByOne) {
  const auto after = readFunctionUpdate(R"({"role":"other"})", whole());
  ASSERT_TRUE(after);
  const auto kept = json::parse(after->inertFields).get_object();
  EXPECT_EQ(kept.at("role"), "other");
  EXPECT_EQ(kept.at("logConfig").get_object().at("project"), "p");
  EXPECT_FALSE(
      readFunctionUpdate(fmt::format(R"({{"role":"{}"}})", std::string(70'000, 'x')), whole()));
}

}  // namespace
}  // namespace okibi::api
