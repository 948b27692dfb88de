#pragma once
// Makes a front: a shared library for x86-64 that exports every function a given library exports,
// each a jump through a slot. Written byte by byte, because a machine that serves GPUs need not
// have a linker, and each driver version has its own names.

#include <cstdint>
#include <expected>
#include <string>
#include <vector>

#include "shim/front.h"

namespace okibi::shim {

struct Exports {
  std::string soname;
  std::vector<std::string> functions;  // sorted, each once
  std::vector<std::string> data;       // exported variables: a jump cannot stand for those
};

// What a library exports, read from its dynamic symbol table. The error names what is wrong with
// the file.
std::expected<Exports, std::string> readExports(const std::string& path);
std::expected<Exports, std::string> exportsOf(std::string bytes);

struct FrontPlan {
  Library library = Library::Cuda;
  Exports exports;
  // As seen by the program in the container.
  std::string shimPath;
  std::string realPath;
  std::string budgetPath;
};

// The bytes of the front.
std::string buildFront(const FrontPlan& plan);

}  // namespace okibi::shim
