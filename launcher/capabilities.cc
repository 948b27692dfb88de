#include "launcher/capabilities.h"

#include <algorithm>
#include <iterator>

#include <sys/capability.h>
#include <sys/prctl.h>

namespace okibi::launcher {

namespace {

constexpr cap_value_t kKept[] = {
    CAP_CHOWN,  CAP_DAC_OVERRIDE, CAP_FSETID,  CAP_FOWNER,           CAP_SETGID,
    CAP_SETUID, CAP_SETPCAP,      CAP_SETFCAP, CAP_NET_BIND_SERVICE, CAP_SYS_CHROOT,
    CAP_KILL,   CAP_AUDIT_WRITE,
};

bool kept(int capability) {
  return std::ranges::find(kKept, capability) != std::end(kKept);
}

}  // namespace

Status dropCapabilities() {
  for (int capability = 0; prctl(PR_CAPBSET_READ, capability) >= 0; ++capability) {
    if (!kept(capability) && prctl(PR_CAPBSET_DROP, capability) != 0) return failed("bounding set");
  }
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0) return failed("ambient set");
  cap_t wanted = cap_init();
  if (wanted == nullptr) return failed("cap_init");
  // Only what we hold ourselves: a machine may have taken some away from its root.
  for (cap_value_t capability : kKept) {
    if (prctl(PR_CAPBSET_READ, capability) != 1) continue;
    cap_set_flag(wanted, CAP_PERMITTED, 1, &capability, CAP_SET);
    cap_set_flag(wanted, CAP_EFFECTIVE, 1, &capability, CAP_SET);
  }
  int done = cap_set_proc(wanted);
  int error = errno;
  cap_free(wanted);
  if (done != 0) return failed("capset", error);
  return {};
}

}  // namespace okibi::launcher
