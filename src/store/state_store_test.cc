// The contract of seams::StateStore, checked on the real one and on the fake, and what only the
// real one promises: everything is there after a reopen and after kill -9.

#include "seams/state_store.h"

#include <csignal>
#include <memory>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/limits.h"
#include "seams/fake_state_store.h"
#include "store/database.h"
#include "store/random_spec.h"
#include "store/sqlite_state_store.h"
#include "store/test_directory.h"

namespace okibi::store {
namespace {

using namespace seams;
using namespace std::chrono_literals;

enum class Kind { Sqlite, Fake };

bool same(const Function& a, const Function& b) {
  return a.ref == b.ref && a.functionId == b.functionId && a.spec == b.spec && a.state == b.state &&
         a.stateReason == b.stateReason && a.stateReasonCode == b.stateReasonCode &&
         a.lastUpdate == b.lastUpdate && a.lastUpdateReason == b.lastUpdateReason &&
         a.lastUpdateReasonCode == b.lastUpdateReasonCode && a.imageDigest == b.imageDigest &&
         a.revision == b.revision && a.active == b.active && a.activeRevision == b.activeRevision &&
         a.created == b.created && a.modified == b.modified;
}

bool same(const Trigger& a, const Trigger& b) {
  return a.function == b.function && a.name == b.name && a.id == b.id && a.type == b.type &&
         a.label == b.label && a.timer == b.timer && a.configText == b.configText &&
         a.http == b.http && a.qualifier == b.qualifier && a.description == b.description &&
         a.invocationRole == b.invocationRole && a.sourceArn == b.sourceArn &&
         a.created == b.created && a.modified == b.modified;
}

const std::chrono::sys_days kDay{std::chrono::year(2026) / 11 / 24};

UsageRow row(const std::string& function, std::chrono::sys_days day, std::int64_t n) {
  UsageRow usage{.function = {"acc", function}, .day = day, .gpuType = "fc.gpu.tesla.1"};
  usage.gpuPriceNanos = 18'000;
  usage.calls = n;
  usage.errors = n + 1;
  usage.coldCalls = n + 2;
  usage.refused = n + 3;
  usage.activeMs = n + 4;
  usage.gpuMs = n + 5;
  usage.gpuMbMs = n + 6;
  usage.memoryMbMs = n + 7;
  usage.cpuMilliMs = n + 8;
  usage.diskMbMs = n + 9;
  usage.idleMs = n + 10;
  usage.idleGpuMbMs = n + 11;
  usage.idleMemoryMbMs = n + 12;
  return usage;
}

RecentInvocation invocation(int id, InvocationClass kind = InvocationClass::Warm) {
  return {{"acc", "f"}, std::to_string(id), WallTime(1ms * id), kind, std::string("\0\xff", 2)};
}

Trigger triggerOf(const std::string& function, const std::string& name, const std::string& id) {
  Trigger trigger;
  trigger.function = {"acc", function};
  trigger.name = name;
  trigger.id = id;
  trigger.type = "http";
  trigger.configText = R"({"authType":"function"})";
  trigger.http = {HttpAuth::Function, {"GET", "PUT"}, true, {}, {}, {}, {}};
  trigger.label = "label-" + id;
  trigger.timer = {"@every 1m", "p", true};
  trigger.description = "d";
  trigger.invocationRole = "role-" + name;
  trigger.sourceArn = "arn-" + id;
  trigger.created = WallTime(1ms);
  trigger.modified = WallTime(2ms);
  return trigger;
}

class StateStoreTest : public testing::TestWithParam<Kind> {
 protected:
  StateStoreTest() { reopen(); }

