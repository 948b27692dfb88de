// Copies between host and card, pinned and pageable, and what it costs to pin memory.

#include <algorithm>
#include <chrono>
#include <cstring>
#include <functional>

#include <sys/mman.h>

#include "bench/gpu/driver.h"
#include "bench/gpu/report.h"
#include "bench/gpu/target.h"

namespace okibi::gpubench {
namespace {

constexpr std::size_t kMiB = 1 << 20;

double best(int rounds, const std::function<void()>& once) {
  double least = 1e9;
  for (int i = 0; i < rounds; ++i) {
    const auto start = std::chrono::steady_clock::now();
    once();
    least = std::min(least, secondsSince(start));
  }
  return least;
}

void* pages(std::size_t bytes, int advice) {
  void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) return nullptr;
  madvise(at, bytes, advice);
  std::memset(at, 1, bytes);
  return at;
}

void copies(Report& report, const char* kind, void* host, std::size_t bytes) {
  cuda::DevicePtr device = 0;
  if (!host || call("cuMemAlloc_v2", &device, bytes) != 0) return;
  const double in =
      best(3, [&] { call("cuMemcpyHtoD_v2", device, static_cast<const void*>(host), bytes); });
  const double out = best(3, [&] { call("cuMemcpyDtoH_v2", host, device, bytes); });
  const double gigabytes = static_cast<double>(bytes) / 1e9;
  report.row({std::string("copy, ") + kind, std::to_string(bytes / kMiB) + " MiB",
              number(gigabytes / in, "%.1f GB/s"), number(gigabytes / out, "%.1f GB/s")});
  call("cuMemFree_v2", device);
}

void pinning(Report& report, const char* kind, int advice, std::size_t bytes) {
  void* host = pages(bytes, advice);
  if (!host) return;
  const auto start = std::chrono::steady_clock::now();
  const int status = call("cuMemHostRegister_v2", host, bytes, 0u);
  const double pin = secondsSince(start);
  const auto again = std::chrono::steady_clock::now();
  call("cuMemHostUnregister", host);
  const double perGigabyte = 1e9 / static_cast<double>(bytes);
  report.row({std::string("pin, ") + kind, std::to_string(bytes / kMiB) + " MiB",
              status == 0 ? number(pin * perGigabyte, "%.3f s/GB") : errorName(status),
              number(secondsSince(again) * perGigabyte, "%.3f s/GB")});
  munmap(host, bytes);
}

std::size_t largest() {
  std::size_t free = 0, total = 0;
  call("cuMemGetInfo_v2", &free, &total);
  const auto host = static_cast<std::size_t>(sysconf(_SC_AVPHYS_PAGES)) *
                    static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return std::min(free / 2, host / 4);
}

int run() {
  cuda::Context context = nullptr;
  if (call("cuInit", 0u) != 0 || call("cuCtxCreate_v2", &context, 0u, 0) != 0) return 77;
  Report report(1, "copies (to the card, from the card) and pinning (register, unregister)",
                {"what", "size", "in", "out"});
  for (const std::size_t bytes : {64 * kMiB, 256 * kMiB, 1024 * kMiB, 4096 * kMiB, 8192 * kMiB}) {
    if (bytes > largest()) break;
    void* pinned = nullptr;
    if (call("cuMemHostAlloc", &pinned, bytes, 0u) == 0) copies(report, "pinned", pinned, bytes);
    call("cuMemFreeHost", pinned);
    void* pageable = pages(bytes, MADV_NOHUGEPAGE);
    copies(report, "pageable", pageable, bytes);
    if (pageable) munmap(pageable, bytes);
  }
  const std::size_t bytes = std::min(largest(), 2048 * kMiB) / (2 * kMiB) * (2 * kMiB);
  pinning(report, "4 KiB pages", MADV_NOHUGEPAGE, bytes);
  pinning(report, "huge pages", MADV_HUGEPAGE, bytes);
  return 0;
}

}  // namespace
}  // namespace okibi::gpubench

int main() {
  return okibi::gpubench::run();
}
