#include "ledger/ledger_log.h"

#include <algorithm>
#include <csignal>
#include <cstring>
#include <fstream>
#include <set>
#include <sstream>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/random.h"
#include "ledger/record_codec.h"
#include "ledger/segment.h"

namespace okibi::ledger {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

class LedgerLogTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "okibi-ledger-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  void TearDown() override { fs::remove_all(directory_); }

  LedgerLog open(LogOptions options = {}) {
    report_ = {};
    auto log = LedgerLog::open(directory_, report_, options);
    EXPECT_TRUE(log) << log.error().message;
    return std::move(*log);
  }
  Error openError(LogOptions options = {}) {
    OpenReport report;
    auto log = LedgerLog::open(directory_, report, options);
    return log ? Error{ErrorKind::Internal, "it opened", ""} : log.error();
  }
  fs::path segment(std::uint64_t number = 1) const { return directory_ / segmentName(number); }

  std::string bytesOf(std::uint64_t number = 1) const {
    std::ifstream in(segment(number), std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
  }
  void write(const std::string& bytes, std::uint64_t number = 1) const {
    std::ofstream out(segment(number), std::ios::binary | std::ios::trunc);
    out << bytes;
  }

  fs::path directory_;
  OpenReport report_;
};

InvocationRecord call(int id) {
  InvocationRecord record;
  record.function = {"acc", "f"};
  record.requestId = std::to_string(id);
  record.place = {"c-1", 7, {Instant(5ns), WallTime(9ms)}};
  record.share = Duration(id);
  record.reason = "reason";
  return record;
}

std::vector<std::string> idsOf(const Records& records) {
  std::vector<std::string> ids;
  for (const Record& record : records) {
    if (const auto* one = std::get_if<InvocationRecord>(&record)) ids.push_back(one->requestId);
  }
  return ids;
}

std::vector<std::string> readAll(const LedgerLog& log, LogPosition from = {},
                                 std::size_t chunk = 1) {
  std::vector<std::string> ids;
  for (int guard = 0; guard < 10'000; ++guard) {
    const auto batch = log.readDurable(from, chunk);
    if (!batch) {
      ADD_FAILURE() << batch.error().message;
      break;
    }
    for (auto& id : idsOf(batch->records)) ids.push_back(std::move(id));
    from = batch->next;
    if (batch->atEnd) return ids;
  }
  ADD_FAILURE() << "reading does not end";
  return ids;
}

std::vector<std::string> numbers(int first, int last) {
  std::vector<std::string> ids;
  for (int i = first; i <= last; ++i) ids.push_back(std::to_string(i));
  return ids;
}

// ---- Codec
// ---------------------------------------------------------------------------------------

std::string randomText(Random& random) {
  std::string text(static_cast<std::size_t>(random.between(0, 40)), ' ');
  for (char& c : text) c = static_cast<char>(random.next());
  return text;
}

std::optional<UnitPrice> randomPrice(Random& r) {
  if (r.chance(0.2)) return std::nullopt;
  return UnitPrice{r.between(0, INT64_MAX - 1)};
}

InstanceTerms randomTerms(Random& r) {
  return {randomText(r),
          {randomText(r), randomText(r)},
          r.next(),
          randomText(r),
          Bytes(r.between(0, 1 << 30)),
          Bytes(r.between(0, 1 << 30)),
          Bytes(r.between(0, 1 << 30)),
          MilliCpu{static_cast<int>(r.between(0, 64000))},
          randomPrice(r)};
}

IntervalPlace randomPlace(Random& r) {
  return {randomText(r),
          r.next(),
          {Instant(Duration(r.between(0, INT64_MAX - 1))), WallTime(1ms * r.between(0, 1 << 30))}};
}

InvocationRecord randomInvocation(Random& r) {
  InvocationRecord record;
  record.function = {randomText(r), randomText(r)};
  record.revision = r.next();
  record.requestId = randomText(r);
  record.place = randomPlace(r);
  record.received = WallTime(1ms * r.between(0, 1 << 30));
  record.start = static_cast<StartKind>(r.between(0, 2));
  record.phases = {Duration(r.between(0, 99)), Duration(r.between(0, 99)),
                   Duration(r.between(0, 99)), Duration(r.between(0, 99)),
                   Duration(r.between(0, 99))};
  record.concurrentStarts = static_cast<int>(r.between(0, 30));
  record.waited = Duration(r.between(0, 1 << 30));
  record.duration = Duration(r.between(0, 1 << 30));
  record.share = Duration(r.between(0, 1 << 30));
  record.ended = Instant(Duration(r.between(0, 1 << 30)));
  record.outcome = static_cast<Outcome>(r.between(0, 4));
  record.status = static_cast<int>(r.between(100, 599));
  record.errorType = randomText(r);
  record.bytesIn = Bytes(r.between(0, 1 << 30));
  record.bytesOut = Bytes(r.between(0, 1 << 30));
  record.reason = randomText(r);
  record.gpuType = randomText(r);
  record.gpuMemory = Bytes(r.between(0, 1 << 30));
  record.gpuPrice = randomPrice(r);
  record.bill = usageOfInterval(randomTerms(r), record.share);
  record.concurrency = static_cast<int>(r.between(0, 200));
  record.startTook = Duration(r.between(0, 1 << 30));
  record.startInit = Duration(r.between(0, 1 << 30));
  return record;
}

Record randomRecord(Random& r) {
  switch (r.between(0, 6)) {
    case 0:
      return randomInvocation(r);
    case 1: {
      IntervalRecord record;
      record.terms = randomTerms(r);
      record.number = r.next();
      record.started = WallTime(1ms * r.between(0, 1 << 30));
      record.active = Duration(r.between(0, INT32_MAX));
      record.usage = usageOfInterval(record.terms, record.active);
      record.usage.calls = r.between(0, 9);
      record.usage.refused = r.between(0, 9);
      record.closing = static_cast<Closing>(r.between(0, 1));
      return record;
    }
    case 2:
      return InstanceOpened{randomTerms(r), WallTime(1ms * r.between(0, 1 << 30))};
    case 3:
      return Heartbeat{randomPlace(r), Instant(Duration(r.between(0, 1 << 30)))};
    case 5:
      return IdleRecord{randomTerms(r), WallTime(1ms * r.between(0, 1 << 30)),
                        Duration(r.between(0, INT32_MAX)), UnitPrice{r.between(0, INT32_MAX)}};
    case 4:
      return InstanceClosed{randomTerms(r), WallTime(3ms), WallTime(5ms), randomText(r)};
    default:
      return DurableMark{r.next()};
  }
}

TEST(Codec, Crc32cKnownAnswers) {
  EXPECT_EQ(crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aau);  // RFC 3720, B.4
  EXPECT_EQ(crc32c("6789", crc32c("12345")), 0xe3069283u);
}

TEST(Codec, EveryRecordComesBack) {
  Random random(1);
  for (int i = 0; i < 2000; ++i) {
    const Record record = randomRecord(random);
    std::string bytes;
    encodeRecord(record, bytes);
    const Frame frame = readFrame(bytes);
    ASSERT_EQ(frame.state, FrameState::Complete);
    ASSERT_EQ(frame.size, bytes.size());
    const auto back = decodePayload(frame.payload);
    ASSERT_TRUE(back) << back.error().message;
    ASSERT_EQ(*back, record);
  }
}

TEST(Codec, EveryTruncationAndEveryFlippedBitIsSeen) {
  Random random(2);
  for (int i = 0; i < 12; ++i) {
    std::string bytes;
    encodeRecord(randomRecord(random), bytes);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_EQ(readFrame(std::string_view(bytes).substr(0, size)).state, FrameState::Incomplete);
    }
    for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
      std::string flipped = bytes;
      flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
      EXPECT_NE(readFrame(flipped).state, FrameState::Complete);
    }
    const std::string payload = bytes.substr(kFrameHeader);
    for (std::size_t size = 0; size < payload.size(); ++size) {
      EXPECT_FALSE(decodePayload(payload.substr(0, size)));
    }
    EXPECT_FALSE(decodePayload(payload + "x"));
  }
}