  // The real one must remember; the fake lives on.
  void reopen() {
    if (GetParam() == Kind::Fake) {
      if (!store_) store_ = std::make_unique<FakeStateStore>();
      return;
    }
    store_.reset();
    auto opened = openStateStore(directory_ / "okibi.db");
    ASSERT_TRUE(opened) << opened.error().message;
    store_ = std::move(*opened);
  }
  void addAccount() { ASSERT_TRUE(store_->addAccount({"acc", WallTime(7ms)})); }
  void addFunction(const std::string& name) {
    Random random(3);
    Function function = randomFunction(random, {"acc", name});
    function.created = WallTime(kDay);
    ASSERT_TRUE(store_->putFunction(function));
  }

  TestDirectory directory_;
  std::unique_ptr<StateStore> store_;
};

INSTANTIATE_TEST_SUITE_P(Stores, StateStoreTest, testing::Values(Kind::Sqlite, Kind::Fake),
                         [](const auto& tested) {
                           return tested.param == Kind::Sqlite ? "Sqlite" : "Fake";
                         });

TEST_P(StateStoreTest, AccountsAndKeys) {
  addAccount();
  EXPECT_EQ(store_->addAccount({"acc", WallTime()}).error().kind, ErrorKind::AlreadyExists);
  const StoredAccessKey key{"acc", "id-1", "secret", WallTime(9ms)};
  ASSERT_TRUE(store_->addAccessKey(key));
  EXPECT_EQ(store_->addAccessKey(key).error().kind, ErrorKind::AlreadyExists);
  EXPECT_EQ(store_->addAccessKey({"nobody", "id-2", "s", {}}).error().kind, ErrorKind::NotFound);
  reopen();
  EXPECT_EQ(store_->accounts().value(), (std::vector<Account>{{"acc", WallTime(7ms)}}));
  EXPECT_EQ(store_->accessKeys().value(), std::vector{key});
  EXPECT_EQ(store_->removeAccessKey("other", "id-1").error().kind, ErrorKind::NotFound);
  ASSERT_TRUE(store_->removeAccessKey("acc", "id-1"));
  EXPECT_TRUE(store_->accessKeys().value().empty());
}

TEST_P(StateStoreTest, ResourcesComeBackAndGoWithTheirFunction) {
  addAccount();
  addFunction("f");
  addFunction("g");
  Random random(9);
  const auto values = randomResources(random);
  for (const Resource& value : values) {
    ASSERT_TRUE(store_->putResource({{{"acc", "f"}, "n"}, value}));
    ASSERT_TRUE(store_->putResource({{{"acc", "g"}, "n"}, value}));
  }
  ASSERT_TRUE(store_->putResource({{{"acc", ""}, "of the account"}, values[0]}));
  EXPECT_EQ(store_->putResource({{{"nobody", "f"}, "n"}, values[0]}).error().kind,
            ErrorKind::NotFound);
  ASSERT_TRUE(store_->removeResource({{"acc", "g"}, "n"}, 1));
  EXPECT_EQ(store_->removeResource({{"acc", "g"}, "n"}, 1).error().kind, ErrorKind::NotFound);
  reopen();
  const auto all = store_->resources().value();
  EXPECT_EQ(all.size(), values.size() * 2);
  for (const StoredResource& one : all) EXPECT_EQ(one.value, values[one.value.index()]);
  ASSERT_TRUE(store_->removeFunction({"acc", "f"}));
  reopen();
  EXPECT_EQ(store_->resources().value().size(), values.size());
}

TEST_P(StateStoreTest, EveryFieldOfAFunctionComesBack) {
  addAccount();
  Random random(5);
  std::vector<Function> written;
  for (int i = 0; i < 40; ++i) {
    written.push_back(randomFunction(random, {"acc", "f" + std::to_string(100 + i)}));
    ASSERT_TRUE(store_->putFunction(written.back()));
  }
  written[3] = randomFunction(random, written[3].ref);
  ASSERT_TRUE(store_->putFunction(written[3]));
  reopen();
  const auto read = store_->functions().value();
  ASSERT_EQ(read.size(), written.size());
  for (std::size_t i = 0; i < read.size(); ++i) EXPECT_TRUE(same(read[i], written[i])) << i;
}

TEST_P(StateStoreTest, AFunctionNeedsItsAccount) {
  Random random(1);
  EXPECT_EQ(store_->putFunction(randomFunction(random, {"nobody", "f"})).error().kind,
            ErrorKind::NotFound);
  EXPECT_EQ(store_->removeFunction({"acc", "f"}).error().kind, ErrorKind::NotFound);
}

TEST_P(StateStoreTest, TriggersBelongToTheirFunction) {
  addAccount();
  EXPECT_EQ(store_->putTrigger(triggerOf("f", "t", "id")).error().kind, ErrorKind::NotFound);
  addFunction("f");
  addFunction("g");
  ASSERT_TRUE(store_->putTrigger(triggerOf("f", "t", "id-1")));
  ASSERT_TRUE(store_->putTrigger(triggerOf("g", "t", "id-2")));
  EXPECT_EQ(store_->putTrigger(triggerOf("g", "u", "id-1")).error().kind, ErrorKind::AlreadyExists);
  addFunction("f");  // an update of the function keeps its triggers
  Trigger changed = triggerOf("f", "t", "id-3");
  changed.http.auth = HttpAuth::Anonymous;
  ASSERT_TRUE(store_->putTrigger(changed));
  reopen();
  auto read = store_->triggers().value();
  ASSERT_EQ(read.size(), 2u);
  EXPECT_TRUE(same(read[0], changed));
  EXPECT_TRUE(same(read[1], triggerOf("g", "t", "id-2")));
  ASSERT_TRUE(store_->removeFunction({"acc", "f"}));
  EXPECT_EQ(store_->triggers().value().size(), 1u);
  ASSERT_TRUE(store_->removeTrigger({"acc", "g"}, "t"));
  EXPECT_EQ(store_->removeTrigger({"acc", "g"}, "t").error().kind, ErrorKind::NotFound);
}

TEST_P(StateStoreTest, FoldingAddsOnceAndMovesThePosition) {
  EXPECT_EQ(store_->foldPosition().value(), (FoldPosition{1, 0}));
  const FoldBatch batch{{1, 0}, {1, 500}, {row("f", kDay, 10), row("g", kDay, 1)}, {}};
  ASSERT_TRUE(store_->fold(batch));
  EXPECT_EQ(store_->fold(batch).error().kind, ErrorKind::AlreadyExists) << "the same again";
  ASSERT_TRUE(store_->fold({{1, 500}, {2, 24}, {row("f", kDay, 5)}, {}}));
  reopen();
  EXPECT_EQ(store_->foldPosition().value(), (FoldPosition{2, 24}));
  const auto rows = store_->usage("acc", kDay, kDay).value();
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].calls, 15);
  EXPECT_EQ(rows[0].errors, 17);
  EXPECT_EQ(rows[0].coldCalls, 19);
  EXPECT_EQ(rows[0].refused, 21);
  EXPECT_EQ(rows[0].activeMs, 23);
  EXPECT_EQ(rows[0].gpuMs, 25);
  EXPECT_EQ(rows[0].gpuMbMs, 27);
  EXPECT_EQ(rows[0].memoryMbMs, 29);
  EXPECT_EQ(rows[0].cpuMilliMs, 31);
  EXPECT_EQ(rows[0].diskMbMs, 33);
  EXPECT_EQ(rows[1], row("g", kDay, 1));
}

