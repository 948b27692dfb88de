#include "model/model_directory.h"

#include <gtest/gtest.h>

#include "base/limits.h"

namespace okibi {
namespace {

std::string problemOf(const std::vector<ModelDirectory>& directories,
                      const std::vector<std::string>& names = {"weights", "data"}) {
  const auto valid = validateModelDirectories(directories, names);
  if (valid) return "";
  EXPECT_EQ(valid.error().kind, ErrorKind::Invalid);
  EXPECT_EQ(valid.error().code, "InvalidArgument");
  return valid.error().message;
}
std::string mountProblem(const std::string& mountDir) {
  return problemOf({{"weights", "", mountDir}});
}
std::string rootProblem(const std::vector<ModelRoot>& roots) {
  const auto valid = validateModelRoots(roots);
  return valid ? "" : valid.error().message;
}

TEST(ModelDirectories, WhatIsInOrder) {
  EXPECT_EQ(problemOf({}), "");
  EXPECT_EQ(problemOf({}, {}), "");
  EXPECT_EQ(problemOf({{"weights", "", "/models"}, {"weights", "a/b.c", "/models2/x"}}), "");
  for (const char* fine : {"/tmp/models", "/var/models", "/usr/share/models", "/mnt/nas", "/code/m",
                           "/procs", "/etcetera", "/..a", "/usr/local/models"}) {
    EXPECT_EQ(mountProblem(fine), "") << fine;
  }
}

TEST(ModelDirectories, ANameThatIsNotForThisAccountIsUnknown) {
  EXPECT_EQ(problemOf({{"weights", "", "/a"}, {"secret", "", "/b"}}),
            "okibi.modelDirectories[1].name: 'secret' is unknown; this account may use: weights, "
            "data");
  EXPECT_EQ(problemOf({{"weights", "", "/a"}}, {}),
            "okibi.modelDirectories[0].name: 'weights' is unknown; the operator has approved no "
            "directory for this account (modelRoots of the daemon's configuration)");
}

TEST(ModelDirectories, SubdirectoriesStayBelow) {
  const std::string long_(limits::kModelPathLength + 1, 'a');
  for (const std::string& bad :
       {std::string("/a"), std::string(".."), std::string("a/../b"), std::string("a//b"),
        std::string("a/"), std::string("./a"), std::string("a\0b", 3), long_}) {
    EXPECT_NE(
        problemOf({{"weights", bad, "/models"}}).find("okibi.modelDirectories[0].subdirectory: '"),
        std::string::npos)
        << bad;
  }
}

TEST(ModelDirectories, MountDirsAreAbsoluteAndPlain) {
  for (const char* bad : {"", "models", "/", "//", "/models/", "/a//b", "/a/./b", "/a/../b"}) {
    EXPECT_NE(mountProblem(bad).find("okibi.modelDirectories[0].mountDir: '"), std::string::npos)
        << bad;
    EXPECT_NE(mountProblem(bad).find("is not an absolute path"), std::string::npos) << bad;
  }
}

TEST(ModelDirectories, MountDirsCoverNothingThatContainersNeed) {
  for (const char* bad :
       {"/proc", "/proc/x", "/sys", "/dev/shm", "/etc", "/etc/ssl", "/usr", "/usr/bin",
        "/usr/local", "/usr/local/nvidia/lib64", "/lib/x", "/tmp", "/var", "/run", "/var/tmp"}) {
    EXPECT_NE(mountProblem(bad).find("which containers need; choose"), std::string::npos) << bad;
  }
  EXPECT_NE(mountProblem("/usr/local").find("would cover /usr/local/cuda/compat"),
            std::string::npos);
}

TEST(ModelDirectories, MountDirsAreApart) {
  const auto both = [](const char* one, const char* other) {
    return problemOf({{"weights", "", one}, {"data", "", other}});
  };
  EXPECT_EQ(both("/a", "/b"), "");
  EXPECT_EQ(both("/a", "/ab"), "");
  EXPECT_EQ(
      both("/a", "/a"),
      "okibi.modelDirectories[1].mountDir: '/a' and '/a' of okibi.modelDirectories[0] are the "
      "same or in one another");
  EXPECT_NE(both("/a", "/a/b"), "");
  EXPECT_NE(both("/a/b", "/a"), "");
}

TEST(ModelDirectories, NoMoreThanTheLimit) {
  std::vector<ModelDirectory> many;
  for (std::size_t i = 0; i < limits::kModelDirectories; ++i) {
    many.push_back({"weights", "", "/m" + std::to_string(i)});
  }
  EXPECT_EQ(problemOf(many), "");
  many.push_back({"weights", "", "/one-more"});
  EXPECT_EQ(problemOf(many), "okibi.modelDirectories: 17 are more than 16");
}

TEST(ModelRoots, AreSeenByTheirAccounts) {
  const std::vector<ModelRoot> roots{
      {"all", "/a", {}}, {"one", "/b", {"1"}}, {"both", "/c", {"1", "2"}}};
  using Names = std::vector<std::string>;
  EXPECT_EQ(modelRootNames(roots, "1"), (Names{"all", "one", "both"}));
  EXPECT_EQ(modelRootNames(roots, "2"), (Names{"all", "both"}));
  EXPECT_EQ(modelRootNames(roots, ""), (Names{"all"}));
}

TEST(ModelRoots, AreChecked) {
  EXPECT_EQ(rootProblem({{"a-1_B", "/srv/models", {"1000000000000001"}}, {"b", "/", {}}}), "");
  EXPECT_EQ(rootProblem({{"a", "/x", {}}, {"a", "/y", {}}}), "modelRoots.a: is there twice");
  EXPECT_EQ(rootProblem({{"a", "srv", {}}}), "modelRoots.a: 'srv' is not an absolute path");
  EXPECT_EQ(rootProblem({{"a.b", "/x", {}}}),
            "modelRoots: the name 'a.b' must have 1–64 letters, digits, '_' or '-'");
  EXPECT_NE(rootProblem({{"", "/x", {}}}), "");
  EXPECT_NE(rootProblem({{std::string(65, 'a'), "/x", {}}}), "");
  EXPECT_EQ(rootProblem({{"a", "/x", {"no body"}}}),
            "modelRoots.a: 'no body' is not an account id");
  EXPECT_NE(rootProblem({{"a", "/x", {""}}}), "");
  EXPECT_NE(rootProblem(std::vector<ModelRoot>(65, {"a", "/x", {}})), "");
}

}  // namespace
}  // namespace okibi