TEST(Codec, UnknownVersionsTypesAndChoicesAreRefusedInWords) {
  std::string payload = encodePayload(DurableMark{1});
  payload[0] = 5;
  EXPECT_NE(decodePayload(payload).error().message.find("newer"), std::string::npos);
  payload[0] = 1;
  payload[1] = 77;
  EXPECT_NE(decodePayload(payload).error().message.find("type 77"), std::string::npos);
  IntervalRecord interval;
  interval.closing = static_cast<Closing>(9);
  EXPECT_FALSE(decodePayload(encodePayload(interval)));
}

constexpr std::size_t kStarts = 4 + 8 + 8;  // concurrency, start, initializer

TEST(Codec, TheSecondVersionComesBackWithoutItsStart) {
  InvocationRecord record = call(7);
  record.bill.gpuMs = 3;
  std::string payload = encodePayload(record);
  payload.resize(payload.size() - kStarts);
  payload[0] = 2;
  const auto back = decodePayload(payload);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(std::get<InvocationRecord>(*back), record);
}

// A log written before prices and bills were recorded is still read.
TEST(Codec, TheFirstVersionComesBackWithoutPriceAndBill) {
  InvocationRecord record = call(7);
  std::string payload = encodePayload(record);
  const std::size_t added = 2 + 8 + 8 + 10 * 8 + kStarts;  // empty type, slice, price, bill
  payload.resize(payload.size() - added);
  payload[0] = 1;
  const auto back = decodePayload(payload);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(std::get<InvocationRecord>(*back), record);

  InstanceOpened opened;
  opened.terms.instance = "c-1";
  opened.opened = WallTime(5ms);
  payload = encodePayload(opened);
  payload.erase(payload.size() - 18, 10);  // price and version stand before the time
  payload[0] = 1;
  const auto old = decodePayload(payload);
  ASSERT_TRUE(old) << old.error().message;
  EXPECT_EQ(std::get<InstanceOpened>(*old), opened);
}

