// CDI files in, device edits out: what a container gets, word for word.

#include <gtest/gtest.h>

#include "gpu/card_edits.h"
#include "gpu/driver_files.h"
#include "gpu/testing_driver.h"
#include "gpu/testing_edits.h"

namespace okibi::gpu {
namespace {

seams::CardFacts factsOf(std::string uuid, int minor) {
  seams::CardFacts facts;
  facts.card.uuid = std::move(uuid);
  facts.minorNumber = minor;
  return facts;
}

// In the shape nvidia-ctk gives its files, with everything a host may have.
constexpr std::string_view kNvidia = R"({
  "cdiVersion": "0.5.0",
  "kind": "nvidia.com/gpu",
  "devices": [
    {"name": "0", "containerEdits": {"deviceNodes": [{"path": "/dev/nvidia0"},
      {"path": "/dev/dri/card1"}, {"path": "/dev/dri/renderD128"}],
      "hooks": [{"hookName": "createContainer", "path": "/usr/bin/nvidia-cdi-hook",
                 "args": ["nvidia-cdi-hook", "chmod", "--mode", "755", "--path", "/dev/dri"]}]}},
    {"name": "1", "containerEdits": {"deviceNodes": [{"path": "/dev/nvidia3", "hostPath": "/dev/nvidia3"}]}},
    {"name": "all", "containerEdits": {"deviceNodes": [{"path": "/dev/nvidia0"}, {"path": "/dev/nvidia3"}]}}
  ],
  "containerEdits": {
    "env": ["NVIDIA_VISIBLE_DEVICES=void", "NVIDIA_CTK_LIBCUDA_DIR=/usr/lib/x86_64-linux-gnu"],
    "deviceNodes": [{"path": "/dev/nvidia-modeset"}, {"path": "/dev/nvidia-uvm"},
      {"path": "/dev/nvidia-uvm-tools"}, {"path": "/dev/nvidiactl"}],
    "mounts": [
      {"hostPath": "/run/nvidia-persistenced/socket", "containerPath": "/run/nvidia-persistenced/socket",
       "options": ["ro", "nosuid", "nodev", "bind", "noexec"]},
      {"hostPath": "/tmp/nvidia-mps", "containerPath": "/tmp/nvidia-mps", "options": ["rw", "rbind"]},
      {"hostPath": "/usr/bin/nvidia-cuda-mps-control", "containerPath": "/usr/bin/nvidia-cuda-mps-control"},
      {"hostPath": "/usr/bin/nvidia-smi", "containerPath": "/usr/bin/nvidia-smi"},
      {"hostPath": "/lib/firmware/nvidia/580.95.05", "containerPath": "/lib/firmware/nvidia/580.95.05"},
      {"hostPath": "/usr/lib/x86_64-linux-gnu/libcuda.so.580.95.05",
       "containerPath": "/usr/lib/x86_64-linux-gnu/libcuda.so.580.95.05",
       "options": ["ro", "nosuid", "nodev", "rbind", "rprivate"]},
      {"hostPath": "/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.580.95.05",
       "containerPath": "/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.580.95.05"},
      {"hostPath": "/usr/lib/x86_64-linux-gnu/libnvidia-ptxjitcompiler.so.580.95.05",
       "containerPath": "/usr/lib/x86_64-linux-gnu/libnvidia-ptxjitcompiler.so.580.95.05"},
      {"hostPath": "/usr/lib/x86_64-linux-gnu/libnvidia-glcore.so.580.95.05",
       "containerPath": "/usr/lib/x86_64-linux-gnu/libnvidia-glcore.so.580.95.05"}],
    "hooks": [
      {"hookName": "createContainer", "path": "/usr/bin/nvidia-cdi-hook",
       "args": ["nvidia-cdi-hook", "create-symlinks", "--link", "libcuda.so.1::/usr/lib/x86_64-linux-gnu/libcuda.so"]},
      {"hookName": "createContainer", "path": "/usr/bin/nvidia-cdi-hook",
       "args": ["nvidia-cdi-hook", "update-ldcache", "--folder", "/usr/lib/x86_64-linux-gnu"]}]
  }
})";

CdiDevice nvidiaOf(const CdiRegistry& registry, const seams::CardFacts& facts) {
  const auto device = nvidiaDevice(registry, facts);
  EXPECT_TRUE(device);
  return device.value_or(CdiDevice{});
}

