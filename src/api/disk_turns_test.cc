#include "api/disk_turns.h"

#include <semaphore>

#include <gtest/gtest.h>

#include "net/testing.h"
#include "seams/fake_state_store.h"

namespace okibi::api {
namespace {

// Its disk takes until it is let go.
class SlowStore : public seams::FakeStateStore {
 public:
  void sync() override {
    FakeStateStore::sync();
    go.acquire();
  }
  std::counting_semaphore<> go{0};
};

TEST(DiskTurns, AllWhoComeMeanwhileShareTheNext) {
  net::Loop loop(2);
  SlowStore store;
  conductor::Catalog catalog(store);
  DiskTurns turns(loop, catalog);
  int reached = 0;
  const auto wait = [](DiskTurns& disk, int& count) -> net::Task<void> {
    co_await disk.reached();
    ++count;
  };
  net::testing::runOn(loop, [&]() -> net::Task<void> {
    loop.spawn(wait(turns, reached));
    while (store.syncs < 1) co_await loop.sleep(std::chrono::milliseconds(1));
    for (int i = 0; i < 5; ++i) loop.spawn(wait(turns, reached));
    co_await loop.sleep(std::chrono::milliseconds(5));
    EXPECT_EQ(reached, 0);
    store.go.release();
    // The worker of the next turn may be quicker than the loop is with who waited for this one.
    while (store.syncs < 2 || reached < 1) co_await loop.sleep(std::chrono::milliseconds(1));
    EXPECT_EQ(reached, 1) << "the others came after that turn had begun";
    store.go.release();
    while (reached < 6) co_await loop.sleep(std::chrono::milliseconds(1));
    EXPECT_EQ(store.syncs, 2);
    store.go.release();
    co_await turns.reached();
    EXPECT_EQ(store.syncs, 3);
  });
}

}  // namespace
}  // namespace okibi::api
