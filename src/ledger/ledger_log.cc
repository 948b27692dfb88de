#include "ledger/ledger_log.h"

#include <algorithm>
#include <cerrno>
#include <mutex>
#include <system_error>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ledger/log_file.h"
#include "ledger/record_codec.h"
#include "ledger/segment.h"

namespace okibi::ledger {
namespace fs = std::filesystem;

struct LedgerLog::State {
  fs::path directory;
  LogOptions options;

  // `fields` guards what follows; `syncing` keeps the file open while it is flushed. Taken in this
  // order: syncing, fields.
  std::mutex syncing, fields;
  LogFile file;
  std::uint64_t segment = 0;
  std::uint64_t size = 0;     // of the segment
  std::uint64_t durable = 0;  // of the segment, known to be on disk
  std::uint64_t marked = 0;   // the last DurableMark written
  bool broken = false;

  fs::path pathOf(std::uint64_t number) const { return directory / segmentName(number); }
  fs::path path() const { return pathOf(segment); }
  Result<void> openNewest(std::uint64_t number, OpenReport& report);
  Result<void> mend(const Scan& scan, std::uint64_t fileSize, OpenReport& report);
  Result<void> appendLocked(const Records& records);
  Result<LogFile> makeSegment(std::uint64_t number, const Records& preamble,
                              std::uint64_t& written);
  Result<void> readSegment(std::uint64_t number, std::uint64_t limit, std::size_t maxBytes,
                           LogPosition from, Batch& batch) const;
};

namespace {

Result<std::string> readWhole(const LogFile& file, const fs::path& path) {
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) return fileError("stat", path, errno);
  return file.readAt(0, static_cast<std::size_t>(status.st_size), path);
}

std::unexpected<Error> damaged(const fs::path& path, std::uint64_t at, std::string_view more) {
  return fail(ErrorKind::Invalid,
              fmt::format("ledger segment {} is damaged at byte {}{}", path.string(), at, more));
}

bool isMark(const Record& record) {
  return std::holds_alternative<DurableMark>(record);
}

Result<void> makeDirectory(const fs::path& directory) {
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) return fileError("create", directory, error.value());
  fs::permissions(directory, fs::perms::owner_all, error);
  if (error) return fileError("chmod", directory, error.value());
  return {};
}

}  // namespace

LedgerLog::LedgerLog(std::unique_ptr<State> state) : state_(std::move(state)) {}
LedgerLog::LedgerLog(LedgerLog&& other) noexcept = default;
LedgerLog& LedgerLog::operator=(LedgerLog&& other) noexcept = default;
LedgerLog::~LedgerLog() = default;

Result<LedgerLog> LedgerLog::open(const fs::path& directory, OpenReport& report,
                                  LogOptions options) {
  if (auto made = makeDirectory(directory); !made) return fail(made.error());
  const auto segments = listSegments(directory);
  if (!segments) return fail(segments.error());
  auto state = std::make_unique<State>();
  state->directory = directory;
  state->options = options;
  if (segments->empty()) {
    const LogPosition& folded = options.folded;
    const std::uint64_t first =
        std::max<std::uint64_t>(1, folded.segment + (folded.offset > 0 ? 1 : 0));
    auto file = state->makeSegment(first, {}, state->size);
    if (!file) return fail(file.error());
    state->file = std::move(*file);
    state->segment = first;
    state->durable = state->marked = state->size;
  } else if (auto opened = state->openNewest(segments->back(), report); !opened) {
    return fail(opened.error());
  }
  return LedgerLog(std::move(state));
}