// Of an instance that ended only the name was known.
TEST(Codec, TheThirdVersionsEndsComeBackWithTheNameAlone) {
  InstanceClosed closed;
  closed.terms.instance = "c-1";
  closed.closed = WallTime(7ms);
  closed.reason = "idle timeout";
  std::string payload = encodePayload(closed);
  const std::size_t name = 2 + 2 + 3;  // version and type, length, "c-1"
  const std::size_t end = 8 + 2 + closed.reason.size();
  payload.erase(name, payload.size() - name - end);
  payload[0] = 3;
  const auto back = decodePayload(payload);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(std::get<InstanceClosed>(*back), closed);
}

TEST(Codec, LongTextsAreCut) {
  InvocationRecord record = call(1);
  record.reason = std::string(100'000, 'x');
  const auto back = decodePayload(encodePayload(record));
  ASSERT_TRUE(back);
  EXPECT_EQ(std::get<InvocationRecord>(*back).reason.size(), kTextMax);
}

// ---- Log
// -----------------------------------------------------------------------------------------

TEST_F(LedgerLogTest, KeepsWhatWasAppended) {
  {
    LedgerLog log = open();
    EXPECT_TRUE(report_.lastSegment.empty());
    ASSERT_TRUE(log.append({call(1), call(2)}));
    ASSERT_TRUE(log.append({}));
    EXPECT_TRUE(readAll(log).empty()) << "not durable yet";
    ASSERT_TRUE(log.sync());
    EXPECT_EQ(readAll(log), numbers(1, 2));
    ASSERT_TRUE(log.append({call(3)}));
  }
  LedgerLog log = open();
  EXPECT_EQ(report_.cutBytes, 0u);
  EXPECT_EQ(idsOf(report_.lastSegment), numbers(1, 3));
  EXPECT_EQ(readAll(log), numbers(1, 3));
  EXPECT_EQ(log.end(), log.durableEnd());
  struct stat status{};
  ASSERT_EQ(::stat(segment().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST_F(LedgerLogTest, TornAtEveryByteLosesOnlyTheTornRecord) {
  std::size_t whole = 0;
  {
    LedgerLog log = open();
    ASSERT_TRUE(log.append({call(1), call(2)}));
    whole = log.end().offset;
    ASSERT_TRUE(log.append({call(3)}));
  }
  const std::string bytes = bytesOf();
  for (std::size_t size = whole; size < bytes.size(); ++size) {
    write(bytes.substr(0, size));
    LedgerLog log = open();
    EXPECT_EQ(report_.cutBytes, size - whole);
    EXPECT_EQ(idsOf(report_.lastSegment), numbers(1, 2));
    ASSERT_TRUE(log.append({call(4)}));
    ASSERT_TRUE(log.sync());
    EXPECT_EQ(readAll(log), (std::vector<std::string>{"1", "2", "4"}));
  }
}

TEST_F(LedgerLogTest, ATailOfZeroesIsATornTail) {
  {
    ASSERT_TRUE(open().append({call(1)}));
  }
  write(bytesOf() + std::string(5000, '\0'));
  LedgerLog log = open();
  EXPECT_EQ(report_.cutBytes, 5000u);
  EXPECT_EQ(readAll(log), numbers(1, 1));
}

TEST_F(LedgerLogTest, DamageBeforeTheDurableMarkIsRefusedPrecisely) {
  std::size_t second = 0;
  {
    LedgerLog log = open();
    ASSERT_TRUE(log.append({call(1)}));
    second = log.end().offset;
    ASSERT_TRUE(log.append({call(2)}));
    ASSERT_TRUE(log.sync());
    ASSERT_TRUE(log.append({call(3)}));  // brings the mark
  }
  const std::string good = bytesOf();
  std::string bytes = good;
  bytes[second + 20] ^= 1;
  write(bytes);
  const Error error = openError();
  EXPECT_EQ(error.kind, ErrorKind::Invalid);
  EXPECT_NE(error.message.find("damaged at byte " + std::to_string(second)), std::string::npos)
      << error.message;
  EXPECT_NE(error.message.find(segment().string()), std::string::npos);
  EXPECT_EQ(bytesOf(), bytes) << "a refused file is not changed";
}

TEST_F(LedgerLogTest, DamageBeforeTheFoldPositionIsRefusedWithoutAMarkToo) {
  LogPosition folded;
  {
    LedgerLog log = open();
    ASSERT_TRUE(log.append({call(1)}));
    folded = log.end();
  }
  std::string bytes = bytesOf();
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  write(bytes);
  EXPECT_EQ(openError({.folded = folded}).kind, ErrorKind::Invalid);
  LedgerLog log = open();
  EXPECT_GT(report_.cutBytes, 0u);
}

TEST_F(LedgerLogTest, RecordsBehindATearThatNeverReachedTheDiskAreSalvaged) {
  std::size_t second = 0;
  {
    LedgerLog log = open();
    ASSERT_TRUE(log.append({call(1)}));
    second = log.end().offset;
    ASSERT_TRUE(log.append({call(2)}));
    ASSERT_TRUE(log.append({call(3), call(4)}));
  }
  std::string bytes = bytesOf();
  bytes[second + 20] ^= 1;
  write(bytes);
  {
    LedgerLog log = open();
    EXPECT_EQ(report_.salvaged, 2u);
    EXPECT_EQ(report_.cutAt, second);
    EXPECT_EQ(readAll(log), (std::vector<std::string>{"1", "3", "4"}));
  }
  LedgerLog log = open();
  EXPECT_EQ(report_.cutBytes, 0u);
  EXPECT_EQ(readAll(log), (std::vector<std::string>{"1", "3", "4"}));
}

TEST_F(LedgerLogTest, ForeignAndNewerFilesAreRefused) {
  {
    ASSERT_TRUE(open().append({call(1)}));
  }
  const std::string good = bytesOf();
  write("something else entirely, longer than a header");
  EXPECT_NE(openError().message.find("not a ledger segment"), std::string::npos);
  write("");
  EXPECT_EQ(openError().kind, ErrorKind::Invalid);
  std::string other = good;
  other[8] = 9;  // another segment's number
  write(other);
  EXPECT_EQ(openError().kind, ErrorKind::Invalid);
  std::string payload = encodePayload(DurableMark{0});
  payload[0] = 9;
  std::string frame(8, '\0');
  const auto length = static_cast<std::uint32_t>(payload.size());
  std::memcpy(frame.data(), &length, 4);
  const std::uint32_t crc = crc32c(payload, crc32c(frame.substr(0, 4)));
  std::memcpy(frame.data() + 4, &crc, 4);
  write(good + frame + payload);
  EXPECT_NE(openError().message.find("newer"), std::string::npos);
}

TEST_F(LedgerLogTest, RotatesReadsAcrossSegmentsAndDiscards) {
  LedgerLog log = open({.segmentBytes = 600});
  int next = 1;
  for (int round = 0; round < 5; ++round) {
    while (!log.full()) ASSERT_TRUE(log.append({call(next++)}));
    ASSERT_TRUE(log.rotate({InstanceOpened{}}));
    EXPECT_FALSE(log.full());
  }
  ASSERT_TRUE(log.append({call(next)}));
  ASSERT_TRUE(log.sync());
  EXPECT_EQ(log.end().segment, 6u);
  EXPECT_EQ(readAll(log), numbers(1, next));
  EXPECT_EQ(readAll(log, {}, 1 << 20), numbers(1, next));

  const auto batch = log.readDurable({}, 1);
  ASSERT_TRUE(batch);
  ASSERT_TRUE(log.discardBefore({3, 0}));
  EXPECT_FALSE(fs::exists(segment(2)));
  EXPECT_TRUE(fs::exists(segment(3)));
  ASSERT_TRUE(log.discardBefore({99, 0}));
  EXPECT_TRUE(fs::exists(segment(6)));
  EXPECT_FALSE(fs::exists(segment(5)));
}

TEST_F(LedgerLogTest, DamageInAnOlderSegmentIsFoundByTheReader) {
  LedgerLog log = open();
  ASSERT_TRUE(log.append({call(1)}));
  const std::uint64_t second = log.end().offset;
  ASSERT_TRUE(log.append({call(2)}));
  ASSERT_TRUE(log.rotate({}));
  std::string bytes = bytesOf(1);
  bytes[second + 12] ^= 1;
  write(bytes, 1);
  const auto batch = log.readDurable({1, 0}, 1 << 20);
  ASSERT_FALSE(batch);
  EXPECT_NE(batch.error().message.find("byte " + std::to_string(second)), std::string::npos);
}

TEST_F(LedgerLogTest, APositionBeyondTheEndMeansAnOlderLog) {
  LedgerLog log = open();
  EXPECT_EQ(log.readDurable({1, 5000}, 100).error().kind, ErrorKind::Invalid);
  EXPECT_EQ(log.readDurable({2, 0}, 100).error().kind, ErrorKind::Invalid);
}

TEST_F(LedgerLogTest, ALogThatWasMovedAwayBeginsBehindTheFoldPosition) {
  LedgerLog log = open({.folded = {4, 100}});
  EXPECT_EQ(log.end().segment, 5u);
  ASSERT_TRUE(log.append({call(1)}));
  ASSERT_TRUE(log.sync());
  EXPECT_EQ(readAll(log, {4, 100}), numbers(1, 1));
}

// A file size limit makes write(2) fail as a full disk does, after a part was written.
TEST_F(LedgerLogTest, AFailedWriteKeepsNothingAndTheLogGoesOn) {
  LedgerLog log = open();
  ASSERT_TRUE(log.append({call(1)}));
  const LogPosition before = log.end();
  rlimit old{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit small = old;
  small.rlim_cur = before.offset + 10;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto failed = log.append({call(2)});
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &old), 0);
  std::signal(SIGXFSZ, handler);
  ASSERT_FALSE(failed);
  EXPECT_FALSE(log.broken());
  EXPECT_EQ(log.end(), before);
  ASSERT_TRUE(log.append({call(3)}));
  ASSERT_TRUE(log.sync());
  EXPECT_EQ(readAll(log), (std::vector<std::string>{"1", "3"}));
}

TEST_F(LedgerLogTest, AFullDiskIsExhausted) {
  if (::access("/dev/full", W_OK) != 0) GTEST_SKIP() << "no /dev/full here";
  {
    open();
  }
  const std::string header = bytesOf();
  fs::remove(segment());
  fs::create_symlink("/dev/full", directory_ / (segmentName(1) + ".new"));
  EXPECT_EQ(openError().kind, ErrorKind::Exhausted);
}

// A child appends, tells each append that returned through a pipe, and is killed: all it told is
// there, once, and nothing else but perhaps one more.
TEST_F(LedgerLogTest, KillMinusNineLosesAndDoublesNothing) {
  {
    open();
  }
  std::set<std::string> told;
  int next = 1;
  Random random(7);
  for (int round = 0; round < 8; ++round) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      ::close(ends[0]);
      OpenReport report;
      auto log = LedgerLog::open(directory_, report, {.segmentBytes = 4000});
      for (int id = next; log; ++id) {
        if (!log->append({call(id)})) ::_exit(2);
        if (::write(ends[1], &id, sizeof id) != sizeof id) ::_exit(3);
        if (id % 5 == 0 && !log->sync()) ::_exit(4);
        if (log->full() && !log->rotate({})) ::_exit(5);
      }
      ::_exit(1);
    }
    ::close(ends[1]);
    const auto wanted = random.between(1, 60);
    int id = 0;
    for (int i = 0; i < wanted && ::read(ends[0], &id, sizeof id) == sizeof id; ++i) {
      told.insert(std::to_string(id));
    }
    ASSERT_EQ(::kill(child, SIGKILL), 0);
    while (::read(ends[0], &id, sizeof id) == sizeof id) told.insert(std::to_string(id));
    ::close(ends[0]);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself: " << status;
    const auto found = readAll(open());
    const std::set<std::string> unique(found.begin(), found.end());
    EXPECT_EQ(unique.size(), found.size()) << "doubled";
    EXPECT_TRUE(std::ranges::includes(unique, told)) << "lost";
    EXPECT_LE(unique.size(), told.size() + 1);
    told = unique;  // one that was written and not told counts from now on
    next = 1;
    for (const auto& one : unique) next = std::max(next, std::stoi(one) + 1);
  }
}

}  // namespace
}  // namespace okibi::ledger
