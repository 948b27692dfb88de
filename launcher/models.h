#pragma once
// Model directories of an instance (the launch's two steps for them): folders of the host that an
// operator approved by name. The roots are given to the launcher at its start; the daemon names a
// root and a subdirectory, so that it can mount nothing else by this way.
//
// A subdirectory is resolved below its root: links in it are followed as long as they stay there
// ("current -> v3"; a relative link is how model hubs lay out their files). The container sees one
// mount, read-only and without set-user-id programs or devices; what the host has mounted below it
// is not followed.

#include <map>
#include <string>
#include <vector>

#include "launcher/sys.h"
#include "runtime/protocol.h"

namespace okibi::launcher::models {

using Roots = std::map<std::string, std::string>;  // path by name

// Before pivot_root: detached copies, in the order of `wanted`. Failures name a directory as its
// user does, never by its path on the host.
Outcome<std::vector<Fd>> openSources(const std::vector<runtime::ModelDirectory>& wanted,
                                     const Roots& roots);
// After it. The image's own links are not followed: what is mounted is where it was asked for.
Status place(const std::vector<runtime::ModelDirectory>& wanted, const std::vector<Fd>& sources);

}  // namespace okibi::launcher::models
