#include "api/disk_turns.h"

#include <utility>

namespace okibi::api {

net::Task<void> DiskTurns::reached() {
  const auto mine = std::make_shared<net::Event>(loop_);
  waiting_.push_back(mine);
  if (std::exchange(running_, Running::Yes) == Running::No) loop_.spawn(run());
  (void)co_await mine->wait();
}

net::Task<void> DiskTurns::run() {
  while (!waiting_.empty()) {
    const auto turn = std::exchange(waiting_, {});
    co_await loop_.offload([this] { catalog_.sync(); });
    for (const auto& waiter : turn) waiter->set();
  }
  running_ = Running::No;
}

}  // namespace okibi::api
