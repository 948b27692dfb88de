#include "ledger/record_codec.h"

#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"

namespace okibi::ledger {
namespace {

static_assert(std::endian::native == std::endian::little, "the log is little-endian");

constexpr std::uint8_t kVersion = 4;
constexpr std::uint8_t kWithBills = 2;   // the first version with prices and bills
constexpr std::uint8_t kWithStarts = 3;  // and with concurrency and the time of a start
constexpr std::uint8_t kWithEnds = 4;    // and with versions, and the whole life of an instance

// One description of each record's fields serves both directions: `visit(archive, record)` calls
// archive(field) in the order of the bytes.

class Writer {
 public:
  explicit Writer(std::string& out) : out_(out) {}
  static constexpr std::uint8_t version() { return kVersion; }

  template <typename T>
    requires std::is_integral_v<T>
  void operator()(const T& value) {
    char bytes[sizeof(T)];
    std::memcpy(bytes, &value, sizeof(T));
    out_.append(bytes, sizeof(T));
  }
  void operator()(const std::string& text) {
    const std::size_t size = std::min(text.size(), kTextMax);
    (*this)(static_cast<std::uint16_t>(size));
    out_.append(text, 0, size);
  }

 private:
  std::string& out_;
};

class Reader {
 public:
  Reader(std::string_view bytes, std::uint8_t version) : left_(bytes), version_(version) {}
  std::uint8_t version() const { return version_; }

  template <typename T>
    requires std::is_integral_v<T>
  void operator()(T& value) {
    const std::string_view bytes = take(sizeof(T));
    if (!failed_) std::memcpy(&value, bytes.data(), sizeof(T));
  }
  void operator()(std::string& text) {
    std::uint16_t size = 0;
    (*this)(size);
    text = take(size);
  }

  void fail() { failed_ = true; }
  bool complete() const { return !failed_ && left_.empty(); }

 private:
  std::string_view take(std::size_t size) {
    if (failed_ || left_.size() < size) {
      failed_ = true;
      return {};
    }
    const std::string_view taken = left_.substr(0, size);
    left_.remove_prefix(size);
    return taken;
  }

