// The generated front, the reader of exports, and what the shim asks of a container's C library.

#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>

#include <dlfcn.h>
#include <gtest/gtest.h>

#include "gpu_bypass/testing_instance.h"
#include "gpu_bypass/testing_paths.h"
#include "shim/front_writer.h"

namespace okibi::bypass {
namespace {

std::string bytesOf(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Front, ExportsWhatTheHostsLibraryDoes) {
  const auto real = shim::readExports(kFakeCuda);
  ASSERT_TRUE(real) << real.error();
  EXPECT_EQ(real->soname, "libcuda.so.1");
  EXPECT_GT(real->functions.size(), 100u);
  EXPECT_TRUE(real->data.empty());
  const Instance instance(64);
  const auto front = shim::readExports(instance.frontPath());
  ASSERT_TRUE(front) << front.error();
  EXPECT_EQ(front->functions, real->functions);
  EXPECT_EQ(front->soname, "libcuda.so.1");
}

// A library whose names are not sorted, one of which is data, found by the old hash table and by
// the new one.
TEST(Front, ReadsBothHashTables) {
  for (const char* style : {"sysv", "gnu"}) {
    const std::string folder = Instance(64).folder() + "-" + style;
    std::filesystem::create_directories(folder);
    std::ofstream(folder + "/a.c")
        << "int zeta(void){return 1;} int alpha(void){return 2;} int number = 3;\n";
    const std::string command =
        "cc -shared -fPIC -o " + folder + "/a.so " + folder + "/a.c -Wl,--hash-style=" + style;
    if (system(command.c_str()) != 0) GTEST_SKIP() << "no C compiler to make a library with";
    const auto exports = shim::readExports(folder + "/a.so");
    std::filesystem::remove_all(folder);
    ASSERT_TRUE(exports) << exports.error();
    EXPECT_EQ(exports->functions, (std::vector<std::string>{"alpha", "zeta"}));
    EXPECT_EQ(exports->data, std::vector<std::string>{"number"});
  }
}

TEST(Front, RefusesWhatIsNoLibrary) {
  EXPECT_TRUE(shim::readExports("/nowhere").error().ends_with("cannot be read"));
  EXPECT_TRUE(
      shim::readExports("/etc/hostname").error().ends_with("not a shared library for x86-64"));
  // Cut anywhere, it is an answer and not a crash.
  const std::string whole = bytesOf(kFakeCuda);
  const std::string path = Instance(64).folder() + "-cut.so";
  for (std::size_t keep = 1; keep < whole.size(); keep = keep * 3 / 2 + 1) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << whole.substr(0, keep);
    const auto exports = shim::readExports(path);
    if (!exports) EXPECT_TRUE(exports.error().starts_with(path));
  }
  std::filesystem::remove(path);
}

// Images have C libraries much older than the machine the shim was built on.
TEST(Shim, AsksOnlyForAnOldCLibrary) {
  const std::string shim = bytesOf(kShim);
  const std::regex version("GLIBC_2\\.([0-9]+)");
  int newest = 0;
  for (auto at = std::sregex_iterator(shim.begin(), shim.end(), version);
       at != std::sregex_iterator(); ++at)
    newest = std::max(newest, std::stoi((*at)[1]));
  EXPECT_GT(newest, 0);
  EXPECT_LE(newest, 17);
  EXPECT_EQ(shim.find("libstdc++"), std::string::npos);
  EXPECT_EQ(shim.find("libgcc_s"), std::string::npos);
}

}  // namespace
}  // namespace okibi::bypass
