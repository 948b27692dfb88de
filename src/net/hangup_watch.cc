#include <array>
#include <utility>

#include <sys/epoll.h>

#include "base/check.h"
#include "net/hangup_watch_impl.h"

namespace okibi::net {

void HangupWatch::attach(boost::asio::io_context& context) {
  int set = ::epoll_create1(EPOLL_CLOEXEC);
  OKIBI_CHECK(set >= 0, "an epoll set can be made at start");
  epoll_.emplace(context, set);
}

void HangupWatch::detach() {
  epoll_.reset();
}

HangupWatch::Key HangupWatch::watch(int fd, std::function<void()> fn) {
  Key key = next_++;
  watched_.emplace(key, Watched{fd, std::move(fn)});
  epoll_event event{};
  event.events = EPOLLRDHUP | EPOLLET;
  event.data.u64 = key;
  int rc = ::epoll_ctl(this->fd(), EPOLL_CTL_ADD, fd, &event);
  OKIBI_CHECK(rc == 0, "epoll takes every connection");
  if (!armed_) arm();
  return key;
}

void HangupWatch::forget(Key key) {
  auto it = watched_.find(key);
  if (it == watched_.end()) return;
  ::epoll_ctl(fd(), EPOLL_CTL_DEL, it->second.fd, nullptr);
  watched_.erase(it);
}

void HangupWatch::arm() {
  armed_ = true;
  epoll_->async_wait(boost::asio::posix::stream_descriptor::wait_read,
                     [this](const boost::system::error_code& error) {
                       if (error) return;  // the loop is going down
                       armed_ = false;
                       deliver();
                       if (!armed_ && !watched_.empty()) arm();
                     });
}

void HangupWatch::deliver() {
  std::array<epoll_event, 64> events;
  int n = ::epoll_wait(fd(), events.data(), events.size(), 0);
  for (int i = 0; i < n; ++i) {
    // A callback may have forgotten connections later in this batch: hence keys, not pointers.
    Key key = events[i].data.u64;  // a copy: the struct is packed
    auto it = watched_.find(key);
    if (it == watched_.end() || !it->second.fn) continue;
    std::function<void()> fn = std::exchange(it->second.fn, nullptr);
    fn();
  }
}

}  // namespace okibi::net
