#include "ledger/usage.h"

namespace okibi::ledger {
namespace {

std::int64_t roundUp(std::int64_t value, std::int64_t step) {
  return value <= 0 ? 0 : (value + step - 1) / step * step;
}

constexpr std::int64_t kNanosPerMilli = 1'000'000;
constexpr std::int64_t kMillisPerSecond = 1'000;

}  // namespace

Usage& Usage::operator+=(const Usage& other) {
  calls += other.calls;
  errors += other.errors;
  coldCalls += other.coldCalls;
  refused += other.refused;
  activeMs += other.activeMs;
  gpuMs += other.gpuMs;
  gpuMbMs += other.gpuMbMs;
  memoryMbMs += other.memoryMbMs;
  cpuMilliMs += other.cpuMilliMs;
  diskMbMs += other.diskMbMs;
  idleMs += other.idleMs;
  idleGpuMbMs += other.idleGpuMbMs;
  idleMemoryMbMs += other.idleMemoryMbMs;
  return *this;
}

Usage& Usage::operator-=(const Usage& other) {
  calls -= other.calls;
  errors -= other.errors;
  coldCalls -= other.coldCalls;
  refused -= other.refused;
  activeMs -= other.activeMs;
  gpuMs -= other.gpuMs;
  gpuMbMs -= other.gpuMbMs;
  memoryMbMs -= other.memoryMbMs;
  cpuMilliMs -= other.cpuMilliMs;
  diskMbMs -= other.diskMbMs;
  idleMs -= other.idleMs;
  idleGpuMbMs -= other.idleGpuMbMs;
  idleMemoryMbMs -= other.idleMemoryMbMs;
  return *this;
}

std::int64_t billedMilliseconds(Duration active) {
  return roundUp(active.count(), kNanosPerMilli) / kNanosPerMilli;
}

std::int64_t billedGpuMilliseconds(Duration active) {
  return roundUp(billedMilliseconds(active), kMillisPerSecond);
}

Usage usageOfInterval(const InstanceTerms& terms, Duration active) {
  Usage usage;
  usage.activeMs = billedMilliseconds(active);
  usage.memoryMbMs = terms.memory.wholeMib() * usage.activeMs;
  usage.diskMbMs = terms.disk.wholeMib() * usage.activeMs;
  usage.cpuMilliMs = terms.cpu.count * usage.activeMs;
  if (!terms.gpuType.empty()) {
    usage.gpuMs = billedGpuMilliseconds(active);
    usage.gpuMbMs = terms.gpuMemory.wholeMib() * usage.gpuMs;
  }
  return usage;
}

Usage usageOfIdle(const InstanceTerms& terms, Duration idle) {
  Usage usage;
  usage.idleMs = idle.count() / kNanosPerMilli;
  usage.idleMemoryMbMs = terms.memory.wholeMib() * usage.idleMs;
  usage.diskMbMs = terms.disk.wholeMib() * usage.idleMs;
  if (!terms.gpuType.empty()) usage.idleGpuMbMs = terms.gpuMemory.wholeMib() * usage.idleMs;
  return usage;
}

}  // namespace okibi::ledger