TEST_P(StateStoreTest, TheFirstUseOfARowIsTheEarliestThatWasSaid) {
  UsageRow unknown = row("f", kDay, 1), late = unknown, early = unknown;
  late.firstUse = WallTime(kDay) + 2h;
  early.firstUse = WallTime(kDay) + 1h;
  const auto first = [&] { return store_->usage("acc", kDay, kDay).value().at(0).firstUse; };
  ASSERT_TRUE(store_->fold({{1, 0}, {1, 1}, {unknown}, {}}));
  EXPECT_EQ(first(), std::nullopt);
  ASSERT_TRUE(store_->fold({{1, 1}, {1, 2}, {late}, {}}));
  EXPECT_EQ(first(), late.firstUse);
  ASSERT_TRUE(store_->fold({{1, 2}, {1, 3}, {early, unknown}, {}}));
  ASSERT_TRUE(store_->fold({{1, 3}, {1, 4}, {late}, {}}));
  EXPECT_EQ(first(), early.firstUse);
}

TEST_P(StateStoreTest, UsageIsByAccountDayCardAndPrice) {
  UsageRow dearer = row("f", kDay, 1);
  dearer.gpuPriceNanos = 20'000;
  UsageRow stranger = row("f", kDay, 1);
  stranger.function.account = "other";
  const auto next = kDay + std::chrono::days(1);
  ASSERT_TRUE(
      store_->fold({{1, 0}, {1, 1}, {row("f", next, 1), dearer, row("f", kDay, 1), stranger}, {}}));
  EXPECT_EQ(store_->usage("acc", kDay, kDay).value().size(), 2u);
  const auto all = store_->usage("acc", kDay, next).value();
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[1], dearer);
  EXPECT_EQ(all[2].day, next);
  EXPECT_EQ(store_->usage("nobody", kDay, next).value().size(), 0u);
}

