#pragma once
// What a generated front (front_writer.h) hands to the shim when it is loaded. The front is the
// file mounted as libcuda.so.1 (or libnvidia-ml.so.1): it exports every name of the host's library,
// each a jump through a slot, and its only code beside those is an initializer that calls
// okibi_shim_bind() with this structure.

#include <cstdint>

namespace okibi::shim {

inline constexpr std::uint64_t kFrontMagic = 0x31544e524649424b;  // "KBIFRNT1"
inline constexpr std::uint32_t kFrontVersion = 1;

enum class Library : std::uint32_t { Cuda = 0, Nvml = 1 };

// Offsets count bytes from the structure itself, so that only the slots need relocation.
struct Front {
  std::uint64_t magic;
  std::uint32_t version;
  std::uint32_t count;
  Library library;
  std::uint32_t reserved;
  std::int64_t slots;  // void* [count]: where each name's jump leads
  std::int64_t names;  // uint32_t [count]: offset of each name from `strings`
  std::int64_t strings;
  std::int64_t realPath;    // the host's library, as seen inside the container
  std::int64_t budgetPath;  // the budget file, as seen inside the container

  const char* text(std::int64_t offset) const {
    return reinterpret_cast<const char*>(this) + offset;
  }
  void** slotTable() { return reinterpret_cast<void**>(reinterpret_cast<char*>(this) + slots); }
  const char* name(std::uint32_t i) const {
    return text(strings) + reinterpret_cast<const std::uint32_t*>(text(names))[i];
  }
};
static_assert(sizeof(Front) == 64);

}  // namespace okibi::shim

extern "C" void okibi_shim_bind(okibi::shim::Front* front);