TEST(CardEdits, AnNvidiaFileGivesTheCardAndNothingOfTheHost) {
  TestDirectory directory;
  directory.write("nvidia.json", kNvidia);
  const CdiRegistry registry = CdiRegistry::load({directory.path()});
  EXPECT_TRUE(registry.problems().empty());
  const auto facts = factsOf("GPU-b", 3);
  const auto edits = nvidiaEdits(nvidiaOf(registry, facts), facts,
                                 DriverProc{"/state/gpu/params", "/state/gpu/a"}, std::nullopt);
  ASSERT_TRUE(edits) << edits.error().message;
  EXPECT_EQ(textOf(*edits),
            "hide /usr/local/cuda/compat\n"
            "directory /usr/local/nvidia/lib64\n"
            "mount /usr/local/nvidia/lib64/libcuda.so.580.95.05 <- "
            "/usr/lib/x86_64-linux-gnu/libcuda.so.580.95.05\n"
            "mount /usr/local/nvidia/lib64/libnvidia-ml.so.580.95.05 <- "
            "/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.580.95.05\n"
            "mount /usr/local/nvidia/lib64/libnvidia-ptxjitcompiler.so.580.95.05 <- "
            "/usr/lib/x86_64-linux-gnu/libnvidia-ptxjitcompiler.so.580.95.05\n"
            "mount /proc/driver/nvidia/params <- /state/gpu/params if there\n"
            "mount /proc/driver/nvidia/gpus <- /state/gpu/a if there\n"
            "link /usr/local/nvidia/lib64/libcuda.so.1 -> libcuda.so.580.95.05\n"
            "link /usr/local/nvidia/lib64/libcuda.so -> libcuda.so.580.95.05\n"
            "link /usr/local/nvidia/lib64/libnvidia-ml.so.1 -> libnvidia-ml.so.580.95.05\n"
            "link /usr/local/nvidia/lib64/libnvidia-ml.so -> libnvidia-ml.so.580.95.05\n"
            "link /usr/local/nvidia/lib64/libnvidia-ptxjitcompiler.so.1 -> "
            "libnvidia-ptxjitcompiler.so.580.95.05\n"
            "node /dev/nvidia-uvm <- /dev/nvidia-uvm\n"
            "node /dev/nvidiactl <- /dev/nvidiactl\n"
            "node /dev/nvidia3 <- /dev/nvidia3\n"
            "env NVIDIA_VISIBLE_DEVICES=void\n"
            "libraries /usr/local/nvidia/lib64\n");
}

TEST(CardEdits, TheShimStandsAtTheNamesOfTheDriversLibraries) {
  TestDirectory directory;
  directory.write("nvidia.json", kNvidia);
  const CdiRegistry registry = CdiRegistry::load({directory.path()});
  const auto facts = factsOf("GPU-a", 0);
  const ShimFiles shim{"/opt/libokibi_shim.so", "/state/gpu/cuda", "/state/gpu/nvml"};
  const auto edits = nvidiaEdits(nvidiaOf(registry, facts), facts, DriverProc{"/p", "/g"}, shim);
  ASSERT_TRUE(edits);
  const std::string text = textOf(withBudget(*edits, "/state/gpu/budgets/c-1"));
  for (const char* line :
       {"directory /usr/local/nvidia/okibi\n",
        "mount /usr/local/nvidia/lib64/libcuda.so.580.95.05 <- /state/gpu/cuda\n",
        "mount /usr/local/nvidia/okibi/libcuda.so.1 <- "
        "/usr/lib/x86_64-linux-gnu/libcuda.so.580.95.05\n",
        "mount /usr/local/nvidia/lib64/libnvidia-ml.so.580.95.05 <- /state/gpu/nvml\n",
        "mount /usr/local/nvidia/okibi/libokibi_shim.so <- /opt/libokibi_shim.so\n",
        "mount-rw /usr/local/nvidia/okibi/budget <- /state/gpu/budgets/c-1\n",
        "node /dev/nvidia0 <- /dev/nvidia0\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
  }
  EXPECT_EQ(text.find("/dev/dri"), std::string::npos);
}

TEST(CardEdits, ADescriptionOfAnotherTimeIsRefused) {
  CdiDevice device;
  device.own.nodes.push_back({"/dev/nvidia0", "/dev/nvidia0", ""});
  EXPECT_FALSE(nvidiaEdits(device, factsOf("GPU-a", 1), DriverProc{"/p", "/g"}, std::nullopt));
  const auto without =
      nvidiaEdits(device, factsOf("GPU-a", 0), DriverProc{"/p", "/g"}, std::nullopt);
  ASSERT_FALSE(without);
  EXPECT_NE(without.error().message.find("libcuda"), std::string::npos);
}

// In the shape of ROCm's container toolkit.
constexpr std::string_view kAmd = R"(cdiVersion: "0.7.0"
kind: amd.com/gpu
devices:
  - name: "0"
    containerEdits:
      deviceNodes:
        - path: /dev/dri/card1
          permissions: rw
        - path: /dev/dri/renderD128
          permissions: rw
      additionalGids: [44, 109]
  - name: "1"
    containerEdits:
      deviceNodes:
        - {path: /dev/dri/card2}
        - {path: /dev/dri/renderD129, hostPath: /dev/dri/renderD129}
containerEdits:
  env:
    - AMD_VISIBLE_DEVICES=void
  deviceNodes:
    - path: /dev/kfd
      permissions: rw
  mounts:
    - {hostPath: /run/rocm.sock, containerPath: /run/rocm.sock}
    - {hostPath: /opt/rocm/share/deep/x, containerPath: /opt/rocm/share/deep/x, options: [ro]}
    - {hostPath: /opt/rocm, containerPath: /opt/rocm}
)";

