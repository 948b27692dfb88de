#include "shim/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

namespace okibi::shim {
namespace {

struct Stat {
  char state = 0;
  std::uint64_t threads = 0;
  std::uint64_t startTick = 0;
};

// Own digits, own readlink: the library must load into images with an old C library, and newer
// names of strtoul and stat would forbid that.
std::uint64_t numberAt(const char* at) {
  std::uint64_t number = 0;
  for (; *at >= '0' && *at <= '9'; ++at)
    number = number * 10 + static_cast<std::uint64_t>(*at - '0');
  return number;
}

// Fields 3, 20 and 22 of /proc/NAME/stat. The command in field 2 may hold anything, so counting
// starts after its last parenthesis.
bool readStat(const char* name, Stat& stat) {
  char path[48], text[1024];
  snprintf(path, sizeof path, "/proc/%s/stat", name);
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const ssize_t got = read(fd, text, sizeof text - 1);
  close(fd);
  if (got <= 0) return false;
  text[got] = 0;
  const char* at = strrchr(text, ')');
  if (!at || at[1] != ' ') return false;
  at += 2;
  stat.state = *at;
  for (int field = 3; field < 22; ++field) {
    if (field == 20) stat.threads = numberAt(at);
    at = strchr(at, ' ');
    if (!at) return false;
    ++at;
  }
  stat.startTick = numberAt(at);
  return true;
}

// "pid:[4026531836]"
std::uint32_t readNamespace() {
  char text[64];
  const ssize_t got = readlink("/proc/self/ns/pid", text, sizeof text - 1);
  if (got <= 0) return 0;
  text[got] = 0;
  const char* number = strchr(text, '[');
  return number ? static_cast<std::uint32_t>(numberAt(number + 1)) : 0;
}

}  // namespace

budget::Process selfProcess() {
  budget::Process self;
  self.pid = static_cast<std::uint32_t>(getpid());
  Stat of;
  if (readStat("self", of)) self.startTick = of.startTick;
  self.pidNamespace = readNamespace();
  return self;
}

bool mayBeAlive(std::uint32_t pid, std::uint64_t startTick) {
  if (kill(static_cast<pid_t>(pid), 0) < 0 && errno == ESRCH) return false;
  char name[16];
  snprintf(name, sizeof name, "%u", pid);
  Stat of;
  if (!readStat(name, of)) return true;
  if (startTick && of.startTick != startTick) return false;
  // A leader that has ended before its threads is a zombie, too, but counts them.
  return !((of.state == 'Z' || of.state == 'X') && of.threads <= 1);
}

int reapDead(budget::File& file, const budget::Process& self) {
  int reaped = 0;
  if (self.pidNamespace == 0) return 0;
  for (unsigned i = 0; i < budget::kSlots; ++i) {
    budget::Slot& slot = file.slots[i];
    const std::uint64_t owner = __atomic_load_n(&slot.owner, __ATOMIC_SEQ_CST);
    const budget::Holder holder = budget::holderOf(owner);
    if (holder != budget::Holder::Owner && holder != budget::Holder::Reaper) continue;
    if (__atomic_load_n(&slot.pidNamespace, __ATOMIC_SEQ_CST) != self.pidNamespace) continue;
    if (budget::pidOf(owner) == self.pid && budget::startTickOf(owner) == self.startTick) continue;
    if (mayBeAlive(budget::pidOf(owner), budget::startTickOf(owner))) continue;
    reaped += budget::reapSlot(file, i, owner, budget::Holder::Reaper, self);
  }
  return reaped;
}

}  // namespace okibi::shim
