#include "gpu/budget_file.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim/process.h"

namespace okibi::gpu {
namespace {

constexpr std::int64_t kMaxBytes = static_cast<std::int64_t>(budget::kMaxUnits * budget::kUnit);

Result<void> check(const BudgetSettings& settings) {
  if (settings.cards.empty() || settings.cards.size() > budget::kMaxCards)
    return fail(ErrorKind::Invalid, fmt::format("cards: {} given, must be 1 to {}",
                                                settings.cards.size(), budget::kMaxCards));
  const auto inRange = [](Bytes bytes) { return bytes.count() >= 0 && bytes.count() <= kMaxBytes; };
  if (!inRange(settings.perContext))
    return fail(ErrorKind::Invalid, fmt::format("perContext: {} bytes, must be 0 to {}",
                                                settings.perContext.count(), kMaxBytes));
  for (std::size_t i = 0; i < settings.cards.size(); ++i) {
    const BudgetCard& card = settings.cards[i];
    if (!inRange(card.limit) || card.limit.count() == 0)
      return fail(ErrorKind::Invalid, fmt::format("cards[{}].limit: {} bytes, must be 1 to {}", i,
                                                  card.limit.count(), kMaxBytes));
    if (card.uuid.size() >= sizeof(budget::Card::uuid))
      return fail(ErrorKind::Invalid,
                  fmt::format("cards[{}].uuid: {} characters, at most {}", i, card.uuid.size(),
                              sizeof(budget::Card::uuid) - 1));
    if (card.uuid.empty() != settings.cards[0].uuid.empty())
      return fail(ErrorKind::Invalid,
                  fmt::format("cards[{}].uuid: all cards have one, or none", i));
  }
  return {};
}

// The file is new and zeroed: slots are free, nothing is charged.
void fill(budget::File& file, const BudgetSettings& settings) {
  file.magic = budget::kMagic;
  file.version = budget::kVersion;
  file.cards = static_cast<std::uint32_t>(settings.cards.size());
  file.contextUnits = budget::unitsOf(static_cast<std::uint64_t>(settings.perContext.count()));
  for (std::size_t i = 0; i < settings.cards.size(); ++i) {
    // A limit is rounded down, a charge up.
    file.card[i].limit =
        static_cast<std::uint64_t>(settings.cards[i].limit.count()) / budget::kUnit;
    std::memcpy(file.card[i].uuid, settings.cards[i].uuid.data(), settings.cards[i].uuid.size());
  }
  file.checksum = budget::checksumOf(file);
}

Bytes bytesOf(std::uint64_t units) {
  return Bytes(static_cast<std::int64_t>(units * budget::kUnit));
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

std::uint32_t namespaceOf(const std::filesystem::path& process) {
  std::error_code error;
  const std::string text = std::filesystem::read_symlink(process / "ns/pid", error).string();
  const std::size_t at = text.find('[');
  return error || at == std::string::npos
             ? 0
             : static_cast<std::uint32_t>(std::strtoul(text.c_str() + at + 1, nullptr, 10));
}

// The last number of the line "NSpid: 4711 12".
std::uint32_t innermostPid(const std::filesystem::path& process) {
  std::ifstream status(process / "status");
  for (std::string line; std::getline(status, line);) {
    if (!line.starts_with("NSpid:")) continue;
    const std::size_t at = line.find_last_of(" \t");
    return static_cast<std::uint32_t>(std::strtoul(line.c_str() + at + 1, nullptr, 10));
  }
  return 0;
}

}  // namespace

void BudgetFile::Unmap::operator()(budget::File* file) const {
  ::munmap(file, sizeof(budget::File));
}

Result<BudgetFile::Mapping> BudgetFile::map(int fd, const std::string& path) {
  void* at = ::mmap(nullptr, sizeof(budget::File), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (at == MAP_FAILED) return failErrno("map " + path, errno);
  return Mapping(static_cast<budget::File*>(at));
}

Result<BudgetFile> BudgetFile::create(const std::string& path, const BudgetSettings& settings) {
  if (auto checked = check(settings); !checked) return fail(checked.error());
  ::unlink(path.c_str());
  const Descriptor fd(
      ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (fd.get() < 0) return failErrno("create " + path, errno);
  // Reserved now: a full file system must not end a process of the instance with SIGBUS later.
  if (const int error = ::posix_fallocate(fd.get(), 0, sizeof(budget::File)))
    return failErrno("reserve " + path, error);
  auto mapped = map(fd.get(), path);
  if (!mapped) return fail(mapped.error());
  fill(**mapped, settings);
  if (::fchmod(fd.get(), 0666) != 0) return failErrno("chmod " + path, errno);
  return BudgetFile(std::move(*mapped));
}

Result<BudgetFile> BudgetFile::open(const std::string& path) {
  const Descriptor fd(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (fd.get() < 0)
    return failErrno("open " + path, errno,
                     errno == ENOENT ? ErrorKind::NotFound : ErrorKind::Internal);
  struct stat about{};
  if (::fstat(fd.get(), &about) != 0) return failErrno("stat " + path, errno);
  if (about.st_size != static_cast<off_t>(sizeof(budget::File)))
    return fail(ErrorKind::Invalid,
                fmt::format("{}: {} bytes, must be {}", path, about.st_size, sizeof(budget::File)));
  auto mapped = map(fd.get(), path);
  if (!mapped) return fail(mapped.error());
  if (const char* fault = budget::faultOf(**mapped))
    return fail(ErrorKind::Invalid, path + " " + fault);
  return BudgetFile(std::move(*mapped));
}

Bytes BudgetFile::limit(unsigned card) const {
  return bytesOf(file_->card[card].limit);
}

Bytes BudgetFile::used(unsigned card) const {
  return bytesOf(budget::usedUnits(*file_, card));
}

BudgetedProcess BudgetFile::processIn(unsigned slot, std::uint64_t owner) {
  BudgetedProcess process;
  process.pid = budget::pidOf(owner);
  process.startTick = budget::startTickOf(owner);
  process.pidNamespace = __atomic_load_n(&file_->slots[slot].pidNamespace, __ATOMIC_SEQ_CST);
  process.marks = __atomic_load_n(&file_->slots[slot].marks, __ATOMIC_SEQ_CST);
  for (unsigned card = 0; card < cards(); ++card)
    process.used.push_back(bytesOf(budget::slotUnits(*file_, slot, card)));
  return process;
}

std::vector<BudgetedProcess> BudgetFile::processes() {
  std::vector<BudgetedProcess> found;
  for (unsigned slot = 0; slot < budget::kSlots; ++slot) {
    const std::uint64_t owner = __atomic_load_n(&file_->slots[slot].owner, __ATOMIC_SEQ_CST);
    if (owner) found.push_back(processIn(slot, owner));
  }
  return found;
}

std::uint32_t BudgetFile::marks() {
  std::uint32_t all = 0;
  for (const budget::Slot& slot : file_->slots)
    all |= __atomic_load_n(&slot.marks, __ATOMIC_SEQ_CST);
  return all;
}

void BudgetFile::close() {
  std::uint32_t open = budget::kOpen;
  __atomic_compare_exchange_n(&file_->state, &open, static_cast<std::uint32_t>(budget::kClosed),
                              false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

bool BudgetFile::corrupt() const {
  return budget::faultOf(*file_) != nullptr;
}

int BudgetFile::reap(const std::function<bool(const BudgetedProcess&)>& alive) {
  const budget::Process self = shim::selfProcess();
  int reaped = 0;
  for (unsigned slot = 0; slot < budget::kSlots; ++slot) {
    const std::uint64_t owner = __atomic_load_n(&file_->slots[slot].owner, __ATOMIC_SEQ_CST);
    if (!owner) continue;
    // A daemon that ended in the middle of this left its name.
    const bool abandoned = budget::holderOf(owner) == budget::Holder::Daemon;
    if (!abandoned && alive(processIn(slot, owner))) continue;
    reaped += budget::reapSlot(*file_, slot, owner, budget::Holder::Daemon, self);
  }
  return reaped;
}

HostProcesses::HostProcesses() {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const std::uint32_t pid = innermostPid(entry.path());
    if (pid) known_.push_back({pid, namespaceOf(entry.path())});
  }
  std::ranges::sort(known_);
}

bool HostProcesses::alive(const BudgetedProcess& process) const {
  if (process.pidNamespace == 0) return true;
  const auto found = std::ranges::lower_bound(known_, Known{process.pid, 0});
  // One whose namespace could not be read (0) may be the one.
  for (auto at = found; at != known_.end() && at->pid == process.pid; ++at) {
    if (at->pidNamespace == 0 || at->pidNamespace == process.pidNamespace) return true;
  }
  return false;
}

}  // namespace okibi::gpu
