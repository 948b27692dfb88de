#include "launcher/remnants.h"

#include <cstdio>

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

namespace okibi::launcher {

std::string topGroupOf(const std::string& stateDirectory) {
  char* resolved = realpath(stateDirectory.c_str(), nullptr);
  std::string path = resolved != nullptr ? resolved : stateDirectory;
  free(resolved);
  std::uint64_t hash = 0xcbf29ce484222325ULL;  // FNV-1a
  for (unsigned char c : path) hash = (hash ^ c) * 0x100000001b3ULL;
  char text[32];
  std::snprintf(text, sizeof(text), "okibi-%016llx", static_cast<unsigned long long>(hash));
  return text;
}

Outcome<int> startJanitor(const CgroupLayout& layout, const std::string& top,
                          const std::string& run) {
  Outcome<SocketPair> pair = makeSocketPair();
  if (!pair) return std::unexpected(pair.error());
  int pid = fork();
  if (pid < 0) return failed("fork");
  if (pid > 0) {
    pair->ours.release();  // held until the launcher ends
    return pid;
  }
  keepOnly({pair->theirs.release()});
  pair->ours.release();  // closed by keepOnly
  setsid();
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, nullptr);
  if (chdir("/") != 0) _exit(1);
  char byte;
  while (read(3, &byte, 1) < 0 && errno == EINTR) {
  }
  sweepRun(layout, top, run);
  for (const std::string& base : layout.bases()) rmdir((base + "/" + top).c_str());
  _exit(0);
}

}  // namespace okibi::launcher
