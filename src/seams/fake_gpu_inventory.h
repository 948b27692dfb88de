#pragma once
// A GpuInventory whose cards, use and events the test sets. Any thread.

#include <deque>
#include <mutex>
#include <string>
#include <utility>

#include "seams/gpu_inventory.h"

namespace okibi::seams {

class FakeGpuInventory : public GpuInventory {
 public:
  explicit FakeGpuInventory(Cards cards) : cards_(std::move(cards)) {}

  void setUse(Result<GpuUse> use) {
    std::lock_guard lock(mutex_);
    use_ = std::move(use);
  }
  void addEvent(GpuEvent event) {
    std::lock_guard lock(mutex_);
    events_.push_back(std::move(event));
  }

  const Cards& describe() const override { return cards_; }
  // "/pid/N"
  std::string cgroupOf(int pid) const override { return "/pid/" + std::to_string(pid); }
  Result<GpuUse> use() override {
    std::lock_guard lock(mutex_);
    return use_;
  }
  // Does not wait.
  Result<std::optional<GpuEvent>> waitForEvent(Duration) override {
    std::lock_guard lock(mutex_);
    if (events_.empty()) return std::nullopt;
    GpuEvent event = std::move(events_.front());
    events_.pop_front();
    return event;
  }

 private:
  Cards cards_;
  std::mutex mutex_;
  Result<GpuUse> use_ = GpuUse{};
  std::deque<GpuEvent> events_;
};

}  // namespace okibi::seams
