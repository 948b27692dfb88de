#pragma once
// Model directories: folders of this machine that an operator approved by name, given to instances
// to read, at a place of their choice. Okibi's own, where Function Compute mounts network storage.
// Every instance reads the same files, so the machine's page cache holds them once.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace okibi {

// What the operator approved.
struct ModelRoot {
  std::string name;
  std::string path;                   // absolute, on this machine; for the operator's eyes only
  std::vector<std::string> accounts;  // that may use it; empty: all
  bool operator==(const ModelRoot&) const = default;
};

// What a function asks for.
struct ModelDirectory {
  std::string root;          // its name
  std::string subdirectory;  // below the root; empty: the root itself
  std::string mountDir;      // in the container, absolute
  bool operator==(const ModelDirectory&) const = default;
};

// The names that an account may use, in the operator's order.
std::vector<std::string> modelRootNames(std::span<const ModelRoot> roots, std::string_view account);

// First broken rule, or nothing; whether the folders are there is not looked at. Invalid, naming
// the configuration key modelRoots.
Result<void> validateModelRoots(std::span<const ModelRoot> roots);
// `names`: the roots that the account may use. Any other is unknown. Invalid names field, value and
// what is allowed.
Result<void> validateModelDirectories(std::span<const ModelDirectory> directories,
                                      std::span<const std::string> names);

}  // namespace okibi