Result<void> LedgerLog::State::openNewest(std::uint64_t number, OpenReport& report) {
  segment = number;
  auto opened = LogFile::open(path(), O_RDWR);
  if (!opened) return fail(opened.error());
  file = std::move(*opened);
  const auto bytes = readWhole(file, path());
  if (!bytes) return fail(bytes.error());
  if (auto header = checkSegmentHeader(*bytes, number); !header) {
    return fail(withContext(header.error(), "ledger segment " + path().string()));
  }
  auto scan = scanSegment(*bytes);
  if (!scan) return fail(withContext(scan.error(), "ledger segment " + path().string()));
  if (options.folded.segment == number) {
    scan->durable = std::max(scan->durable, options.folded.offset);
  }
  if (scan->end < scan->durable) {
    return damaged(path(), scan->end,
                   fmt::format(", before byte {} which had reached the disk; {} intact records "
                               "follow. Restore the file, or move it away and lose what it holds",
                               scan->durable, scan->survivors.size()));
  }
  size = scan->end;
  report.lastSegment = std::move(scan->records);
  std::erase_if(report.lastSegment, isMark);
  if (auto mended = mend(*scan, bytes->size(), report); !mended) return mended;
  // What was read back may still be in the page cache only.
  if (::fdatasync(file.get()) != 0) return fileError("fdatasync", path(), errno);
  durable = size;
  return {};
}

// Cuts a torn tail and writes again what stood whole behind the tear.
Result<void> LedgerLog::State::mend(const Scan& scan, std::uint64_t fileSize, OpenReport& report) {
  if (scan.end == fileSize) return {};
  report.cutAt = scan.end;
  report.cutBytes = fileSize - scan.end;
  if (::ftruncate(file.get(), static_cast<off_t>(size)) != 0) {
    return fileError("truncate", path(), errno);
  }
  Records survivors = scan.survivors;
  std::erase_if(survivors, isMark);
  report.salvaged = survivors.size();
  report.lastSegment.insert(report.lastSegment.end(), survivors.begin(), survivors.end());
  return survivors.empty() ? Result<void>() : appendLocked(survivors);
}

Result<void> LedgerLog::append(const Records& records) {
  const std::scoped_lock lock(state_->fields);
  return state_->appendLocked(records);
}

Result<void> LedgerLog::State::appendLocked(const Records& records) {
  if (broken) return fail(ErrorKind::Internal, "the ledger log failed before; restart the daemon");
  if (records.empty()) return {};
  std::string bytes;
  if (durable > marked) encodeRecord(DurableMark{durable}, bytes);
  const std::uint64_t mark = durable;
  for (const Record& record : records) encodeRecord(record, bytes);
  if (auto written = file.writeAt(bytes, size, path()); !written) {
    broken = ::ftruncate(file.get(), static_cast<off_t>(size)) != 0;
    return written;
  }
  size += bytes.size();
  marked = mark;
  return {};
}

Result<void> LedgerLog::sync() {
  State& state = *state_;
  const std::scoped_lock syncing(state.syncing);
  std::uint64_t target = 0;
  {
    const std::scoped_lock lock(state.fields);
    if (state.broken) return fail(ErrorKind::Internal, "the ledger log failed before");
    target = state.size;
    if (target == state.durable) return {};
  }
  const int error = ::fdatasync(state.file.get()) == 0 ? 0 : errno;
  const std::scoped_lock lock(state.fields);
  if (error != 0) {
    state.broken = true;
    return fileError("fdatasync", state.path(), error);
  }
  state.durable = target;
  return {};
}

bool LedgerLog::full() const {
  const std::scoped_lock lock(state_->fields);
  return state_->size >= state_->options.segmentBytes;
}

Result<void> LedgerLog::rotate(const Records& preamble) {
  if (auto synced = sync(); !synced) return synced;
  State& state = *state_;
  const std::scoped_lock syncing(state.syncing);
  const std::scoped_lock lock(state.fields);
  std::uint64_t written = 0;
  auto file = state.makeSegment(state.segment + 1, preamble, written);
  if (!file) return fail(file.error());
  state.file = std::move(*file);
  ++state.segment;
  state.size = state.durable = state.marked = written;
  return {};
}

// Written under another name and renamed, so that a segment that exists is whole.
Result<LogFile> LedgerLog::State::makeSegment(std::uint64_t number, const Records& preamble,
                                              std::uint64_t& written) {
  const fs::path target = pathOf(number);
  fs::path temporary = target;
  temporary += ".new";
  auto made = LogFile::open(temporary, O_RDWR | O_CREAT | O_TRUNC);
  if (!made) return made;
  std::string bytes = encodeSegmentHeader(number);
  for (const Record& record : preamble) encodeRecord(record, bytes);
  if (auto ok = made->writeAt(bytes, 0, temporary); !ok) {
    ::unlink(temporary.c_str());
    return fail(ok.error());
  }
  if (::fdatasync(made->get()) != 0) return fileError("fdatasync", temporary, errno);
  if (::rename(temporary.c_str(), target.c_str()) != 0) return fileError("rename", target, errno);
  if (auto ok = syncDirectory(directory); !ok) return fail(ok.error());
  written = bytes.size();
  return made;
}