TEST(CardEdits, AnAmdFileIsTakenAsItIs) {
  TestDirectory directory;
  directory.write("amd.yaml", kAmd);
  const CdiRegistry registry = CdiRegistry::load({directory.path()});
  EXPECT_TRUE(registry.problems().empty());
  const auto device = registry.find("amd.com/gpu", "0");
  ASSERT_TRUE(device);
  EXPECT_EQ(textOf(foreignEdits(*device)),
            "mount /opt/rocm <- /opt/rocm\n"
            "mount /opt/rocm/share/deep/x <- /opt/rocm/share/deep/x\n"
            "node /dev/kfd <- /dev/kfd\n"
            "node /dev/dri/card1 <- /dev/dri/card1\n"
            "node /dev/dri/renderD128 <- /dev/dri/renderD128\n"
            "group 44\n"
            "group 109\n"
            "env AMD_VISIBLE_DEVICES=void\n");
}

constexpr std::string_view kOwn = R"({"cdiVersion":"0.6.0","kind":"nvidia.com/gpu",
  "devices":[{"name":"NAME","containerEdits":{"env":["FROM=WHERE"]}}]})";
std::string own(std::string_view name, std::string_view where) {
  std::string text(kOwn);
  text.replace(text.find("NAME"), 4, name);
  return text.replace(text.find("WHERE"), 5, where);
}

TEST(CdiRegistry, TheLaterDirectoryWins) {
  TestDirectory directory;
  directory.write("etc/a.json", own("0", "etc"));
  directory.write("etc/b.json", own("1", "etc"));
  directory.write("run/z.yaml", own("0", "run"));
  directory.write("run/readme.txt", "no description");
  const auto at = [&](const char* name) { return directory.path() / name; };
  const CdiRegistry registry = CdiRegistry::load({at("etc"), at("run"), at("absent")});
  EXPECT_TRUE(registry.problems().empty());
  EXPECT_EQ(registry.find("nvidia.com/gpu", "0")->own.environment[0].second, "run");
  EXPECT_EQ(registry.find("nvidia.com/gpu", "1")->own.environment[0].second, "etc");
  EXPECT_FALSE(registry.find("nvidia.com/gpu", "2"));
  EXPECT_FALSE(registry.find("amd.com/gpu", "0"));
}

TEST(CdiRegistry, TwoOfOneNameInOneDirectoryAreNone) {
  TestDirectory directory;
  directory.write("a.json", own("0", "a"));
  directory.write("b.json", own("0", "b"));
  directory.write("broken.json", "{");
  const CdiRegistry registry = CdiRegistry::load({directory.path()});
  EXPECT_FALSE(registry.find("nvidia.com/gpu", "0"));
  EXPECT_EQ(registry.problems().size(), 2u);
}

TEST(CdiSpec, EveryPublishedVersionIsRead) {
  for (const char* version :
       {"0.3.0", "0.4.0", "0.5.0", "0.6.0", "0.7.0", "0.8.0", "1.0.0", "1.1.0"}) {
    std::string text = own("0", "x");
    text.replace(text.find("0.6.0"), 5, version);
    EXPECT_TRUE(parseCdi(text)) << version;
  }
}

