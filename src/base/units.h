#pragma once
// Units live in types. Times are std::chrono; sizes and money are wrappers over one int64 so that a
// megabyte is never added to a millisecond and no parameter is a bare int.

#include <chrono>
#include <compare>
#include <cstdint>

namespace okibi {

using Duration = std::chrono::nanoseconds;
using namespace std::chrono_literals;

// Monotonic time line of one process. It deliberately has no now(): only conductor/real_clock reads
// the real clock, everything else is told the time.
struct Timeline {
  using duration = Duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<Timeline, Duration>;
  static constexpr bool is_steady = true;
};
using Instant = std::chrono::time_point<Timeline, Duration>;

// Civil time, for people, records and signatures.
using WallTime = std::chrono::sys_time<std::chrono::milliseconds>;

// Fractional milliseconds, for reports.
inline double toMilliseconds(Duration d) {
  return std::chrono::duration<double, std::milli>(d).count();
}

// A size in bytes. MB and GB in Function Compute's fields mean MiB and GiB.
class Bytes {
 public:
  constexpr Bytes() = default;
  constexpr explicit Bytes(std::int64_t count) : count_(count) {}
  static constexpr Bytes kib(std::int64_t n) { return Bytes(n << 10); }
  static constexpr Bytes mib(std::int64_t n) { return Bytes(n << 20); }
  static constexpr Bytes gib(std::int64_t n) { return Bytes(n << 30); }
  constexpr std::int64_t count() const { return count_; }
  constexpr std::int64_t wholeMib() const { return count_ >> 20; }
  constexpr std::int64_t wholeGib() const { return count_ >> 30; }
  constexpr auto operator<=>(const Bytes&) const = default;
  constexpr Bytes operator+(Bytes o) const { return Bytes(count_ + o.count_); }
  constexpr Bytes operator-(Bytes o) const { return Bytes(count_ - o.count_); }
  constexpr Bytes& operator+=(Bytes o) {
    count_ += o.count_;
    return *this;
  }
  constexpr Bytes& operator-=(Bytes o) {
    count_ -= o.count_;
    return *this;
  }

 private:
  std::int64_t count_ = 0;
};

// An amount of money in millionths of the price book's currency.
class Money {
 public:
  constexpr Money() = default;
  constexpr explicit Money(std::int64_t micros) : micros_(micros) {}
  constexpr std::int64_t micros() const { return micros_; }
  constexpr auto operator<=>(const Money&) const = default;
  constexpr Money operator+(Money o) const { return Money(micros_ + o.micros_); }
  constexpr Money operator-(Money o) const { return Money(micros_ - o.micros_); }
  constexpr Money& operator+=(Money o) {
    micros_ += o.micros_;
    return *this;
  }

 private:
  std::int64_t micros_ = 0;
};

}  // namespace okibi
