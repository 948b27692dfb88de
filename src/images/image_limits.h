#pragma once
// Every size limit of the image store, with its reason. They bound what a registry or a layer, both
// untrusted, can make this machine spend.

#include <cstddef>
#include <cstdint>

#include "base/units.h"

namespace okibi::images {

// Registries themselves refuse manifests above 4 MiB (OCI distribution-spec, "Pushing Manifests").
inline constexpr Bytes kManifestMax = Bytes::mib(4);
inline constexpr Bytes kConfigMax = Bytes::mib(8);
inline constexpr std::size_t kLayersMax = 500;  // overlayfs takes at most 500 lower directories
inline constexpr std::size_t kReferenceLength = 1024;
// One layer, unpacked. A zip bomb ends here if the disk is not full before.
inline constexpr Bytes kLayerUnpackedMax = Bytes::gib(256);
inline constexpr std::int64_t kLayerEntriesMax = 8'000'000;
inline constexpr Bytes kTarExtensionMax = Bytes::mib(1);  // one pax header or GNU long name
inline constexpr std::size_t kPathMax = 4095;             // PATH_MAX without its NUL
inline constexpr std::size_t kXattrsPerEntry = 128;
// A gzip layer is inflated in one go (three times faster than as a stream) when its result is at
// most this and at most a quarter of the memory that is free.
inline constexpr Bytes kWholeLayerMax = Bytes::mib(768);
// Free space that a pull leaves alone on the disk of the state directory.
inline constexpr Bytes kDiskReserve = Bytes::mib(16);
inline constexpr std::chrono::seconds kInspectTimeout{60};  // one manifest or config
inline constexpr std::chrono::seconds kFetchTimeout{7200};  // all layers of one image
// At most half of the loop's four workers: a registry that hangs must not stop the database, which
// works on them too. Further pulls wait in order.
inline constexpr int kPullsAtOnce = 2;
inline constexpr Bytes kToolErrorMax = Bytes::kib(64);  // kept of skopeo's standard error

}  // namespace okibi::images