Result<Batch> LedgerLog::readDurable(LogPosition from, std::size_t maxBytes) const {
  const LogPosition limit = durableEnd();
  from.offset = std::max<std::uint64_t>(from.offset, kSegmentHeader);
  if (from > limit) {
    return fail(ErrorKind::Invalid,
                fmt::format("the ledger log ends at segment {} byte {}, before segment {} byte {}: "
                            "it is older than the database",
                            limit.segment, limit.offset, from.segment, from.offset));
  }
  const auto segments = listSegments(state_->directory);
  if (!segments) return fail(segments.error());
  Batch batch;
  batch.next = from;
  for (const std::uint64_t number : *segments) {
    if (number < from.segment || number > limit.segment) continue;
    const bool newest = number == limit.segment;
    const LogPosition start = number == from.segment ? from : LogPosition{number, kSegmentHeader};
    auto read =
        state_->readSegment(number, newest ? limit.offset : UINT64_MAX, maxBytes, start, batch);
    if (!read) return fail(read.error());
    batch.atEnd = batch.next == limit;
    if (!newest && batch.next.segment == number) break;  // maxBytes reached
    if (!batch.records.empty()) break;
  }
  return batch;
}

// Reads one chunk from `from` on. At the end of a finished segment `batch.next` is the next one's
// start.
Result<void> LedgerLog::State::readSegment(std::uint64_t number, std::uint64_t limit,
                                           std::size_t maxBytes, LogPosition from,
                                           Batch& batch) const {
  const fs::path path = pathOf(number);
  const auto opened = LogFile::open(path, O_RDONLY);
  if (!opened) return fail(opened.error());
  const std::size_t chunk = std::min<std::uint64_t>(std::max(maxBytes, kFrameHeader + kPayloadMax),
                                                    limit - std::min(limit, from.offset));
  const auto bytes = opened->readAt(from.offset, chunk, path);
  if (!bytes) return fail(bytes.error());
  const bool lastChunk = bytes->size() < chunk || from.offset + chunk >= limit;
  std::string_view left = *bytes;
  std::uint64_t at = from.offset;
  while (!left.empty()) {
    const Frame frame = readFrame(left);
    if (frame.state == FrameState::Incomplete && !lastChunk) break;
    if (frame.state != FrameState::Complete) return damaged(path, at, "");
    auto record = decodePayload(frame.payload);
    if (!record) return damaged(path, at, ": " + record.error().message);
    if (!isMark(*record)) batch.records.push_back(std::move(*record));
    left.remove_prefix(frame.size);
    at += frame.size;
  }
  const bool finished = lastChunk && limit == UINT64_MAX;
  batch.next = finished ? LogPosition{number + 1, kSegmentHeader} : LogPosition{number, at};
  return {};
}

LogPosition LedgerLog::end() const {
  const std::scoped_lock lock(state_->fields);
  return {state_->segment, state_->size};
}

LogPosition LedgerLog::durableEnd() const {
  const std::scoped_lock lock(state_->fields);
  return {state_->segment, state_->durable};
}

Result<void> LedgerLog::discardBefore(LogPosition position) {
  const auto segments = listSegments(state_->directory);
  if (!segments) return fail(segments.error());
  const std::uint64_t keep = std::min(position.segment, end().segment);
  for (const std::uint64_t number : *segments) {
    if (number >= keep) continue;
    const fs::path path = state_->pathOf(number);
    if (::unlink(path.c_str()) != 0) return fileError("remove", path, errno);
  }
  return {};
}

bool LedgerLog::broken() const {
  const std::scoped_lock lock(state_->fields);
  return state_->broken;
}

}  // namespace okibi::ledger
