#include "model/validation.h"

#include <functional>

#include <gtest/gtest.h>

namespace okibi {
namespace {

class Validation : public testing::Test {
 protected:
  Validation() {
    spec.name = "f";
    spec.container.image = "oci:/image:latest";
    cards.push_back({CardId(1), "SIM-1", "fc.gpu.tesla.1", Bytes::gib(16), CardOrigin::Simulated});
  }
  std::string problem() const {
    auto valid = validate(spec, {2, Bytes::gib(8), cards});
    if (valid) return "";
    EXPECT_EQ(valid.error().kind, ErrorKind::Invalid);
    return valid.error().message;
  }
  FunctionSpec spec;
  std::vector<Card> cards;
};

TEST_F(Validation, TheDefaultsWithAnImageAreInOrder) {
  EXPECT_EQ(problem(), "");
}

TEST_F(Validation, LimitsThemselvesAreInOrder) {
  spec.concurrency = 200;
  spec.timeout = Seconds(86400);
  spec.idleTimeout = Seconds(1);
  spec.cpu = MilliCpu{2000};
  spec.memory = Bytes::gib(8);
  spec.disk = Bytes::mib(20480);
  spec.gpu = GpuConfig{"fc.gpu.tesla.1", Bytes::gib(16)};
  spec.initializer = {.handler = "initialize", .command = {}, .timeout = Seconds(300)};
  spec.weight = 100;
  EXPECT_EQ(problem(), "");
}

struct Broken {
  const char* field;
  std::function<void(FunctionSpec&)> breakIt;
};

TEST_F(Validation, EachBrokenRuleNamesItsField) {
  const std::vector<Broken> rules{
      {"functionName", [](FunctionSpec& s) { s.name = "1f"; }},
      {"functionName", [](FunctionSpec& s) { s.name = std::string(65, 'a'); }},
      {"instanceConcurrency", [](FunctionSpec& s) { s.concurrency = 0; }},
      {"instanceConcurrency", [](FunctionSpec& s) { s.concurrency = 201; }},
      {"timeout", [](FunctionSpec& s) { s.timeout = Seconds(0); }},
      {"okibi.weight", [](FunctionSpec& s) { s.weight = 0; }},
      {"okibi.weight", [](FunctionSpec& s) { s.weight = 101; }},
      {"idleTimeout", [](FunctionSpec& s) { s.idleTimeout = Seconds(3601); }},
      {"cpu", [](FunctionSpec& s) { s.cpu = MilliCpu{2050}; }},
      {"cpu", [](FunctionSpec& s) { s.cpu = MilliCpu{70}; }},
      {"memorySize", [](FunctionSpec& s) { s.memory = Bytes::mib(100); }},
      {"memorySize", [](FunctionSpec& s) { s.memory = Bytes::gib(9); }},
      {"diskSize", [](FunctionSpec& s) { s.disk = Bytes::mib(1024); }},
      {"runtime", [](FunctionSpec& s) { s.runtime = "python3.10"; }},
      {"customContainerConfig.image", [](FunctionSpec& s) { s.container.image = ""; }},
      {"customContainerConfig.port", [](FunctionSpec& s) { s.container.port = 65536; }},
      {"gpuConfig.gpuType",
       [](FunctionSpec& s) { s.gpu = GpuConfig{"fc.gpu.ada.1", Bytes::gib(1)}; }},
      {"gpuConfig.gpuMemorySize",
       [](FunctionSpec& s) { s.gpu = GpuConfig{"fc.gpu.tesla.1", Bytes::gib(17)}; }},
      {"gpuConfig.gpuMemorySize",
       [](FunctionSpec& s) { s.gpu = GpuConfig{"fc.gpu.tesla.1", Bytes::mib(1536)}; }},
      {"instanceLifecycleConfig.initializer.timeout",
       [](FunctionSpec& s) { s.initializer = {"initialize", {}, Seconds(301)}; }},
      {"instanceLifecycleConfig.initializer",
       [](FunctionSpec& s) { s.initializer = {"initialize", {"run"}, Seconds(3)}; }},
      {"environmentVariables", [](FunctionSpec& s) { s.environment["FC_X"] = "1"; }},
      {"environmentVariables.FCGPU_RUNTIME_SHMSIZE",
       [](FunctionSpec& s) { s.environment["FCGPU_RUNTIME_SHMSIZE"] = "lots"; }},
      {"environmentVariables.FCGPU_RUNTIME_SHMSIZE",
       [](FunctionSpec& s) { s.environment["FCGPU_RUNTIME_SHMSIZE"] = "0"; }},
      {"environmentVariables.FCGPU_RUNTIME_SHMSIZE",
       [](FunctionSpec& s) { s.environment["FCGPU_RUNTIME_SHMSIZE"] = "1G"; }},
      {"environmentVariables", [](FunctionSpec& s) { s.environment["1x"] = "1"; }},
      {"environmentVariables",
       [](FunctionSpec& s) { s.environment["X"] = std::string(4096, 'x'); }},
  };
  const FunctionSpec sound = spec;
  for (const Broken& rule : rules) {
    spec = sound;
    rule.breakIt(spec);
    EXPECT_EQ(problem().substr(0, std::string_view(rule.field).size()), rule.field) << problem();
  }
}

TEST_F(Validation, TheMemoryOnPaperMeansAWholeCard) {
  cards[0].memory = Bytes::gib(14);  // what the driver leaves of a T4
  spec.gpu = GpuConfig{"fc.gpu.tesla.1", Bytes::gib(16)};
  EXPECT_EQ(problem(), "");
  EXPECT_EQ(sliceOf(*spec.gpu, cards), Bytes::gib(14));
  spec.gpu->memory = Bytes::gib(15);
  EXPECT_NE(problem(), "");
  spec.gpu->memory = Bytes::gib(14);
  EXPECT_EQ(sliceOf(*spec.gpu, cards), Bytes::gib(14));
}

TEST_F(Validation, AGpuRefusalSaysWhatExists) {
  spec.gpu = GpuConfig{"fc.gpu.none", Bytes::gib(1)};
  EXPECT_NE(problem().find("1 × fc.gpu.tesla.1 (16 GB, simulated)"), std::string::npos);
  cards.clear();
  EXPECT_NE(problem().find("no GPU"), std::string::npos);
}

TEST(TriggerValidation, MethodsTypeAndQualifier) {
  Trigger trigger;
  trigger.name = "http";
  trigger.type = "http";
  trigger.http.methods = {"GET"};
  EXPECT_TRUE(validate(trigger));
  trigger.http.methods = {"BREW"};
  EXPECT_FALSE(validate(trigger));
  trigger.http.methods.clear();
  EXPECT_FALSE(validate(trigger));
  trigger.http.methods = {"GET"};
  trigger.type = "oss";
  EXPECT_NE(validate(trigger).error().message.find("'oss'"), std::string::npos);
}

}  // namespace
}  // namespace okibi
