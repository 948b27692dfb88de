#pragma once
// ReadBuffer: the bytes read from a connection and not yet used. Inside of net. One allocation for
// the life of the connection; pages nobody wrote to cost no memory.

#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>

#include "base/check.h"

namespace okibi::net {

class ReadBuffer {
 public:
  static constexpr std::size_t kSize = std::size_t{64} << 10;

  std::string_view view() const { return {data_.get() + begin_, end_ - begin_}; }
  std::span<char> span() { return {data_.get() + begin_, end_ - begin_}; }
  bool empty() const { return begin_ == end_; }
  // The bytes stay readable until the next space().
  void consume(std::size_t n) {
    OKIBI_CHECK(n <= end_ - begin_);
    begin_ += n;
  }
  // Where to read to; moves what is left to the front. Empty only when everything is unused bytes.
  std::span<char> space() {
    if (begin_ > 0) {
      std::memmove(data_.get(), data_.get() + begin_, end_ - begin_);
      end_ -= begin_;
      begin_ = 0;
    }
    return {data_.get() + end_, kSize - end_};
  }
  void filled(std::size_t n) { end_ += n; }

 private:
  std::unique_ptr<char[]> data_ = std::make_unique_for_overwrite<char[]>(kSize);
  std::size_t begin_ = 0, end_ = 0;
};

}  // namespace okibi::net
