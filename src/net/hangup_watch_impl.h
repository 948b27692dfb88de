#pragma once
// HangupWatch: tells when the peer of a connection closes or resets it, without reading from it, so
// that no pipelined byte is touched. One epoll set of its own (EPOLLRDHUP, edge-triggered), itself
// watched by the loop; a connection is registered once in its life, so requests cost nothing.

#include <cstdint>
#include <functional>
#include <optional>
#include <unordered_map>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

namespace okibi::net {

class HangupWatch {
 public:
  // Belongs to `context` until detach(). It outlives the context, because tasks that are dropped
  // with the context still forget their connections.
  void attach(boost::asio::io_context& context);
  void detach();

  using Key = std::uint64_t;
  // Calls `fn` at most once, from the loop. The descriptor stays open until forget().
  Key watch(int fd, std::function<void()> fn);
  void forget(Key key);

 private:
  struct Watched {
    int fd;
    std::function<void()> fn;
  };
  void arm();
  void deliver();

  int fd() { return epoll_ ? epoll_->native_handle() : -1; }

  std::optional<boost::asio::posix::stream_descriptor> epoll_;
  std::unordered_map<Key, Watched> watched_;
  Key next_ = 1;
  bool armed_ = false;
};

}  // namespace okibi::net
