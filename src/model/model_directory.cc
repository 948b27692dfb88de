#include "model/model_directory.h"

#include <algorithm>
#include <array>
#include <cctype>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/limits.h"

namespace okibi {
namespace {

// Where the platform mounts, and what programs do not start without; with everything below.
constexpr std::array<std::string_view, 17> kReserved{"/bin",
                                                     "/dev",
                                                     "/etc",
                                                     "/lib",
                                                     "/lib32",
                                                     "/lib64",
                                                     "/libx32",
                                                     "/proc",
                                                     "/sbin",
                                                     "/sys",
                                                     "/usr/bin",
                                                     "/usr/lib",
                                                     "/usr/lib32",
                                                     "/usr/lib64",
                                                     "/usr/sbin",
                                                     "/usr/local/cuda/compat",
                                                     "/usr/local/nvidia"};
// What programs write to: not themselves, but below.
constexpr std::array<std::string_view, 4> kWritten{"/run", "/tmp", "/var", "/var/tmp"};

std::unexpected<Error> invalid(std::string message) {
  return fail(ErrorKind::Invalid, std::move(message), "InvalidArgument");
}

bool isName(std::string_view text, std::size_t longest) {
  return !text.empty() && text.size() <= longest && std::ranges::all_of(text, [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-';
  });
}

// "a/b": parts with a slash between them, none of them empty, "." or "..".
bool isPlain(std::string_view path) {
  if (path.size() > limits::kModelPathLength || path.find('\0') != std::string_view::npos) {
    return false;
  }
  while (true) {
    const std::size_t slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    if (part.empty() || part == "." || part == "..") return false;
    if (slash == std::string_view::npos) return true;
    path.remove_prefix(slash + 1);
  }
}

bool isIn(std::string_view path, std::string_view directory) {
  return path == directory || (path.starts_with(directory) && path[directory.size()] == '/');
}
bool overlap(std::string_view one, std::string_view other) {
  return isIn(one, other) || isIn(other, one);
}

Result<void> validateMountDir(const std::string& field, const std::string& mountDir) {
  if (!mountDir.starts_with('/') || !isPlain(std::string_view(mountDir).substr(1))) {
    return invalid(
        fmt::format("{}: '{}' is not an absolute path below '/' without empty parts, '.', '..' or "
                    "a '/' at its end, of at most {} characters",
                    field, mountDir, limits::kModelPathLength));
  }
  const auto reserved =
      std::ranges::find_if(kReserved, [&](auto tree) { return overlap(mountDir, tree); });
  const auto written = std::ranges::find(kWritten, mountDir);
  if (reserved == kReserved.end() && written == kWritten.end()) return {};
  return invalid(fmt::format(
      "{}: '{}' would cover {}, which containers need; choose a directory of its own, like "
      "/models",
      field, mountDir, reserved == kReserved.end() ? *written : *reserved));
}

Result<void> validateName(const std::string& field, const std::string& name,
                          std::span<const std::string> names) {
  if (std::ranges::find(names, name) != names.end()) return {};
  if (names.empty()) {
    return invalid(
        fmt::format("{}: '{}' is unknown; the operator has approved no directory for this account "
                    "(modelRoots of the daemon's configuration)",
                    field, name));
  }
  return invalid(fmt::format("{}: '{}' is unknown; this account may use: {}", field, name,
                             fmt::join(names, ", ")));
}

}  // namespace

std::vector<std::string> modelRootNames(std::span<const ModelRoot> roots,
                                        std::string_view account) {
  std::vector<std::string> names;
  for (const ModelRoot& root : roots) {
    const bool open =
        root.accounts.empty() || std::ranges::find(root.accounts, account) != root.accounts.end();
    if (open) names.push_back(root.name);
  }
  return names;
}

Result<void> validateModelRoots(std::span<const ModelRoot> roots) {
  if (roots.size() > limits::kModelRoots) {
    return invalid(
        fmt::format("modelRoots: {} are more than {}", roots.size(), limits::kModelRoots));
  }
  for (auto root = roots.begin(); root != roots.end(); ++root) {
    if (!isName(root->name, limits::kModelRootName)) {
      return invalid(
          fmt::format("modelRoots: the name '{}' must have 1–{} letters, digits, '_' or '-'",
                      root->name, limits::kModelRootName));
    }
    const auto same = [&](const ModelRoot& other) { return other.name == root->name; };
    if (std::any_of(roots.begin(), root, same)) {
      return invalid(fmt::format("modelRoots.{}: is there twice", root->name));
    }
    if (!root->path.starts_with('/') || root->path.find('\0') != std::string::npos) {
      return invalid(
          fmt::format("modelRoots.{}: '{}' is not an absolute path", root->name, root->path));
    }
    for (const std::string& account : root->accounts) {
      if (isName(account, limits::kAccountIdLength)) continue;
      return invalid(fmt::format("modelRoots.{}: '{}' is not an account id", root->name, account));
    }
  }
  return {};
}

Result<void> validateModelDirectories(std::span<const ModelDirectory> directories,
                                      std::span<const std::string> names) {
  const std::string list = "okibi.modelDirectories";
  if (directories.size() > limits::kModelDirectories) {
    return invalid(fmt::format("{}: {} are more than {}", list, directories.size(),
                               limits::kModelDirectories));
  }
  for (std::size_t i = 0; i < directories.size(); ++i) {
    const ModelDirectory& one = directories[i];
    const std::string at = fmt::format("{}[{}]", list, i);
    if (auto ok = validateName(at + ".name", one.root, names); !ok) return ok;
    if (!one.subdirectory.empty() && !isPlain(one.subdirectory)) {
      return invalid(
          fmt::format("{}.subdirectory: '{}' is not a relative path without empty parts, '.' or "
                      "'..', of at most {} characters",
                      at, one.subdirectory, limits::kModelPathLength));
    }
    if (auto ok = validateMountDir(at + ".mountDir", one.mountDir); !ok) return ok;
    for (std::size_t before = 0; before < i; ++before) {
      if (!overlap(one.mountDir, directories[before].mountDir)) continue;
      return invalid(
          fmt::format("{}.mountDir: '{}' and '{}' of {}[{}] are the same or in one another", at,
                      one.mountDir, directories[before].mountDir, list, before));
    }
  }
  return {};
}

}  // namespace okibi