TEST(CdiSpec, WhatIsNotKnownIsRefusedByName) {
  const auto problem = [](std::string_view edits, std::string_view version = "1.1.0") {
    const auto spec =
        parseCdi(fmt::format(R"({{"cdiVersion":"{}","kind":"a.com/b","devices":[{{"name":"0",
        "containerEdits":{{{}}}}}]}})",
                             version, edits));
    return spec ? std::string("fine") : spec.error().message;
  };
  EXPECT_EQ(problem(""), "fine");
  EXPECT_EQ(problem(R"("x": 1)"), "devices[0].containerEdits.x: is not a field that is known");
  EXPECT_EQ(problem("", "2.0.0"), "cdiVersion: '2.0.0' is not one of 0.3.0 to 1.1.0");
  EXPECT_EQ(problem(R"("additionalGids":[1])", "0.6.0"),
            "devices[0].containerEdits.additionalGids: needs cdiVersion 0.7.0 or newer");
  EXPECT_EQ(problem(R"("deviceNodes":[{"path":"/a","hostPath":"/b"}])", "0.4.0"),
            "devices[0].containerEdits.deviceNodes[0].hostPath: needs cdiVersion 0.5.0 or newer");
  EXPECT_EQ(problem(R"("intelRdt":{})"), "devices[0].containerEdits.intelRdt: is not offered");
  EXPECT_EQ(problem(R"("env":[],"env":[])"), "devices[0].containerEdits.env: comes twice");
  for (const char* bad :
       {R"("env":["A"])", R"("env":["=b"])", R"("env":{})", R"("deviceNodes":[{}])",
        R"("deviceNodes":[{"path":"dev/a"}])", R"("deviceNodes":[{"path":"/a/../b"}])",
        R"("deviceNodes":[{"path":"/a","type":"x"}])",
        R"("deviceNodes":[{"path":"/a","major":-1}])",
        R"("deviceNodes":[{"path":"/a","permissions":"rx"}])", R"("mounts":[{"hostPath":"/a"}])",
        R"("mounts":[{"hostPath":"/a","containerPath":"/..","options":[]}])",
        R"("hooks":[{"hookName":"x","path":"/a"}])", R"("hooks":[{"hookName":"prestart"}])",
        R"("additionalGids":["x"])", R"("netDevices":[])"}) {
    EXPECT_NE(problem(bad), "fine") << bad;
  }
  for (const char* bad :
       {"", "[]", "{}", "{", R"({"cdiVersion":"0.5.0","kind":"a","devices":[{"name":"0"}]})",
        R"({"cdiVersion":"0.5.0","kind":"a.com/b","devices":[]})",
        R"({"cdiVersion":"0.5.0","kind":"a.com/b","devices":[{"name":"a b"}]})",
        R"({"cdiVersion":"0.5.0","kind":"a.com/b","devices":[{"name":"0"},{"name":"0"}]})",
        R"({"cdiVersion":"0.5.0","kind":"a.com/b","extra":1,"devices":[{"name":"0"}]})"}) {
    EXPECT_FALSE(parseCdi(bad)) << bad;
  }
}

// A machine's files as far as the generator looks at them.
void writeDriver(const TestDirectory& root) {
  root.write("proc/driver/nvidia/version",
             "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build\n"
             "GCC version:  gcc version 12.2.0\n");
  for (const char* library :
       {"libcuda.so.580.95.05", "libcuda.so.570.1.1", "libnvidia-ml.so.580.95.05",
        "libnvidia-nvvm.so.580.95.05", "libnvidia-glcore.so.580.95.05"}) {
    root.write(std::filesystem::path("usr/lib64") / library, "elf");
  }
}

