#pragma once
// For tests: a directory of its own, and the fake driver's world in a file.

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include <gtest/gtest.h>
#include <unistd.h>

namespace okibi::gpu {

class TestDirectory {
 public:
  TestDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "okibi-gpu-XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~TestDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TestDirectory(const TestDirectory&) = delete;
  TestDirectory& operator=(const TestDirectory&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path write(const std::filesystem::path& name, std::string_view text) const {
    const std::filesystem::path file = path_ / name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << text;
    return file;
  }

 private:
  std::filesystem::path path_;
};

// The fake driver's world while it lives (tests/fake_driver/nvml).
class FakeWorld {
 public:
  explicit FakeWorld(std::string_view text) {
    set(text);
    setenv("OKIBI_FAKE_NVML", (directory_.path() / "state").c_str(), 1);
  }
  ~FakeWorld() { unsetenv("OKIBI_FAKE_NVML"); }
  FakeWorld(const FakeWorld&) = delete;
  FakeWorld& operator=(const FakeWorld&) = delete;

  void set(std::string_view text) const { directory_.write("state", text); }
  const TestDirectory& directory() const { return directory_; }

 private:
  TestDirectory directory_;
};

}  // namespace okibi::gpu
