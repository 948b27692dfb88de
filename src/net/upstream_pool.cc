#include "net/upstream_pool.h"

namespace okibi::net {

std::unique_ptr<HttpConnection> UpstreamPool::take() {
  while (!idle_.empty()) {
    std::unique_ptr<HttpConnection> connection = std::move(idle_.back());
    idle_.pop_back();
    if (connection->isQuiet()) return connection;
  }
  return nullptr;
}

void UpstreamPool::give(std::unique_ptr<HttpConnection> connection) {
  if (valid_ && connection && idle_.size() < idleMax_ && connection->reusable()) {
    idle_.push_back(std::move(connection));
  }
}

void UpstreamPool::invalidate() {
  valid_ = false;
  idle_.clear();
}

}  // namespace okibi::net
