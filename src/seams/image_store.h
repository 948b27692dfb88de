#pragma once
// ImageStore: images made present on this machine at deploy time, so that a cold start never waits
// for a registry. Implemented by images/; the fake for tests is seams/fake_image_store.h.

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "model/function.h"
#include "net/task.h"

namespace okibi::seams {

// What the image itself says about running it (OCI image-spec, config). Empty means not set.
struct ImageConfig {
  std::vector<std::string> entrypoint, command;
  std::vector<std::string> environment;  // "KEY=value"
  std::string workingDirectory, user;    // user: "name", "uid", "uid:gid", "name:group"
  std::string architecture;              // GOARCH: "amd64"
};

// An image that is complete on disk: every layer unpacked and durable.
struct PreparedImage {
  std::string reference;  // as asked for
  std::string digest;     // "sha256:…" of the manifest
  ImageConfig config;
  std::vector<std::filesystem::path> layers;  // unpacked layer directories, lowest first
  Bytes size;                                 // of the unpacked layers
  WallTime pulled{};
};

struct PullProgress {
  std::string step;   // "resolve", "fetch", "unpack", "done"
  Bytes done, total;  // of the step; total 0: unknown
};
// Called from the loop thread.
using ProgressListener = std::function<void(const PullProgress&)>;

class ImageStore {
 public:
  virtual ~ImageStore() = default;

  // Makes `reference` present: "host:port/name:tag" and "name@sha256:…" from a registry (plain HTTP
  // for loopback hosts), "oci:/path/to/layout:ref" from a local OCI layout. A reference whose
  // digest is here already costs one manifest request. Runs on worker threads; several may run at
  // once. Errors: NotFound (no such image), Denied (private), Invalid (corrupt, wrong architecture,
  // a layer that escapes), Exhausted (disk full), Unavailable (registry unreachable).
  virtual net::Task<Result<PreparedImage>> pull(std::string reference,
                                                std::optional<RegistryAuth> auth,
                                                ProgressListener progress) = 0;

  // An image that is present, by digest. NotFound otherwise. No network, no waiting.
  virtual Result<PreparedImage> find(const std::string& digest) const = 0;
  virtual std::vector<PreparedImage> list() const = 0;

  // Removes an image by digest or reference and the layers no other image uses. `inUse` digests are
  // refused with AlreadyExists, code ImageInUse.
  virtual net::Task<Result<void>> remove(std::string digestOrReference,
                                         std::vector<std::string> inUse) = 0;
};

}  // namespace okibi::seams