  std::string_view left_;
  std::uint8_t version_;
  bool failed_ = false;
};

template <typename T>
using FieldOf = std::remove_const_t<T>;

// A wrapped number (Duration, Instant, Bytes, an enum …) goes through a plain one of type N.
template <typename N, typename T, typename Get, typename Make>
void number(Writer& archive, const T& value, Get get, Make) {
  archive(static_cast<N>(get(value)));
}
template <typename N, typename T, typename Get, typename Make>
void number(Reader& archive, T& value, Get, Make make) {
  N raw{};
  archive(raw);
  value = make(raw);
}

template <typename A, typename T>
void time(A& archive, T& value) {  // Duration, Instant, WallTime
  number<std::int64_t>(
      archive, value,
      [](const auto& t) {
        if constexpr (requires { t.time_since_epoch(); }) {
          return t.time_since_epoch().count();
        } else {
          return t.count();
        }
      },
      [](std::int64_t raw) {
        using Time = FieldOf<T>;
        if constexpr (requires { typename Time::clock; }) {
          return Time(typename Time::duration(raw));
        } else {
          return Time(raw);
        }
      });
}

template <typename A, typename T>
void size(A& archive, T& value) {
  number<std::int64_t>(
      archive, value, [](const Bytes& b) { return b.count(); },
      [](std::int64_t raw) { return Bytes(raw); });
}

template <typename T>
void choice(Writer& archive, const T& value, T) {
  archive(static_cast<std::uint8_t>(value));
}
template <typename T>
void choice(Reader& archive, T& value, T last) {
  std::uint8_t raw = 0;
  archive(raw);
  if (raw > static_cast<std::uint8_t>(last)) archive.fail();
  value = static_cast<T>(raw);
}

template <typename A, typename T>
void int32(A& archive, T& value) {
  number<std::int32_t>(
      archive, value, [](int v) { return v; }, [](std::int32_t raw) { return int{raw}; });
}

template <typename A, typename T>
void price(A& archive, T& value) {  // -1: not known
  number<std::int64_t>(
      archive, value, [](const auto& p) { return p ? p->nanos : -1; },
      [&](std::int64_t raw) {
        if constexpr (requires { archive.fail(); }) {
          if (raw < -1) archive.fail();
        }
        return raw < 0 ? FieldOf<T>() : FieldOf<T>(UnitPrice{raw});
      });
}

template <typename A, typename T>
void function(A& archive, T& ref) {
  archive(ref.account);
  archive(ref.name);
}

template <typename A, typename T>
void moment(A& archive, T& value) {
  time(archive, value.at);
  time(archive, value.wall);
}

template <typename A, typename T>
void place(A& archive, T& value) {
  archive(value.instance);
  archive(value.number);
  moment(archive, value.start);
}

template <typename A, typename T>
void terms(A& archive, T& value) {
  archive(value.instance);
  function(archive, value.function);
  archive(value.revision);
  archive(value.gpuType);
  size(archive, value.gpuMemory);
  size(archive, value.memory);
  size(archive, value.disk);
  int32(archive, value.cpu.count);
  if (archive.version() >= kWithBills) price(archive, value.gpuPrice);
  if (archive.version() >= kWithEnds) archive(value.version);
}

template <typename A, typename T>
void usage(A& archive, T& value) {
  for (auto* field :
       {&value.calls, &value.errors, &value.coldCalls, &value.refused, &value.activeMs,
        &value.gpuMs, &value.gpuMbMs, &value.memoryMbMs, &value.cpuMilliMs, &value.diskMbMs}) {
    archive(*field);
  }
}

template <typename R, typename T>
constexpr bool kIs = std::is_same_v<FieldOf<T>, R>;

template <typename A, typename T>
  requires kIs<InvocationRecord, T>
void visit(A& archive, T& r) {
  function(archive, r.function);
  archive(r.revision);
  archive(r.requestId);
  place(archive, r.place);
  time(archive, r.received);
  choice(archive, r.start, StartKind::Woken);
  for (auto* phase :
       {&r.phases.schedule, &r.phases.image, &r.phases.sandbox, &r.phases.app, &r.phases.init}) {
    time(archive, *phase);
  }
  int32(archive, r.concurrentStarts);
  time(archive, r.waited);
  time(archive, r.duration);
  time(archive, r.share);
  time(archive, r.ended);
  choice(archive, r.outcome, Outcome::Cancelled);
  int32(archive, r.status);
  archive(r.errorType);
  size(archive, r.bytesIn);
  size(archive, r.bytesOut);
  archive(r.reason);
  if (archive.version() < kWithBills) return;
  archive(r.gpuType);
  size(archive, r.gpuMemory);
  price(archive, r.gpuPrice);
  usage(archive, r.bill);
  if (archive.version() < kWithStarts) return;
  int32(archive, r.concurrency);
  time(archive, r.startTook);
  time(archive, r.startInit);
}

template <typename A, typename T>
  requires kIs<IntervalRecord, T>
void visit(A& archive, T& r) {
  terms(archive, r.terms);
  archive(r.number);
  time(archive, r.started);
  time(archive, r.active);
  usage(archive, r.usage);
  choice(archive, r.closing, Closing::Recovered);
}

template <typename A, typename T>
  requires kIs<InstanceOpened, T>
void visit(A& archive, T& r) {
  terms(archive, r.terms);
  time(archive, r.opened);
}

template <typename A, typename T>
  requires kIs<Heartbeat, T>
void visit(A& archive, T& r) {
  place(archive, r.place);
  time(archive, r.alive);
}

template <typename A, typename T>
  requires kIs<InstanceClosed, T>
void visit(A& archive, T& r) {
  if (archive.version() < kWithEnds) {
    archive(r.terms.instance);
  } else {
    terms(archive, r.terms);
    time(archive, r.opened);
  }
  time(archive, r.closed);
  archive(r.reason);
}

template <typename A, typename T>
  requires kIs<DurableMark, T>
void visit(A& archive, T& r) {
  archive(r.offset);
}

template <typename A, typename T>
  requires kIs<IdleRecord, T>
void visit(A& archive, T& r) {
  terms(archive, r.terms);
  time(archive, r.started);
  time(archive, r.idle);
  archive(r.gpuPrice.nanos);
}

// The type byte is the alternative's index in Record plus 1: alternatives are only ever added
// behind.
template <std::size_t... Index>
Result<Record> decodeBody(std::uint8_t version, std::uint8_t type, std::string_view body,
                          std::index_sequence<Index...>) {
  Record record;
  bool known = false;
  const auto one = [&]<typename R>(std::type_identity<R>) {
    known = true;
    R value;
    Reader reader(body, version);
    visit(reader, value);
    if (reader.complete()) record = std::move(value);
    return reader.complete();
  };
  const bool complete = ((type == Index + 1 &&
                          one(std::type_identity<std::variant_alternative_t<Index, Record>>())) ||
                         ...);
  if (!known) return fail(ErrorKind::Invalid, fmt::format("record type {} is unknown", type));
  if (!complete) {
    return fail(ErrorKind::Invalid, fmt::format("record of type {} has wrong fields", type));
  }
  return record;
}

constexpr std::uint32_t kPolynomial = 0x82f63b78;  // Castagnoli, reflected

// Slicing by four: table k holds the remainder of a byte followed by k zero bytes.
using CrcTables = std::array<std::array<std::uint32_t, 256>, 4>;

constexpr CrcTables makeTables() {
  CrcTables tables{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) ? kPolynomial : 0);
    tables[0][i] = value;
  }
  for (std::size_t k = 1; k < tables.size(); ++k) {
    for (std::size_t i = 0; i < 256; ++i) {
      const std::uint32_t before = tables[k - 1][i];
      tables[k][i] = (before >> 8) ^ tables[0][before & 255];
    }
  }
  return tables;
}

