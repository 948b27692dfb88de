#include "gpu/kernel_log.h"

#include <cerrno>
#include <charconv>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "base/encoding.h"

namespace okibi::gpu {
namespace {

constexpr std::size_t kLinesKept = 64;
constexpr std::size_t kRecord = 8192;  // the kernel's longest, in one read

// The number at the front of `text`, which goes on behind it.
template <class T>
std::optional<T> takeNumber(std::string_view& text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

// Goes on behind `mark`; false: it is not there.
bool skipPast(std::string_view& text, std::string_view mark) {
  const std::size_t at = text.find(mark);
  if (at == std::string_view::npos) return false;
  text.remove_prefix(at + mark.size());
  return true;
}

}  // namespace

std::optional<XidLine> xidLineFrom(std::string_view line) {
  if (!skipPast(line, "NVRM: Xid (PCI:")) return std::nullopt;
  const std::size_t end = line.find("): ");
  if (end == std::string_view::npos) return std::nullopt;
  XidLine found{toLower(line.substr(0, end)), 0, std::nullopt};
  line.remove_prefix(end + 3);
  const auto code = takeNumber<std::uint64_t>(line);
  if (!code) return std::nullopt;
  found.code = *code;
  // Right behind the code, or not at all: further on it would be another's words.
  if (line.starts_with(", pid=")) {
    line.remove_prefix(6);
    found.pid = takeNumber<int>(line);  // "'<unknown>'" where the driver does not know
  }
  return found;
}

Result<KernelLog> KernelLog::open(const std::filesystem::path& file) {
  net::UniqueFd fd(::open(file.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (!fd || lseek(fd.get(), 0, SEEK_END) < 0) {
    return fail(ErrorKind::Unavailable,
                fmt::format("{}: {}", file.string(), std::generic_category().message(errno)));
  }
  return KernelLog(std::move(fd));
}

void KernelLog::read() {
  char record[kRecord];
  for (;;) {
    const ssize_t size = ::read(fd_.get(), record, sizeof record);
    // EPIPE: some were overwritten before they were read; the next read goes on behind them.
    if (size < 0 && (errno == EINTR || errno == EPIPE)) continue;
    if (size <= 0) return;
    for (std::string_view line : split({record, static_cast<std::size_t>(size)}, '\n')) {
      if (auto found = xidLineFrom(line)) lines_.push_back(std::move(*found));
    }
    while (lines_.size() > kLinesKept) lines_.pop_front();
  }
}

std::optional<int> KernelLog::processOf(std::string_view pciAddress, std::uint64_t code) {
  read();
  const std::string_view slot = pciAddress.substr(0, pciAddress.rfind('.'));
  for (auto line = lines_.rbegin(); line != lines_.rend(); ++line) {
    if (line->code != code || line->pciAddress != slot) continue;
    const std::optional<int> pid = line->pid;
    lines_.erase(std::next(line).base());
    return pid;
  }
  return std::nullopt;
}

}  // namespace okibi::gpu