TEST_P(StateStoreTest, RecentInvocationsAreNewestFirstAndBounded) {
  FoldBatch batch{{1, 0}, {1, 1}, {}, {}};
  const int many = static_cast<int>(kRecentInvocationsKept) + 50;
  batch.invocations.push_back(invocation(0, InvocationClass::Cold));
  for (int i = 1; i < many; ++i) batch.invocations.push_back(invocation(i));
  batch.invocations.push_back(invocation(many, InvocationClass::Cold));
  ASSERT_TRUE(store_->fold(batch));
  reopen();
  const FunctionRef function{"acc", "f"};
  const auto newest = store_->recentInvocations(function, InvocationFilter::All, 3).value();
  ASSERT_EQ(newest.size(), 3u);
  EXPECT_EQ(newest[0], invocation(many, InvocationClass::Cold));
  EXPECT_EQ(newest[1], invocation(many - 1));
  // Warm ones do not push cold ones out.
  const auto cold = store_->recentInvocations(function, InvocationFilter::ColdOnly, 100).value();
  ASSERT_EQ(cold.size(), 2u);
  EXPECT_EQ(cold[1].requestId, "0");
  const auto all = store_->recentInvocations(function, InvocationFilter::All, SIZE_MAX).value();
  EXPECT_EQ(all.size(), kRecentInvocationsKept + 2);
  EXPECT_TRUE(store_->recentInvocations({"acc", "g"}, InvocationFilter::All, 3).value().empty());
}

HistoryRow played(std::int64_t n, WallTime received) {
  return {.function = {"acc", "f"},
          .received = received,
          .waitedUs = n,
          .serviceUs = n + 1,
          .startUs = n + 2,
          .initUs = n + 3,
          .start = 1,
          .fate = 0,
          .concurrency = 4,
          .sliceMb = 8192,
          .sequence = n};
}

TEST_P(StateStoreTest, HistoryComesInOrderOfEndAndInPages) {
  const WallTime at = kDay + 5s;
  FoldBatch batch{{1, 0}, {1, 1}, {}, {}};
  for (int i = 1; i <= 5; ++i) batch.history.push_back(played(i, at + i * 1ms));
  batch.history[3].function.name = "g";
  ASSERT_TRUE(store_->fold(batch));
  FoldBatch more{{1, 1}, {1, 2}, {}, {}};
  more.history.push_back(played(5, at));
  ASSERT_TRUE(store_->fold(more));
  reopen();
  const FunctionRef function{"acc", "f"};
  const auto all = store_->history(function, 0, at, 10).value();
  ASSERT_EQ(all.size(), 5u);
  EXPECT_EQ(all[0], played(1, at + 1ms));
  EXPECT_EQ(all[4], played(5, at)) << "sequences have no holes";
  const auto page = store_->history(function, all[1].sequence, at, 2).value();
  ASSERT_EQ(page.size(), 2u);
  EXPECT_EQ(page[0], all[2]);
  EXPECT_EQ(store_->history(function, 0, at + 3ms, 10).value().size(), 2u);
  EXPECT_EQ(store_->history({"other", "f"}, 0, at, 10).value().size(), 0u);
}

