#pragma once
// KernelLog: what the driver's kernel module writes about failures of cards. It names the process
// at fault, which the management library does not. Worker threads, one at a time.

#include <cstdint>
#include <deque>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "net/fd.h"

namespace okibi::gpu {

struct XidLine {
  std::string pciAddress;  // "0000:17:00": without the function
  std::uint64_t code = 0;
  std::optional<int> pid;  // on the host
  bool operator==(const XidLine&) const = default;
};

// "NVRM: Xid (PCI:0000:17:00): 31, pid=4242, name=python3, Ch 00000010, …"; nullopt: another line.
std::optional<XidLine> xidLineFrom(std::string_view line);

class KernelLog {
 public:
  // Lines from now on. Unavailable: it may not be read here.
  static Result<KernelLog> open(const std::filesystem::path& file = "/dev/kmsg");

  // The process that the newest unread line about failure `code` of the card blames.
  // `pciAddress`: "0000:17:00.0".
  std::optional<int> processOf(std::string_view pciAddress, std::uint64_t code);

 private:
  explicit KernelLog(net::UniqueFd fd) : fd_(std::move(fd)) {}
  void read();

  net::UniqueFd fd_;
  std::deque<XidLine> lines_;  // newest last
};

}  // namespace okibi::gpu
