// okibi-shim-front: makes the library that stands in a container at the place of the host's
// libcuda.so.1 or libnvidia-ml.so.1.
//   okibi-shim-front cuda|nvml HOST_LIBRARY OUT SHIM REAL BUDGET
// HOST_LIBRARY is read here; OUT is written here. SHIM (libokibi_shim.so), REAL (the host's
// library) and BUDGET are absolute paths as the container sees them, and are fixed in OUT: nothing
// in a program's environment changes them. Prints how many functions pass, and names exported
// variables, which cannot.

#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>

#include "shim/front_writer.h"

namespace {

using namespace okibi::shim;

int usage() {
  fputs("usage: okibi-shim-front cuda|nvml HOST_LIBRARY OUT SHIM REAL BUDGET\n", stderr);
  return 2;
}

int fail(const std::string& message) {
  fprintf(stderr, "okibi-shim-front: %s\n", message.c_str());
  return 1;
}

bool writeWhole(const std::string& path, const std::string& bytes) {
  const std::string fresh = path + ".new";
  std::ofstream out(fresh, std::ios::binary | std::ios::trunc);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  out.close();
  return out && std::rename(fresh.c_str(), path.c_str()) == 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 7 || (strcmp(argv[1], "cuda") != 0 && strcmp(argv[1], "nvml") != 0)) return usage();
  FrontPlan plan;
  plan.library = strcmp(argv[1], "cuda") == 0 ? Library::Cuda : Library::Nvml;
  plan.shimPath = argv[4];
  plan.realPath = argv[5];
  plan.budgetPath = argv[6];
  for (const std::string& path : {plan.shimPath, plan.realPath, plan.budgetPath}) {
    if (!path.starts_with('/')) return fail("'" + path + "' is not an absolute path");
  }
  auto exports = readExports(argv[2]);
  if (!exports) return fail(exports.error());
  plan.exports = std::move(*exports);
  plan.exports.soname = plan.library == Library::Cuda ? "libcuda.so.1" : "libnvidia-ml.so.1";
  if (!writeWhole(argv[3], buildFront(plan)))
    return fail(std::string(argv[3]) + ": cannot be written");
  printf("%zu functions\n", plan.exports.functions.size());
  for (const std::string& name : plan.exports.data)
    printf("not passed on (a variable): %s\n", name.c_str());
  return 0;
}