TEST_P(StateStoreTest, HistoryIsBoundedInRequestsAndDays) {
  const WallTime at = kDay + 5s;
  const FunctionRef function{"acc", "f"};
  FoldBatch batch{{1, 0}, {1, 1}, {}, {}};
  const auto many = static_cast<std::int64_t>(limits::kHistoryRequests) + 7;
  for (std::int64_t i = 1; i <= many; ++i) batch.history.push_back(played(i, at));
  ASSERT_TRUE(store_->fold(batch));
  const auto kept = store_->history(function, 0, at, SIZE_MAX).value();
  EXPECT_EQ(kept.size(), limits::kHistoryRequests);
  EXPECT_EQ(kept.front().waitedUs, 8);
  FoldBatch later{{1, 1}, {1, 2}, {}, {}};
  later.history.push_back(played(1, at + limits::kHistoryAge + 1s));
  ASSERT_TRUE(store_->fold(later));
  EXPECT_EQ(store_->history(function, 0, WallTime{}, SIZE_MAX).value().size(), 1u);
}

EndedInstance gone(std::string name, WallTime ended) {
  return {.function = {"acc", "f"},
          .name = std::move(name),
          .version = "LATEST",
          .gpuType = "fc.gpu.tesla.1",
          .sliceMb = 4096,
          .created = ended - 1s,
          .ended = ended,
          .reason = "idle timeout"};
}

std::vector<std::string> namesOf(const Result<std::vector<EndedInstance>>& list) {
  std::vector<std::string> names;
  for (const EndedInstance& one : list.value()) names.push_back(one.name);
  return names;
}

using Names = std::vector<std::string>;

TEST_P(StateStoreTest, EndedInstancesComeNewestFirstOfAFunctionOrAnAccount) {
  addAccount();
  addFunction("f");
  addFunction("g");
  const WallTime at = kDay + 5s;
  FoldBatch batch{{1, 0}, {1, 1}, {}, {}};
  batch.ended = {gone("c-1", at), gone("c-3", at + 2ms), gone("c-2", at + 1ms), gone("c-9", at)};
  batch.ended[2].function.name = "g";
  batch.ended[3].function.name = "nobody";  // deleted before its instances ended
  ASSERT_TRUE(store_->fold(batch));
  reopen();
  const auto all = store_->endedInstances("acc", "", at, 10);
  EXPECT_EQ(namesOf(all), Names({"c-3", "c-2", "c-1"}));
  EXPECT_EQ((*all)[0], gone("c-3", at + 2ms));
  EXPECT_EQ(namesOf(store_->endedInstances("acc", "", at + 1ms, 10)), Names({"c-3", "c-2"}));
  EXPECT_EQ(namesOf(store_->endedInstances("acc", "", at, 1)), Names({"c-3"}));
  EXPECT_EQ(namesOf(store_->endedInstances("acc", "f", at, 10)), Names({"c-3", "c-1"}));
  EXPECT_EQ(namesOf(store_->endedInstances("acc", "f", at, 1)), Names({"c-3"}));
  EXPECT_TRUE(store_->endedInstances("other", "", at, 10).value().empty());
  ASSERT_TRUE(store_->removeFunction({"acc", "f"}));
  EXPECT_EQ(namesOf(store_->endedInstances("acc", "", at, 10)), Names({"c-2"}));
}

