#include "gpu/budget_file.h"

#include <filesystem>
#include <thread>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shim/process.h"

namespace okibi::gpu {
namespace {

using budget::Outcome;
using budget::Rule;

class BudgetFileTest : public testing::Test {
 protected:
  BudgetFileTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "okibi-budget-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
    path_ = folder_ + "/budget";
  }
  ~BudgetFileTest() override {
    if (raw_) munmap(raw_, sizeof(budget::File));
    std::filesystem::remove_all(folder_);
  }

  BudgetFile make(Bytes limit) {
    auto made = BudgetFile::create(path_, {.cards = {{limit, ""}}, .perContext = Bytes(0)});
    EXPECT_TRUE(made) << made.error().message;
    const int fd = ::open(path_.c_str(), O_RDWR | O_CLOEXEC);
    void* at = mmap(nullptr, sizeof(budget::File), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ::close(fd);
    EXPECT_NE(at, MAP_FAILED);
    raw_ = static_cast<budget::File*>(at);
    return std::move(*made);
  }

  // As a process of the instance maps it.
  budget::File& raw() { return *raw_; }

  std::string folder_, path_;
  budget::File* raw_ = nullptr;
};

budget::Process process(std::uint32_t pid) {
  return {.pid = pid, .startTick = pid * 7, .pidNamespace = 4026531836};
}

TEST_F(BudgetFileTest, NamesTheSettingThatIsWrong) {
  const auto message = [&](const BudgetSettings& settings) {
    const auto made = BudgetFile::create(path_, settings);
    return made ? std::string() : made.error().message;
  };
  EXPECT_EQ(message({}), "cards: 0 given, must be 1 to 8");
  EXPECT_TRUE(message({.cards = {{Bytes(0), ""}}, .perContext = {}})
                  .starts_with("cards[0].limit: 0 bytes"));
  EXPECT_TRUE(message({.cards = {{Bytes::gib(1), ""}}, .perContext = Bytes(-1)})
                  .starts_with("perContext: -1 bytes"));
  EXPECT_EQ(message({.cards = {{Bytes::gib(1), "GPU-1"}, {Bytes::gib(1), ""}}, .perContext = {}}),
            "cards[1].uuid: all cards have one, or none");
  EXPECT_TRUE(message({.cards = {{Bytes::gib(1), std::string(48, 'x')}}, .perContext = {}})
                  .starts_with("cards[0].uuid: 48"));
}

TEST_F(BudgetFileTest, OpensWhatItMadeAndNothingElse) {
  {
    BudgetFile made = make(Bytes::mib(64));
    EXPECT_EQ(made.limit(0), Bytes::mib(64));
  }
  EXPECT_EQ(BudgetFile::open(path_)->limit(0), Bytes::mib(64));
  EXPECT_EQ(BudgetFile::open(folder_ + "/other").error().kind, ErrorKind::NotFound);
  raw().card[0].limit *= 2;
  EXPECT_EQ(BudgetFile::open(path_).error().message, path_ + " is damaged (checksum)");
  ASSERT_EQ(truncate(path_.c_str(), 100), 0);
  EXPECT_TRUE(BudgetFile::open(path_).error().message.ends_with("100 bytes, must be 200704"));
}

TEST_F(BudgetFileTest, TheLimitIsForAllTogether) {
  const BudgetFile file = make(Bytes::kib(4));
  const int first = budget::claimSlot(raw(), process(1)),
            second = budget::claimSlot(raw(), process(2));
  EXPECT_EQ(budget::change(raw(), first, 0, 5, Rule::WithinLimit), Outcome::Done);
  EXPECT_EQ(budget::change(raw(), second, 0, 4, Rule::WithinLimit), Outcome::OverLimit);
  EXPECT_EQ(budget::change(raw(), second, 0, 3, Rule::WithinLimit), Outcome::Done);
  EXPECT_EQ(budget::change(raw(), first, 0, 1, Rule::Regardless), Outcome::Done);
  EXPECT_EQ(file.used(0).count(), 9 * 512);
  EXPECT_EQ(budget::slotUnits(raw(), first, 0), 6u);
  EXPECT_EQ(budget::slotUnits(raw(), second, 0), 3u);
}

TEST_F(BudgetFileTest, ThreadsOfManySlotsNeitherLoseNorPassTheLimit) {
  const BudgetFile file = make(Bytes(512 * 100));
  std::vector<std::thread> threads;
  std::vector<std::int64_t> held(8, 0);
  for (unsigned t = 0; t < held.size(); ++t) {
    threads.emplace_back([&, t] {
      const int slot = budget::claimSlot(raw(), process(t + 1));
      std::uint64_t state = t + 1;
      for (int i = 0; i < 50'000; ++i) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        const auto want = static_cast<std::int64_t>(state >> 60) + 1;
        const bool more = (state >> 40 & 1) != 0;
        const std::int64_t delta = more ? want : -std::min(want, held[t]);
        if (budget::change(raw(), static_cast<unsigned>(slot), 0, delta, Rule::WithinLimit) ==
            Outcome::Done)
          held[t] += delta;
        EXPECT_LE(budget::usedUnits(raw(), 0), 100u);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::int64_t sum = 0;
  for (const std::int64_t units : held) sum += units;
  EXPECT_EQ(file.used(0).count(), sum * 512);
}

// What a process leaves that is killed right after it has changed the sum, before its own slot.
void leaveHalfDone(budget::File& file, unsigned slot, std::uint64_t units) {
  const std::uint64_t sequence = (file.slots[slot].charges[0].word >> 44) + 1;
  const std::uint64_t used = budget::usedUnits(file, 0);
  file.slots[slot].charges[0].operation = units | sequence << 44;
  file.card[0].last = (used + units) | static_cast<std::uint64_t>(slot) << 34 | sequence << 44;
}

TEST_F(BudgetFileTest, AChargeHalfDoneByADeadProcessIsCarriedOut) {
  BudgetFile file = make(Bytes::mib(1));
  const int dead = budget::claimSlot(raw(), process(1)),
            alive = budget::claimSlot(raw(), process(2));
  ASSERT_EQ(budget::change(raw(), dead, 0, 10, Rule::WithinLimit), Outcome::Done);
  leaveHalfDone(raw(), dead, 5);
  // By the next who charges...
  ASSERT_EQ(budget::change(raw(), alive, 0, 1, Rule::WithinLimit), Outcome::Done);
  EXPECT_EQ(budget::slotUnits(raw(), dead, 0), 15u);
  leaveHalfDone(raw(), dead, 7);
  // ... or by who reaps.
  EXPECT_EQ(file.reap([](const BudgetedProcess& p) { return p.pid != 1; }), 1);
  EXPECT_EQ(file.used(0).count(), 512);
}

TEST_F(BudgetFileTest, ReapingLeavesTheLiving) {
  BudgetFile file = make(Bytes::mib(1));
  for (std::uint32_t pid = 1; pid <= 3; ++pid) {
    const int slot = budget::claimSlot(raw(), process(pid));
    budget::change(raw(), slot, 0, pid, Rule::WithinLimit);
  }
  EXPECT_EQ(file.reap([](const BudgetedProcess& p) { return p.pid == 2; }), 2);
  ASSERT_EQ(file.processes().size(), 1u);
  EXPECT_EQ(file.processes()[0].pid, 2u);
  EXPECT_EQ(file.processes()[0].startTick, 14u);
  EXPECT_EQ(file.used(0).count(), 2 * 512);
  // A slot given free can be had again, with its sequence going on.
  const int slot = budget::claimSlot(raw(), process(9));
  EXPECT_EQ(slot, 0);
  EXPECT_EQ(budget::change(raw(), slot, 0, 1, Rule::WithinLimit), Outcome::Done);
  EXPECT_EQ(budget::slotUnits(raw(), slot, 0), 1u);
}

TEST_F(BudgetFileTest, OnlyTheDeadAreReapedByTheirNeighbours) {
  const BudgetFile file = make(Bytes::mib(1));
  const pid_t child = fork();
  if (child == 0) {
    const int slot = budget::claimSlot(raw(), shim::selfProcess());
    budget::change(raw(), slot, 0, 8, Rule::WithinLimit);
    pause();
    _exit(0);
  }
  while (file.used(0).count() == 0) usleep(1000);
  EXPECT_EQ(shim::reapDead(raw(), shim::selfProcess()), 0);
  kill(child, SIGKILL);
  siginfo_t ended{};
  // A zombie is dead: its memory is gone with its descriptors.
  waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOWAIT);
  EXPECT_EQ(shim::reapDead(raw(), shim::selfProcess()), 1);
  EXPECT_EQ(file.used(0).count(), 0);
  waitpid(child, nullptr, 0);
}

TEST_F(BudgetFileTest, AnotherNamespacesProcessesAreNotJudged) {
  const BudgetFile file = make(Bytes::mib(1));
  budget::Process foreign = process(4'000'000);
  const int slot = budget::claimSlot(raw(), foreign);
  budget::change(raw(), slot, 0, 8, Rule::WithinLimit);
  budget::Process self = shim::selfProcess();
  self.pidNamespace = foreign.pidNamespace + 1;
  EXPECT_EQ(shim::reapDead(raw(), self), 0);
  EXPECT_EQ(file.used(0).count(), 8 * 512);
}

TEST_F(BudgetFileTest, TheHostKnowsWhoLives) {
  const HostProcesses host;
  const budget::Process self = shim::selfProcess();
  BudgetedProcess mine{.pid = self.pid,
                       .pidNamespace = self.pidNamespace,
                       .startTick = self.startTick,
                       .marks = 0,
                       .used = {}};
  EXPECT_TRUE(host.alive(mine));
  mine.pidNamespace += 1;
  EXPECT_FALSE(host.alive(mine));
  mine.pidNamespace = 0;
  EXPECT_TRUE(host.alive(mine));
}

TEST_F(BudgetFileTest, ClosingRefusesChargesAndAllowsReturns) {
  BudgetFile file = make(Bytes::mib(1));
  const int slot = budget::claimSlot(raw(), process(1));
  budget::change(raw(), slot, 0, 8, Rule::WithinLimit);
  file.close();
  EXPECT_EQ(budget::change(raw(), slot, 0, 1, Rule::WithinLimit), Outcome::Closed);
  EXPECT_EQ(budget::change(raw(), slot, 0, 1, Rule::Regardless), Outcome::Closed);
  EXPECT_EQ(budget::change(raw(), slot, 0, -8, Rule::WithinLimit), Outcome::Done);
  EXPECT_EQ(file.used(0).count(), 0);
}

TEST_F(BudgetFileTest, SumsThatContradictEachOtherCloseIt) {
  const BudgetFile file = make(Bytes::mib(1));
  const int slot = budget::claimSlot(raw(), process(1));
  EXPECT_EQ(budget::change(raw(), slot, 0, -1, Rule::WithinLimit), Outcome::Closed);
  EXPECT_TRUE(file.corrupt());
  EXPECT_EQ(budget::change(raw(), slot, 0, 1, Rule::WithinLimit), Outcome::Closed);
  EXPECT_FALSE(BudgetFile::open(path_));
}

}  // namespace
}  // namespace okibi::gpu
