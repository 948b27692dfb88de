#include "ledger/segment.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <system_error>

#include <fmt/format.h>

#include "ledger/record_codec.h"

namespace okibi::ledger {
namespace {

constexpr std::string_view kMagic = "OKIBILG1";
constexpr std::uint32_t kFormat = 1;
constexpr std::string_view kPrefix = "ledger-";
constexpr std::string_view kSuffix = ".log";

template <typename T>
void put(std::string& out, T value) {
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));
  out.append(bytes, sizeof(T));
}

std::uint64_t numberOf(std::string_view name) {  // 0: not a segment
  if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix)) return 0;
  if (name.size() <= kPrefix.size() + kSuffix.size()) return 0;
  name.remove_prefix(kPrefix.size());
  name.remove_suffix(kSuffix.size());
  std::uint64_t number = 0;
  const auto parsed = std::from_chars(name.data(), name.data() + name.size(), number);
  return parsed.ec == std::errc() && parsed.ptr == name.data() + name.size() ? number : 0;
}

void noteMark(const Record& record, Scan& scan) {
  if (const auto* mark = std::get_if<DurableMark>(&record)) {
    scan.durable = std::max(scan.durable, mark->offset);
  }
}

// Looks for whole records behind a bad frame, byte by byte: its length cannot be trusted.
void findSurvivors(std::string_view bytes, Scan& scan) {
  std::size_t at = scan.end + 1;
  while (at + kFrameHeader <= bytes.size()) {
    const Frame frame = readFrame(bytes.substr(at));
    const auto record = frame.state == FrameState::Complete ? decodePayload(frame.payload)
                                                            : Result<Record>(fail(Error{}));
    if (!record) {
      ++at;
      continue;
    }
    noteMark(*record, scan);
    scan.survivors.push_back(*record);
    at += frame.size;
  }
}

}  // namespace

std::string segmentName(std::uint64_t number) {
  return fmt::format("{}{:08}{}", kPrefix, number, kSuffix);
}

std::string encodeSegmentHeader(std::uint64_t number) {
  std::string header(kMagic);
  put(header, number);
  put(header, kFormat);
  put(header, crc32c(header));
  return header;
}

Result<void> checkSegmentHeader(std::string_view bytes, std::uint64_t number) {
  if (bytes.substr(0, kSegmentHeader) == encodeSegmentHeader(number)) return {};
  const bool ours = bytes.starts_with(kMagic.substr(0, kMagic.size() - 1));
  return fail(ErrorKind::Invalid,
              ours ? "its header is damaged, of another segment or of a newer okibi"
                   : "it is not a ledger segment");
}

Result<std::vector<std::uint64_t>> listSegments(const std::filesystem::path& directory) {
  std::vector<std::uint64_t> numbers;
  std::error_code error;
  std::filesystem::directory_iterator files(directory, error);
  for (; !error && files != std::filesystem::directory_iterator(); files.increment(error)) {
    const std::uint64_t number = numberOf(files->path().filename().string());
    if (number != 0) numbers.push_back(number);
  }
  if (error) {
    return fail(ErrorKind::Internal, "list " + directory.string() + ": " + error.message());
  }
  std::ranges::sort(numbers);
  return numbers;
}

Result<Scan> scanSegment(std::string_view bytes) {
  Scan scan;
  scan.end = kSegmentHeader;
  while (scan.end < bytes.size()) {
    const Frame frame = readFrame(bytes.substr(scan.end));
    if (frame.state != FrameState::Complete) {
      findSurvivors(bytes, scan);
      break;
    }
    auto record = decodePayload(frame.payload);
    if (!record) return fail(withContext(record.error(), fmt::format("byte {}", scan.end)));
    noteMark(*record, scan);
    scan.records.push_back(std::move(*record));
    scan.end += frame.size;
  }
  return scan;
}

}  // namespace okibi::ledger