TEST_P(StateStoreTest, EndedInstancesAreBoundedInNumberAndDays) {
  addAccount();
  addFunction("f");
  const WallTime at = kDay + 5s;
  FoldBatch batch{{1, 0}, {1, 1}, {}, {}};
  const int many = static_cast<int>(limits::kEndedInstances) + 7;
  for (int i = 0; i < many; ++i) batch.ended.push_back(gone(fmt::format("c-{:05}", i), at));
  ASSERT_TRUE(store_->fold(batch));
  const auto kept = namesOf(store_->endedInstances("acc", "f", at, SIZE_MAX));
  EXPECT_EQ(kept.size(), limits::kEndedInstances);
  EXPECT_EQ(kept.back(), "c-00007");
  FoldBatch later{{1, 1}, {1, 2}, {}, {}};
  later.ended.push_back(gone("c-later", at + limits::kEndedInstanceAge + 1s));
  ASSERT_TRUE(store_->fold(later));
  EXPECT_EQ(namesOf(store_->endedInstances("acc", "f", WallTime{}, SIZE_MAX)), Names({"c-later"}));
}

// Its instances end after it; a new function of this name did not have them.
TEST_P(StateStoreTest, AnotherFunctionOfTheSameNameHasNotItsEndedInstances) {
  addAccount();
  addFunction("f");
  const WallTime made = store_->functions().value().front().created;
  FoldBatch batch{{1, 0}, {1, 1}, {}, {}};
  batch.ended = {gone("c-old", made), gone("c-new", made + 1s)};  // which lived for a second
  ASSERT_TRUE(store_->fold(batch));
  EXPECT_EQ(namesOf(store_->endedInstances("acc", "f", WallTime{}, 10)), Names({"c-new"}));
}

TEST_P(StateStoreTest, AFunctionTakesItsInvocationsWithItAndLeavesItsUsage) {
  addAccount();
  addFunction("f");
  FoldBatch batch{{1, 0}, {1, 1}, {row("f", kDay, 1)}, {invocation(1)}};
  batch.history.push_back(played(1, kDay));
  ASSERT_TRUE(store_->fold(batch));
  ASSERT_TRUE(store_->removeFunction({"acc", "f"}));
  EXPECT_TRUE(store_->recentInvocations({"acc", "f"}, InvocationFilter::All, 3).value().empty());
  EXPECT_TRUE(store_->history({"acc", "f"}, 0, WallTime{}, 3).value().empty());
  EXPECT_EQ(store_->usage("acc", kDay, kDay).value().size(), 1u);
}

TEST_P(StateStoreTest, QuotasAndSettings) {
  addAccount();
  EXPECT_TRUE(store_->quotas().value().empty());
  ASSERT_TRUE(store_->putQuota("acc", "gpuInstances", 3));
  ASSERT_TRUE(store_->putQuota("acc", "gpuInstances", 4));
  EXPECT_EQ(store_->putQuota("nobody", "gpuInstances", 3).error().kind, ErrorKind::NotFound);
  ASSERT_TRUE(store_->putSetting("", "region", "local"));
  ASSERT_TRUE(store_->putSetting(std::string_view(), "region", "here"));
  reopen();
  EXPECT_EQ(store_->quotas().value(), (std::vector<StoredQuota>{{"acc", "gpuInstances", 4}}));
  EXPECT_EQ(store_->setting("", "region").value(), "here");
  EXPECT_EQ(store_->setting("acc", "region").value(), std::nullopt);
}

TEST(FakeStateStore, FailsWritesOnDemandAndChangesNothing) {
  FakeStateStore store;
  store.failWrites(1, {ErrorKind::Exhausted, "disk full", ""});
  EXPECT_EQ(store.addAccount({"acc", {}}).error().kind, ErrorKind::Exhausted);
  EXPECT_TRUE(store.accounts().value().empty());
  EXPECT_TRUE(store.addAccount({"acc", {}}));
}