TEST(DriverFiles, AMachineWithoutCdiFilesIsDescribedFromItsDriver) {
  TestDirectory root;
  writeDriver(root);
  const auto facts = factsOf("GPU-a", 2);
  const auto spec = describeDriver(root.path(), {facts, factsOf("GPU-b", 0)});
  ASSERT_TRUE(spec) << spec.error().message;
  const CdiDevice device{"GPU-a", spec->common, spec->devices.at("GPU-a")};
  const auto edits = nvidiaEdits(device, facts, DriverProc{"/p", "/g"}, std::nullopt);
  ASSERT_TRUE(edits) << edits.error().message;
  EXPECT_EQ(
      textOf(*edits),
      "hide /usr/local/cuda/compat\n"
      "directory /usr/local/nvidia/lib64\n"
      "mount /usr/local/nvidia/lib64/libcuda.so.580.95.05 <- /usr/lib64/libcuda.so.580.95.05\n"
      "mount /usr/local/nvidia/lib64/libnvidia-ml.so.580.95.05 <- "
      "/usr/lib64/libnvidia-ml.so.580.95.05\n"
      "mount /usr/local/nvidia/lib64/libnvidia-nvvm.so.580.95.05 <- "
      "/usr/lib64/libnvidia-nvvm.so.580.95.05\n"
      "mount /proc/driver/nvidia/params <- /p if there\n"
      "mount /proc/driver/nvidia/gpus <- /g if there\n"
      "link /usr/local/nvidia/lib64/libcuda.so.1 -> libcuda.so.580.95.05\n"
      "link /usr/local/nvidia/lib64/libcuda.so -> libcuda.so.580.95.05\n"
      "link /usr/local/nvidia/lib64/libnvidia-ml.so.1 -> libnvidia-ml.so.580.95.05\n"
      "link /usr/local/nvidia/lib64/libnvidia-ml.so -> libnvidia-ml.so.580.95.05\n"
      "link /usr/local/nvidia/lib64/libnvidia-nvvm.so.4 -> libnvidia-nvvm.so.580.95.05\n"
      "node /dev/nvidiactl <- /dev/nvidiactl\n"
      "node /dev/nvidia-uvm <- /dev/nvidia-uvm\n"
      "node /dev/nvidia2 <- /dev/nvidia2\n"
      "env NVIDIA_VISIBLE_DEVICES=void\n"
      "libraries /usr/local/nvidia/lib64\n");
}

TEST(DriverFiles, APartitionHasItsCapabilityNodes) {
  TestDirectory root;
  writeDriver(root);
  root.write("proc/driver/nvidia/capabilities/gpu2/mig/gi1/access",
             "DeviceFileMinor: 12\nDeviceFileMode: 292\n");
  root.write("proc/driver/nvidia/capabilities/gpu2/mig/gi1/ci0/access", "DeviceFileMinor: 13\n");
  auto facts = factsOf("MIG-1", 2);
  facts.mig = seams::MigPart{"GPU-a", 1, 0};
  const auto spec = describeDriver(root.path(), {facts});
  ASSERT_TRUE(spec) << spec.error().message;
  const CdiDevice device{"MIG-1", spec->common, spec->devices.at("MIG-1")};
  const auto edits = nvidiaEdits(device, facts, DriverProc{"/p", "/g"}, std::nullopt);
  ASSERT_TRUE(edits);
  std::vector<std::string> nodes;
  for (const auto& node : edits->nodes) nodes.push_back(node.path);
  EXPECT_EQ(nodes, (std::vector<std::string>{"/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia2",
                                             "/dev/nvidia-caps/nvidia-cap12",
                                             "/dev/nvidia-caps/nvidia-cap13"}));
  facts.mig->gpuInstance = 7;
  EXPECT_FALSE(describeDriver(root.path(), {facts}));
}

TEST(DriverFiles, WhatIsMissingIsNamed) {
  TestDirectory root;
  const auto problem = [&] { return describeDriver(root.path(), {}).error().message; };
  EXPECT_EQ(problem(), "no NVIDIA driver is loaded");
  writeDriver(root);
  std::filesystem::remove(root.path() / "usr/lib64/libnvidia-ml.so.580.95.05");
  EXPECT_EQ(problem(), "/usr/lib64/libnvidia-ml.so.580.95.05 is not there");
  std::filesystem::remove(root.path() / "usr/lib64/libcuda.so.580.95.05");
  EXPECT_EQ(problem().substr(0, 23), "libcuda.so.580.95.05 is");
}

TEST(DriverFiles, ParamsSayThatNodesAreNotMade) {
  EXPECT_EQ(withoutNodeMaking("ResmanDebugLevel: 4\nModifyDeviceFiles: 1\nDeviceFileMode: 438\n"),
            "ResmanDebugLevel: 4\nModifyDeviceFiles: 0\nDeviceFileMode: 438\n");
}

}  // namespace
}  // namespace okibi::gpu
