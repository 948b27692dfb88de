// A card that is none, made of ordinary files and of the null device, arrives in a sandbox as it
// was described, and nothing else does.

#include <fstream>

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "runtime/testing/sandbox_fixture.h"

namespace okibi::runtime::testing {
namespace {

namespace fs = std::filesystem;
using seams::IfAbsent;
using seams::MountAccess;

class DevicesTest : public SandboxTest {
 protected:
  void SetUp() override {
    SandboxTest::SetUp();
    host_ = directory_ / "host";
    fs::create_directories(host_ / "tree");
    write(host_ / "libcuda.so.580", "the front");
    write(host_ / "real", "the real one");
    write(host_ / "tree/inner", "below");
    write(directory_ / "state/budget", "0");
    ASSERT_EQ(chmod((directory_ / "state/budget").c_str(), 0666), 0);
    node_ = directory_ / "state/card";
    ASSERT_EQ(mknod(node_.c_str(), S_IFCHR, makedev(1, 3)), 0);
    ASSERT_EQ(chmod(node_.c_str(), 0660), 0);
    ASSERT_EQ(chown(node_.c_str(), 0, 4711), 0);
  }
  static void write(const fs::path& file, const std::string& text) { std::ofstream(file) << text; }

  seams::DeviceEdits card() const {
    seams::DeviceEdits edits;
    edits.hidden = {"/etc/compat", "/absent/compat"};
    edits.directories = {"/usr/local/nvidia/lib64", "/usr/local/nvidia/okibi"};
    edits.mounts = {
        {host_ / "libcuda.so.580", "/usr/local/nvidia/lib64/libcuda.so.580"},
        {host_ / "real", "/usr/local/nvidia/okibi/libcuda.so.1"},
        {directory_ / "state/budget", "/usr/local/nvidia/okibi/budget", MountAccess::ReadWrite},
        {host_ / "tree", "/opt/tree"},
        {host_ / "real", "/proc/driver/nothing/params", MountAccess::ReadOnly, IfAbsent::LeaveOut}};
    edits.links = {{"/usr/local/nvidia/lib64/libcuda.so.1", "libcuda.so.580"}};
    edits.nodes = {{node_, "/dev/nvidia-caps/card0"}};
    edits.groups = {77};
    return edits;
  }
  std::string outputOf(std::vector<std::string> arguments, const seams::DeviceEdits& edits,
                       const std::string& user = "") {
    seams::InstanceSpec s = spec(std::move(arguments));
    s.devices = edits;
    s.user = user;
    runToEnd(s);
    return recorder_.out[s.id];
  }
  int exitCodeOf(std::vector<std::string> arguments, const std::string& user = "") {
    seams::InstanceSpec s = spec(std::move(arguments));
    s.devices = card();
    s.user = user;
    return runToEnd(s).exitCode;
  }
  std::string refusalOf(const seams::DeviceEdits& edits) {
    seams::InstanceSpec s = spec({"report"});
    s.devices = edits;
    const auto started = start(s);
    return started ? "started" : started.error().message;
  }

  fs::path host_, node_;
};

TEST_F(DevicesTest, FilesLinksAndDirectoriesAreThere) {
  EXPECT_EQ(outputOf({"show", "/usr/local/nvidia/lib64/libcuda.so.1"}, card()), "the front");
  EXPECT_EQ(outputOf({"show", "/usr/local/nvidia/okibi/libcuda.so.1"}, card()), "the real one");
  EXPECT_EQ(outputOf({"show", "/opt/tree/inner"}, card()), "below");
}

TEST_F(DevicesTest, OnlyTheBudgetCanBeWritten) {
  const auto writes = [&](const std::string& path) {
    return exitCodeOf({"write", path, "9"}) == 0;
  };
  EXPECT_TRUE(writes("/usr/local/nvidia/okibi/budget"));
  std::string budget;
  std::ifstream(directory_ / "state/budget") >> budget;
  EXPECT_EQ(budget, "9");
  EXPECT_FALSE(writes("/usr/local/nvidia/lib64/libcuda.so.580"));
  EXPECT_FALSE(writes("/usr/local/nvidia/lib64/new"));
  EXPECT_FALSE(writes("/opt/tree/new"));
  EXPECT_TRUE(writes("/opt/new"));
}

TEST_F(DevicesTest, ANodeWorksForWhoeverRunsThere) {
  for (const char* user : {"", "app"}) {
    EXPECT_EQ(exitCodeOf({"write", "/dev/nvidia-caps/card0", "x"}, user), 0) << user;
  }
  auto report = parseReport(outputOf({"report"}, card(), "app"));
  EXPECT_EQ(report["groups"], "29,44,77,4711") << "asked for, and of a node that needs it";
}

TEST_F(DevicesTest, TheImagesOwnDriverIsHidden) {
  fs::create_directories(image_ / "etc/compat");
  write(image_ / "etc/compat/libcuda.so.1", "from the image");
  const std::vector<std::string> look{"list", "/etc/compat"};
  EXPECT_NE(outputOf(look, {}).find("libcuda.so.1"), std::string::npos);
  EXPECT_EQ(outputOf(look, card()).find("libcuda.so.1"), std::string::npos);
}

TEST_F(DevicesTest, WithoutACardThereIsNone) {
  EXPECT_EQ(outputOf({"list", "/dev"}, {}).find("nvidia"), std::string::npos);
  EXPECT_EQ(outputOf({"list", "/"}, {}).find("usr"), std::string::npos);
}

TEST_F(DevicesTest, LinksOfTheImageLeadNowhereOutside) {
  fs::create_directories(image_ / "usr/local");
  fs::create_directory_symlink("/proc/self/fd/3", image_ / "usr/local/nvidia");
  EXPECT_NE(refusalOf(card()).find("devices"), std::string::npos);
}

TEST_F(DevicesTest, WhatIsNotToBeGivenIsRefused) {
  const auto with = [&](auto change) {
    seams::DeviceEdits edits = card();
    change(edits);
    return refusalOf(edits);
  };
  EXPECT_EQ(with([](auto&) {}), "started");
  const auto expectRefused = [](const std::string& refusal, const char* word) {
    EXPECT_NE(refusal.find(word), std::string::npos) << refusal;
  };
  expectRefused(with([](auto& e) { e.nodes[0].hostPath = "/dev/absent"; }), "device sources");
  expectRefused(with([&](auto& e) { e.nodes[0].hostPath = host_ / "real"; }), "not below /dev");
  expectRefused(with([&](auto& e) { e.nodes[0].hostPath = directory_ / "state/budget"; }),
                "may be given away");
  expectRefused(with([](auto& e) { e.nodes[0].hostPath = "/dev/random"; }), "may be given away");
  expectRefused(with([&](auto& e) { e.mounts[2].hostPath = host_ / "real"; }),
                "may not be written");
  expectRefused(with([](auto& e) { e.mounts[0].hostPath = "/etc/../etc/passwd"; }), "devices");
}

}  // namespace
}  // namespace okibi::runtime::testing