TEST(SqliteStateStore, ASpecThatCannotBeReadIsDamageAndNamesItsFunction) {
  TestDirectory directory;
  const auto file = directory / "okibi.db";
  auto store = openStateStore(file);
  ASSERT_TRUE(store) << store.error().message;
  ASSERT_TRUE((*store)->addAccount({"acc", {}}));
  Random random(1);
  ASSERT_TRUE((*store)->putFunction(randomFunction(random, {"acc", "broken"})));
  auto database = Database::open(file);
  ASSERT_TRUE(database) << database.error().message;
  ASSERT_TRUE(database->execute("UPDATE functions SET spec = '{}'"));
  const auto read = (*store)->functions();
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().kind, ErrorKind::Internal);
  EXPECT_NE(read.error().message.find("broken"), std::string::npos);
}

TEST(SqliteStateStore, AFullDiskIsExhaustedAndFoldingIsUndoneWhole) {
  TestDirectory directory;
  const auto file = directory / "okibi.db";
  {
    ASSERT_TRUE(openStateStore(file));
  }
  auto opened = openStateStore(file);
  ASSERT_TRUE(opened);
  // A file size limit stands in for a full disk: SQLite's log cannot grow beyond it.
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit small{64 * 1024, 64 * 1024};
    ::setrlimit(RLIMIT_FSIZE, &small);
    auto store = openStateStore(file);
    if (!store) ::_exit(10);
    FoldBatch batch{{1, 0}, {1, 9}, {row("f", kDay, 1)}, {}};
    for (int i = 0; i < 1000; ++i) {
      batch.invocations.push_back(invocation(i));
      batch.invocations.back().record = std::string(1000, 'r');
    }
    const auto folded = (*store)->fold(batch);
    if (folded) ::_exit(11);
    if (!(*store)->usage("acc", kDay, kDay).value().empty()) ::_exit(12);
    if ((*store)->foldPosition().value() != FoldPosition{1, 0}) ::_exit(13);
    ::_exit(folded.error().kind == ErrorKind::Exhausted ? 0 : 14);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_EQ((*opened)->foldPosition().value(), (FoldPosition{1, 0}));
}

// A child folds batches and puts functions, tells each that was answered, and is killed in the
// middle.
TEST(SqliteStateStore, KillMinusNineLosesNoAnsweredWriteAndFoldsNothingTwice) {
  TestDirectory directory;
  const auto file = directory / "okibi.db";
  ASSERT_TRUE((*openStateStore(file))->addAccount({"acc", {}}));
  Random random(11);
  std::uint64_t told = 0;
  for (int round = 0; round < 5; ++round) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      ::close(ends[0]);
      auto store = openStateStore(file);
      if (!store) ::_exit(1);
      Random specs(1);
      for (std::uint64_t at = (*store)->foldPosition().value().offset;; ++at) {
        const Function function = randomFunction(specs, {"acc", "f" + std::to_string(at % 7)});
        if (!(*store)->putFunction(function)) ::_exit(2);
        if (!(*store)->fold({{1, at}, {1, at + 1}, {row("f", kDay, 1)}, {}})) ::_exit(3);
        const std::uint64_t done = at + 1;
        if (::write(ends[1], &done, sizeof done) != sizeof done) ::_exit(4);
      }
    }
    ::close(ends[1]);
    const auto wanted = random.between(1, 12);
    for (int i = 0; i < wanted && ::read(ends[0], &told, sizeof told) == sizeof told; ++i) {
    }
    ASSERT_EQ(::kill(child, SIGKILL), 0);
    while (::read(ends[0], &told, sizeof told) == sizeof told) {
    }
    ::close(ends[0]);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << status;
    auto store = openStateStore(file);
    ASSERT_TRUE(store) << store.error().message;
    const std::uint64_t folded = (*store)->foldPosition().value().offset;
    EXPECT_GE(folded, told);
    EXPECT_LE(folded, told + 1);
    const auto rows = (*store)->usage("acc", kDay, kDay).value();
    ASSERT_EQ(rows.size(), 1u);
    EXPECT_EQ(rows[0].calls, static_cast<std::int64_t>(folded)) << "each batch added one call";
    EXPECT_TRUE((*store)->functions());
  }
}

}  // namespace
}  // namespace okibi::store
