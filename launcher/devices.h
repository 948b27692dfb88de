#pragma once
// What an instance is given of the host beside its image: device nodes, files, links (the launch's
// two steps for it). The host's side is opened before pivot_root, as a detached copy of its mount,
// and attached afterwards at a path that is resolved inside the image, so that no link of the image
// leads a mount anywhere else.
//
// The daemon asks and is not trusted with more than it needs: nodes are character devices below
// /dev or the state directory, and none of the kernel's memory; what is mounted to be written is a
// file of the state directory.

#include <string>
#include <vector>

#include <sys/types.h>

#include "launcher/sys.h"
#include "runtime/protocol.h"

namespace okibi::launcher::devices {

// The host's side, in the order of the request.
struct Sources {
  std::vector<Fd> mounts, nodes;
  std::vector<gid_t> groups;  // that may use a node which is not everybody's
};

// Before pivot_root.
Outcome<Sources> openSources(const runtime::Devices& wanted, const std::string& stateDirectory);
// After it, with /proc and /dev mounted.
Status place(const runtime::Devices& wanted, const Sources& sources);

}  // namespace okibi::launcher::devices
