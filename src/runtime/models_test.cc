// Folders of the host that an operator approved, as a sandbox sees them: readable and nothing more,
// and never anything beside them.

#include <cerrno>
#include <fstream>

#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "runtime/testing/sandbox_fixture.h"

namespace okibi::runtime::testing {
namespace {

namespace fs = std::filesystem;
using Report = std::map<std::string, std::string>;

class ModelsTest : public SandboxTest {
 protected:
  void SetUp() override {
    SandboxTest::SetUp();
    fs::create_directories(root() / "llama/v3");
    write(root() / "llama/v3/weights", "of llama");
    write(root() / "top", "of the root");
    write(directory_ / "secret", "of the host");
  }
  void TearDown() override {
    loop_.reset();
    runtime_.reset();
    umount((root() / "disk").c_str());  // where a test has mounted one
    SandboxTest::TearDown();
  }
  Options options() const override {
    Options options = SandboxTest::options();
    options.modelRoots = {{"weights", root(), {}}, {"other", directory_ / "other", {}}};
    return options;
  }
  fs::path root() const { return directory_ / "models"; }
  static void write(const fs::path& file, const std::string& text) { std::ofstream(file) << text; }

  seams::InstanceSpec with(std::vector<okibi::ModelDirectory> models,
                           std::vector<std::string> arguments, const std::string& user = "") {
    seams::InstanceSpec s = spec(std::move(arguments));
    s.models = std::move(models);
    s.user = user;
    return s;
  }
  std::string outputOf(std::vector<okibi::ModelDirectory> models,
                       std::vector<std::string> arguments) {
    const seams::InstanceSpec s = with(std::move(models), std::move(arguments));
    runToEnd(s);
    return recorder_.out[s.id];
  }
  std::string refusalOf(std::vector<okibi::ModelDirectory> models) {
    const auto started = start(with(std::move(models), {"report"}));
    if (started) return "started";
    EXPECT_EQ(started.error().message.find(directory_.string()), std::string::npos)
        << "shows the host: " << started.error().message;
    return started.error().message;
  }
  std::string linkedTo(const std::string& target) {
    fs::remove(root() / "link");
    fs::create_symlink(target, root() / "link");
    return refusalOf({{"weights", "link", "/models"}});
  }
};

TEST_F(ModelsTest, TheRootAndWhatIsBelowItAreRead) {
  const std::vector<okibi::ModelDirectory> models{{"weights", "", "/srv/all"},
                                                  {"weights", "llama/v3", "/models/llama"}};
  EXPECT_EQ(outputOf(models, {"show", "/srv/all/top"}), "of the root");
  EXPECT_EQ(outputOf(models, {"show", "/models/llama/weights"}), "of llama");
}

TEST_F(ModelsTest, NothingCanBeChanged) {
  const Report report =
      parseReport(outputOf({{"weights", "llama/v3", "/models"}}, {"try", "/models/weights"}));
  EXPECT_EQ(report.at("read"), "0");
  for (const char* attempt : {"write", "truncate", "create", "remove", "chmod"}) {
    EXPECT_EQ(report.at(attempt), std::to_string(EROFS)) << attempt;
  }
  EXPECT_EQ(report.at("remount"), std::to_string(EPERM));
  for (const char* flag : {"readonly", "nosuid", "nodev"}) EXPECT_EQ(report.at(flag), "1") << flag;
  EXPECT_TRUE(fs::exists(root() / "llama/v3/weights"));
  EXPECT_FALSE(fs::exists(root() / "llama/v3/weights.new"));
}

TEST_F(ModelsTest, TheHostsChangesAreSeenByWhoRunsAlready) {
  seams::InstanceSpec s = with({{"weights", "llama", "/models"}}, {"sleep"});
  ASSERT_TRUE(start(s));
  write(root() / "llama/added", "later");
  const auto code = await(runtime_->execute(s.id, {"/probe", "show", "/models/added"}, 10s));
  ASSERT_TRUE(code) << code.error().message;
  EXPECT_EQ(*code, 0);
  EXPECT_NE(recorder_.out[s.id].find("later"), std::string::npos);
  stop(s.id);
}

TEST_F(ModelsTest, SetUserIdAndDeviceNodesHaveNoEffect) {
  fs::copy_file(probePath(), root() / "probe");
  ASSERT_EQ(chmod((root() / "probe").c_str(), 04755), 0);
  ASSERT_EQ(mknod((root() / "null").c_str(), S_IFCHR | 0666, makedev(1, 3)), 0);
  seams::InstanceSpec s = with({{"weights", "", "/models"}}, {"report"}, "app");
  s.arguments[0] = "/models/probe";
  runToEnd(s);
  EXPECT_EQ(parseReport(recorder_.out[s.id])["euid"], "1000");
  const Report report =
      parseReport(outputOf({{"weights", "", "/models"}}, {"try", "/models/null"}));
  EXPECT_EQ(report.at("read"), std::to_string(EACCES));
}

TEST_F(ModelsTest, LinksLeadOnlyToWhereTheRootIs) {
  EXPECT_EQ(linkedTo("llama/v3"), "started");
  EXPECT_EQ(linkedTo("llama/../llama"), "started");
  const std::string out = "'link' in the model root 'weights' leads out of it by a link";
  for (const std::string& target :
       {std::string(".."), std::string("llama/../../models"), directory_.string(), root().string(),
        std::string("/"), std::string("/proc/1/root")}) {
    EXPECT_NE(linkedTo(target).find(out), std::string::npos) << target << ": " << linkedTo(target);
  }
  // A link inside is the container's own to resolve.
  fs::create_symlink(directory_ / "secret", root() / "llama/absolute");
  fs::create_symlink("../../secret", root() / "llama/relative");
  fs::create_symlink("v3/weights", root() / "llama/inner");
  const std::vector<okibi::ModelDirectory> models{{"weights", "llama", "/models"}};
  EXPECT_EQ(outputOf(models, {"show", "/models/absolute"}), "");
  EXPECT_EQ(outputOf(models, {"show", "/models/relative"}), "");
  EXPECT_EQ(outputOf(models, {"show", "/models/inner"}), "of llama");
}

TEST_F(ModelsTest, WhatIsNotThereIsNamedAsTheUserKnowsIt) {
  EXPECT_EQ(refusalOf({{"weights", "gone/v1", "/models"}}),
            "model directories: 'gone/v1' in the model root 'weights': No such file or directory");
  EXPECT_EQ(refusalOf({{"weights", "top", "/models"}}),
            "model directories: 'top' in the model root 'weights': Not a directory");
  EXPECT_EQ(refusalOf({{"other", "", "/models"}}),
            "model directories: the model root 'other': No such file or directory");
  EXPECT_EQ(refusalOf({{"unknown", "", "/models"}}),
            "model directories: there is no model root 'unknown'");
  EXPECT_NE(refusalOf({{"weights", "../", "/models"}}).find("no paths"), std::string::npos);
  fs::create_directories(directory_ / "other");
  EXPECT_EQ(refusalOf({{"other", "", "/models"}}), "started") << "it came back";
}

TEST_F(ModelsTest, WhatIsMountedBelowIsNotFollowedButCanBeNamed) {
  fs::create_directories(root() / "disk");
  ASSERT_EQ(mount("none", (root() / "disk").c_str(), "tmpfs", 0, "size=64k"), 0);
  write(root() / "disk/file", "on another disk");
  // Where the host's mounts are private, a launcher sees those that were there before it.
  loop_.reset();
  runtime_.reset();
  loop_ = std::make_unique<net::Loop>();
  auto again = NativeRuntime::create(*loop_, options());
  ASSERT_TRUE(again) << again.error().message;
  runtime_ = std::move(*again);
  runtime_->setListener(&recorder_);
  EXPECT_EQ(outputOf({{"weights", "", "/models"}}, {"show", "/models/disk/file"}), "");
  EXPECT_EQ(outputOf({{"weights", "disk", "/models"}}, {"show", "/models/file"}),
            "on another disk");
  const Report report =
      parseReport(outputOf({{"weights", "disk", "/models"}}, {"try", "/models/file"}));
  EXPECT_EQ(report.at("write"), std::to_string(EROFS));
}

TEST_F(ModelsTest, TheImageDoesNotSayWhereItIsMounted) {
  fs::create_directory_symlink("/proc", image_ / "models");
  EXPECT_EQ(refusalOf({{"weights", "", "/models/sys"}}),
            "model mounts: the image has a link or a file on the way to /models/sys");
  EXPECT_EQ(refusalOf({{"weights", "", "/notexecutable"}}),
            "model mounts: the image has a link or a file on the way to /notexecutable");
  fs::create_directories(image_ / "opt/there");
  write(image_ / "opt/there/own", "of the image");
  const std::vector<okibi::ModelDirectory> models{{"weights", "", "/opt/there"}};
  EXPECT_EQ(outputOf(models, {"show", "/opt/there/own"}), "") << "covered";
  EXPECT_EQ(outputOf(models, {"show", "/opt/there/top"}), "of the root");
}

TEST_F(ModelsTest, TheWorkingDirectoryMayBeOne) {
  seams::InstanceSpec s = with({{"weights", "", "/models"}}, {"show", "weights"});
  s.workingDirectory = "/models/llama/v3";
  runToEnd(s);
  EXPECT_EQ(recorder_.out[s.id], "of llama");
}

}  // namespace
}  // namespace okibi::runtime::testing
