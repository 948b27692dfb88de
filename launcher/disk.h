#pragma once
// Writable layers: ext4 images of a function's disk size, on loop devices, mounted ahead in the
// launcher's private mount namespace. An image file has no name once it is mounted and a loop
// device clears itself at the last unmount, so nothing is left when the launcher ends, however it
// ends. An image is never used twice: a released one is dropped and a fresh one made.

#include <cstdint>
#include <string>

#include "launcher/sys.h"

namespace okibi::launcher::disk {

inline constexpr std::uint64_t kSmallest = 2ULL << 20;

// An ext4 file system of `bytes` with upper/ and work/ in it, as a sparse file without a name in
// `directory`. Runs mkfs.ext4: for a child process, once per size.
Outcome<Fd> makeTemplate(const std::string& directory, std::uint64_t bytes);
// A copy of `source` mounted at `mountPoint`. 1-2 ms: for a child process.
Status mountCopy(const Fd& source, std::uint64_t bytes, const std::string& directory,
                 const std::string& mountPoint);
// Unmounts, which writes what is still in memory: for a child process.
void unmount(const std::string& mountPoint);

// An unnamed sparse file of `bytes` in `directory`.
Outcome<Fd> makeSparseFile(const std::string& directory, std::uint64_t bytes);

}  // namespace okibi::launcher::disk
