#pragma once
// A GpuInventory whose cards, use and events the test sets. Any thread.

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
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
  // Refused until the test allows it.
  Result<void> capMemory(CardId card, int pid, Bytes limit) override {
    std::lock_guard lock(mutex_);
    if (!caps_) return fail(ErrorKind::Unavailable, "no memory limits");
    caps_->emplace(std::pair(card, pid), limit);
    return {};
  }
  void allowCaps() {
    std::lock_guard lock(mutex_);
    caps_.emplace();
  }
  std::map<std::pair<CardId, int>, Bytes> caps() {
    std::lock_guard lock(mutex_);
    return caps_.value_or(std::map<std::pair<CardId, int>, Bytes>());
  }
  // As a driver that hangs: use() does not return between hang() and letGo().
  void hang() {
    std::lock_guard lock(mutex_);
    hangs_ = true;
  }
  void letGo() {
    std::lock_guard lock(mutex_);
    hangs_ = false;
    released_.notify_all();
  }
  Result<GpuUse> use() override {
    std::unique_lock lock(mutex_);
    released_.wait(lock, [this] { return !hangs_; });
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
  std::condition_variable released_;
  bool hangs_ = false;
  Result<GpuUse> use_ = GpuUse{};
  std::deque<GpuEvent> events_;
  std::optional<std::map<std::pair<CardId, int>, Bytes>> caps_;
};

}  // namespace okibi::seams
