#pragma once
// Who the application runs as: the image's User, resolved with the image's own passwd and group
// files.

#include <string>
#include <vector>

#include <sys/types.h>

#include "launcher/sys.h"

namespace okibi::launcher {

struct Identity {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;  // supplementary
  std::string home = "/";
};

// "", "name", "uid", "name:group", "uid:gid", as container engines read it. `passwd` and `group`
// are the texts of /etc/passwd and /etc/group ("" when missing). A name that is not there is an
// error.
Outcome<Identity> resolveIdentity(const std::string& user, const std::string& passwd,
                                  const std::string& group);

// Groups, gid, uid of the calling process, for good.
Status becomeIdentity(const Identity& identity);

}  // namespace okibi::launcher
