#pragma once
// UpstreamPool: the idle connections of one instance. Its life is the instance's: invalidate() at
// stop, crash and drain, after which nothing is kept. Loop thread only.

#include <cstddef>
#include <memory>
#include <vector>

#include "net/http_client.h"

namespace okibi::net {

class UpstreamPool {
 public:
  explicit UpstreamPool(std::size_t idleMax) : idleMax_(idleMax) {}

  // The connection used last that is still quiet; null: make a new one.
  std::unique_ptr<HttpConnection> take();
  // Keeps it if it is reusable, there is room and the pool is valid; otherwise closes it. Tunnels
  // are never reusable.
  void give(std::unique_ptr<HttpConnection> connection);
  // Closes all idle ones and keeps none from now on.
  void invalidate();

  std::size_t idle() const { return idle_.size(); }

 private:
  std::size_t idleMax_;
  bool valid_ = true;
  std::vector<std::unique_ptr<HttpConnection>> idle_;  // most recent last
};

}  // namespace okibi::net