constexpr CrcTables kTables = makeTables();

}  // namespace

std::uint32_t crc32c(std::string_view bytes, std::uint32_t seed) {
  std::uint32_t crc = ~seed;
  const char* at = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 4; left -= 4, at += 4) {
    std::uint32_t word;
    std::memcpy(&word, at, 4);
    crc ^= word;
    crc = kTables[3][crc & 255] ^ kTables[2][(crc >> 8) & 255] ^ kTables[1][(crc >> 16) & 255] ^
          kTables[0][crc >> 24];
  }
  for (; left > 0; --left, ++at) {
    crc = (crc >> 8) ^ kTables[0][(crc ^ static_cast<unsigned char>(*at)) & 255];
  }
  return ~crc;
}

std::string encodePayload(const Record& record) {
  std::string payload;
  payload += static_cast<char>(kVersion);
  payload += static_cast<char>(record.index() + 1);
  Writer writer(payload);
  std::visit([&](const auto& one) { visit(writer, one); }, record);
  OKIBI_CHECK(payload.size() <= kPayloadMax, "{} bytes", payload.size());
  return payload;
}

void encodeRecord(const Record& record, std::string& out) {
  const std::string payload = encodePayload(record);
  std::string length;
  Writer lengthWriter(length);
  lengthWriter(static_cast<std::uint32_t>(payload.size()));
  const std::uint32_t crc = crc32c(payload, crc32c(length));
  out += length;
  Writer writer(out);
  writer(crc);
  out += payload;
}

Result<Record> decodePayload(std::string_view payload) {
  if (payload.size() < 2) return fail(ErrorKind::Invalid, "record without version and type");
  const auto version = static_cast<std::uint8_t>(payload[0]);
  if (version < 1 || version > kVersion) {
    return fail(
        ErrorKind::Invalid,
        fmt::format("record format {} was written by a newer okibi; this one knows up to {}",
                    version, kVersion));
  }
  return decodeBody(version, static_cast<std::uint8_t>(payload[1]), payload.substr(2),
                    std::make_index_sequence<std::variant_size_v<Record>>());
}

Frame readFrame(std::string_view bytes) {
  Frame frame;
  if (bytes.size() < kFrameHeader) return frame;
  std::uint32_t length = 0;
  std::uint32_t crc = 0;
  std::memcpy(&length, bytes.data(), 4);
  std::memcpy(&crc, bytes.data() + 4, 4);
  if (length < 2 || length > kPayloadMax) {
    frame.state = FrameState::Damaged;
    return frame;
  }
  if (bytes.size() < kFrameHeader + length) return frame;
  frame.payload = bytes.substr(kFrameHeader, length);
  frame.size = kFrameHeader + length;
  const std::uint32_t actual = crc32c(frame.payload, crc32c(bytes.substr(0, 4)));
  frame.state = actual == crc ? FrameState::Complete : FrameState::Damaged;
  return frame;
}

}  // namespace okibi::ledger
