#pragma once
// LedgerLog: the append-only file of what was used. Segments "ledger-00000001.log" in one
// directory, each a 24-byte header and frames (ledger/record_codec.h). One writer; open() takes no
// lock, the state directory has one (store/state_directory.h).
//
// Promise: when append() has returned, the records survive the death of the process; when sync()
// has returned, they survive power loss. Call sync() at least each second.
//
// Damage: a tail that was being written when the power went is cut at open and reported. Damage
// before the last point known to be on disk (DurableMark) is not a torn write: open refuses, naming
// file and byte, and changes nothing.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "ledger/record.h"

namespace okibi::ledger {

// A place between two records. Positions order as the records do.
struct LogPosition {
  std::uint64_t segment = 1;
  std::uint64_t offset = 0;  // 0: the segment's first record
  auto operator<=>(const LogPosition&) const = default;
};

struct LogOptions {
  std::uint64_t segmentBytes = 8u << 20;  // full() beyond this
  // Where the store's folding stands. All before it is known to be on disk, so damage there is
  // never taken for a torn tail; and a directory without segments begins behind it, so that a log
  // that was moved away does not make new records look folded.
  LogPosition folded{};
};

// What open() found.
struct OpenReport {
  std::uint64_t cutBytes = 0;  // from the tear to the end of the file; 0: clean
  std::uint64_t cutAt = 0;     // offset of the tear in the last segment
  std::uint64_t salvaged = 0;  // intact records found behind the tear; they were written again
  Records lastSegment;         // its records, for recover() (ledger/recovery.h)
};

struct Batch {
  Records records;   // without DurableMarks
  LogPosition next;  // where to read on
  bool atEnd = false;
};

class LedgerLog {
 public:
  // Opens the newest segment of `directory`, made if missing. Errors: Invalid (damaged; message
  // names file and byte), Exhausted (disk full), Internal (I/O).
  static Result<LedgerLog> open(const std::filesystem::path& directory, OpenReport& report,
                                LogOptions options = {});

  LedgerLog(LedgerLog&& other) noexcept;
  LedgerLog& operator=(LedgerLog&& other) noexcept;
  ~LedgerLog();

  // One write(2) for all of them. On failure nothing is kept (the file is cut back); Exhausted when
  // the disk is full. A failure to cut back makes the log broken(): every later append fails.
  Result<void> append(const Records& records);

  // fdatasync; cheap when nothing is new. A failed fdatasync makes the log broken(): the kernel may
  // have dropped what it could not write.
  Result<void> sync();

  // full() asks for rotate(), which begins a new segment with `preamble` (UsageMeter::preamble)
  // after syncing the old one.
  bool full() const;
  Result<void> rotate(const Records& preamble);

  // Up to about `maxBytes` of records from `from` on, only of what sync() has made durable: a fold
  // committed to SQLite must never be ahead of the log. Invalid if `from` is beyond the log's end.
  Result<Batch> readDurable(LogPosition from, std::size_t maxBytes) const;

  LogPosition end() const;  // where the next record goes
  LogPosition durableEnd() const;

  // Deletes whole segments that lie before `position`; the newest always stays.
  Result<void> discardBefore(LogPosition position);

  bool broken() const;

 private:
  struct State;
  explicit LedgerLog(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace okibi::ledger
