// What a sandbox is told, and how a cold start is divided among those who waited for it.

#include <algorithm>

#include <gtest/gtest.h>

#include "conductor/start_plan.h"

namespace okibi::conductor {
namespace {

Instant at(int milliseconds) {
  return Instant(std::chrono::milliseconds(milliseconds));
}

TEST(Phases, OfTheRequestThatCausedTheStart) {
  const StartTimes times{at(10), at(12), at(20), at(50), at(150)};
  const ledger::ColdPhases phases = phasesWithin(times, at(5), at(151));
  EXPECT_EQ(phases.schedule, 6ms);  // 5 before it was ordered, 1 after it was ready
  EXPECT_EQ(phases.image, 2ms);
  EXPECT_EQ(phases.sandbox, 8ms);
  EXPECT_EQ(phases.app, 30ms);
  EXPECT_EQ(phases.init, 100ms);
}

TEST(Phases, OfALaterRequestOnlyWhatItWaitedFor) {
  const StartTimes times{at(10), at(12), at(20), at(50), at(150)};
  const ledger::ColdPhases phases = phasesWithin(times, at(40), at(150));
  EXPECT_EQ(phases.sandbox, 0ms);
  EXPECT_EQ(phases.app, 10ms);
  EXPECT_EQ(phases.init, 100ms);
  EXPECT_EQ(phases.sum(), 110ms);
}

TEST(Phases, AlwaysSumToTheWait) {
  const StartTimes times{at(10), at(12), at(20), at(50), at(150)};
  for (int received = 0; received < 200; received += 7) {
    for (int dispatched = received; dispatched < 220; dispatched += 11) {
      const auto phases = phasesWithin(times, at(received), at(dispatched));
      EXPECT_EQ(phases.sum(), at(dispatched) - at(received));
      EXPECT_GE(phases.schedule, 0ms);
    }
  }
}

class StartPlan : public testing::Test {
 protected:
  seams::InstanceSpec plan() {
    revision.spec = spec;
    revision.image.config = image;
    instance.revision = std::make_shared<Revision>(revision);
    instance.name = "c-1";
    auto planned = planStart(instance, {"acct", "here", credentials});
    EXPECT_TRUE(planned);
    return planned ? *planned : seams::InstanceSpec{};
  }
  static bool has(const seams::InstanceSpec& planned, const std::string& entry) {
    return std::ranges::find(planned.environment, entry) != planned.environment.end();
  }
  using Words = std::vector<std::string>;
  FunctionSpec spec;
  seams::ImageConfig image{.entrypoint = {"/e"},
                           .command = {"c"},
                           .environment = {},
                           .workingDirectory = {},
                           .user = {},
                           .architecture = {}};
  Revision revision;
  Instance instance;
  std::shared_ptr<const Credentials> credentials;
};

TEST_F(StartPlan, EntrypointAndCommandFollowDocker) {
  EXPECT_EQ(plan().arguments, (Words{"/e", "c"}));
  spec.container.command = {"d"};
  EXPECT_EQ(plan().arguments, (Words{"/e", "d"}));
  spec.container.entrypoint = {"/f"};
  EXPECT_EQ(plan().arguments, (Words{"/f", "d"}));
  spec.container.command.clear();
  EXPECT_EQ(plan().arguments, (Words{"/f"}));
}

TEST_F(StartPlan, NothingToRunIsAnError) {
  instance.revision = std::make_shared<Revision>();
  const auto planned = planStart(instance, {"acct", "here"});
  ASSERT_FALSE(planned);
  EXPECT_EQ(planned.error().code, "FunctionNotStarted");
}

TEST_F(StartPlan, EnvironmentLaterWinsAndReservedNamesStay) {
  image.environment = {"A=image", "B=image"};
  spec.environment = {{"A", "function"}};
  spec.container.port = 8080;
  const auto planned = plan();
  EXPECT_TRUE(has(planned, "A=function"));
  EXPECT_TRUE(has(planned, "B=image"));
  EXPECT_TRUE(has(planned, "FC_CUSTOM_LISTEN_PORT=8080"));
  EXPECT_TRUE(has(planned, "FC_INSTANCE_ID=c-1"));
  EXPECT_TRUE(has(planned, "FC_REGION=here"));
}

TEST_F(StartPlan, CredentialsAreInTheEnvironmentUnlessTheFunctionHasItsOwn) {
  const auto count = [](const seams::InstanceSpec& planned) {
    return std::ranges::count_if(planned.environment, [](const std::string& entry) {
      return entry.starts_with("ALIBABA_CLOUD_");
    });
  };
  EXPECT_EQ(count(plan()), 0);
  credentials = std::make_shared<const Credentials>(Credentials{"STS.i", "s", "t"});
  image.environment = {"ALIBABA_CLOUD_SECURITY_TOKEN=image"};
  EXPECT_EQ(count(plan()), 3);
  EXPECT_TRUE(has(plan(), "ALIBABA_CLOUD_ACCESS_KEY_ID=STS.i"));
  EXPECT_TRUE(has(plan(), "ALIBABA_CLOUD_ACCESS_KEY_SECRET=s"));
  EXPECT_TRUE(has(plan(), "ALIBABA_CLOUD_SECURITY_TOKEN=t"));
  image.environment.clear();
  spec.environment = {{"ALIBABA_CLOUD_ACCESS_KEY_ID", "own"}};
  EXPECT_EQ(count(plan()), 1);
  EXPECT_TRUE(has(plan(), "ALIBABA_CLOUD_ACCESS_KEY_ID=own"));
}

TEST_F(StartPlan, SharedMemoryIsAsAskedWithinHalfTheMemory) {
  EXPECT_EQ(plan().sharedMemory, limits::kShmDefault);
  spec.environment["FCGPU_RUNTIME_SHMSIZE"] = "134217728";
  EXPECT_EQ(plan().sharedMemory, Bytes::mib(128));
  spec.environment["FCGPU_RUNTIME_SHMSIZE"] = "999999999999";
  EXPECT_EQ(plan().sharedMemory, Bytes(spec.memory.count() / 2));
  spec.environment["FCGPU_RUNTIME_SHMSIZE"] = "lots";
  EXPECT_EQ(plan().sharedMemory, limits::kShmDefault);
}

TEST_F(StartPlan, ACardsLibrariesComeBeforeTheImages) {
  image.environment = {"LD_LIBRARY_PATH=/opt/lib:/lib", "NVIDIA_VISIBLE_DEVICES=all"};
  auto planned = plan();
  seams::DeviceEdits edits;
  edits.nodes = {{"/dev/nvidia0", "/dev/nvidia0"}};
  edits.environment = {{"NVIDIA_VISIBLE_DEVICES", "void"}, {"NEW", "1"}};
  edits.libraryPath = "/usr/local/nvidia/lib64";
  giveDevices(planned, edits);
  EXPECT_TRUE(has(planned, "LD_LIBRARY_PATH=/usr/local/nvidia/lib64:/opt/lib:/lib"));
  EXPECT_TRUE(has(planned, "NVIDIA_VISIBLE_DEVICES=void"));
  EXPECT_FALSE(has(planned, "NVIDIA_VISIBLE_DEVICES=all"));
  EXPECT_TRUE(has(planned, "NEW=1"));
  EXPECT_EQ(planned.devices, edits);
  image.environment.clear();
  planned = plan();
  giveDevices(planned, edits);
  EXPECT_TRUE(has(planned, "LD_LIBRARY_PATH=/usr/local/nvidia/lib64"));
}

}  // namespace
}  // namespace okibi::conductor
