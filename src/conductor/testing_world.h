#pragma once
// For tests of conductor and gateway: everything but processes, registries and time is real. Time
// is virtual (net/virtual_clock.h).

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/check.h"
#include "conductor/clock.h"
#include "conductor/conductor.h"
#include "net/testing.h"
#include "net/virtual_clock.h"
#include "seams/fake_image_store.h"
#include "seams/fake_instance_runtime.h"
#include "seams/fake_state_store.h"

namespace okibi::conductor::testing {

inline constexpr std::string_view kAccount = "1000000000000001";
inline constexpr Bytes kGpuAllowance = Bytes::mib(512);

// 16 GB of the type that functions of tests ask for.
inline Card simulatedCard() {
  return {.id = CardId(1),
          .uuid = "SIM-1",
          .type = "fc.gpu.tesla.1",
          .memory = Bytes::gib(16),
          .origin = CardOrigin::Simulated};
}

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "okibi-test-XXXXXX").string();
    OKIBI_CHECK(::mkdtemp(pattern.data()) != nullptr);
    path = pattern;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  std::filesystem::path path;
};

// How one call went.
struct Called {
  Result<std::string> body = std::string();
  int status = 0;  // the application's
  std::shared_ptr<Invocation> invocation;
  Duration took{};
};

class World {
 public:
  // `gpus`: real cards, if they say so.
  explicit World(std::function<void(Settings&)> adjust = {}, ledger::LogOptions log = {},
                 seams::GpuInventory* gpus = nullptr) {
    OKIBI_CHECK(store.addAccount({std::string(kAccount), {}}).has_value());
    images->publish("app:1", {.entrypoint = {"/app"},
                              .command = {},
                              .environment = {},
                              .workingDirectory = {},
                              .user = {},
                              .architecture = {}});
    auto opened = Accounting::open(*loop, directory.path / "ledger", store, prices, wallNow(), log);
    OKIBI_CHECK(opened.has_value(), "{}", opened.error().message);
    accounting = std::move(*opened);
    Settings settings;
    settings.cpus = 64;
    settings.memory = Bytes::gib(256);
    settings.spoolDirectory = directory.path.string();
    if (gpus != nullptr) {
      for (const seams::CardFacts& facts : gpus->describe().cards) {
        settings.cards.push_back(facts.card);
      }
    }
    if (adjust) adjust(settings);
    conductor =
        std::make_unique<Conductor>(*loop, settings, catalog, *accounting, *images, runtime);
    if (gpus != nullptr) conductor->useCards(*gpus, nullptr, kGpuAllowance);
    conductor->start();
  }
  ~World() {
    run([this]() -> net::Task<void> { co_await conductor->drain(loop->now() + 100h); });
    conductor.reset();
    images.reset();
    loop.reset();
  }

  void run(const std::function<net::Task<void>()>& body) { net::testing::runOn(*loop, body); }

  static FunctionRef ref(std::string name) { return {std::string(kAccount), std::move(name)}; }
  FunctionSpec spec(std::string name) const {
    FunctionSpec spec;
    spec.name = std::move(name);
    spec.container.image = "app:1";
    spec.container.port = runtime.port();
    spec.timeout = Seconds(60);
    return spec;
  }

  // Created, and waited for until its deployment has ended.
  net::Task<void> deploy(FunctionSpec wanted) {
    const FunctionRef of = ref(wanted.name);
    auto created = conductor->create(of.account, std::move(wanted));
    OKIBI_CHECK(created.has_value(), "{}", created.error().message);
    co_await settled(of);
  }
  net::Task<void> deploy(std::string name) { return deploy(spec(std::move(name))); }
  net::Task<void> settled(FunctionRef of) {
    while (catalog.find(of)->lastUpdate == UpdateStatus::InProgress) co_await loop->sleep(10ms);
  }

  Result<std::shared_ptr<Invocation>> arrive(const std::string& name) {
    const ledger::Moment now{loop->now(), wall()};
    return conductor->arrive(ref(name), "", "r-" + std::to_string(++requests_), now);
  }

  // One whole call, as the gateway makes it.
  net::Task<Called> call(std::string name, std::string target = "/invoke") {
    const Instant begin = loop->now();
    Called called;
    auto arrived = arrive(name);
    if (!arrived) {
      called.body = fail(arrived.error());
      co_return called;
    }
    called.invocation = *arrived;
    called.body = co_await talk(called, std::move(target));
    called.took = loop->now() - begin;
    co_return called;
  }
  // Calls at once; done when all are.
  net::Task<std::vector<Called>> calls(std::string name, int count) {
    struct All {
      std::vector<Called> done;
      net::Event news;
    };
    auto all = std::make_shared<All>(All{{}, net::Event(*loop)});
    auto one = [](World& world, std::string of, std::shared_ptr<All> to) -> net::Task<void> {
      Called called = co_await world.call(std::move(of));
      to->done.push_back(std::move(called));
      to->news.set();
    };
    for (int i = 0; i < count; ++i) loop->spawn(one(*this, name, all));
    while (all->done.size() < static_cast<std::size_t>(count)) {
      if (auto ok = co_await all->news.wait(); !ok) break;
      all->news.reset();
    }
    co_return all->done;
  }

  net::Task<std::vector<ledger::InvocationRecord>> records(std::string name) {
    std::vector<FunctionRef> of{ref(std::move(name))};
    auto found = co_await accounting->invocations(std::move(of), seams::InvocationFilter::All, 100);
    OKIBI_CHECK(found.has_value(), "{}", found.error().message);
    co_return *found;
  }
  // Virtual time may have reached into the next day.
  net::Task<ledger::Usage> usage(std::string name) {
    auto report =
        co_await accounting->usage(std::string(kAccount), std::move(name), wallNow() + 24h);
    OKIBI_CHECK(report.has_value(), "{}", report.error().message);
    co_return report->total.usage;
  }

  // Of the requests that arrive; a test may let it follow the virtual clock.
  std::function<WallTime()> wall = wallNow;

  net::VirtualClock clock;
  std::unique_ptr<net::Loop> loop = std::make_unique<net::Loop>(2, &clock);
  TemporaryDirectory directory;
  seams::FakeStateStore store;
  std::unique_ptr<seams::FakeImageStore> images = std::make_unique<seams::FakeImageStore>(*loop);
  seams::FakeInstanceRuntime runtime{*loop};
  ledger::PriceBook prices;
  std::unique_ptr<Accounting> accounting;
  Catalog catalog{store};
  std::unique_ptr<Conductor> conductor;

 private:
  net::Task<Result<std::string>> talk(Called& called, std::string target) {
    Invocation& invocation = *called.invocation;
    auto admitted = co_await conductor->admitted(called.invocation);
    if (!admitted) {
      Ending refused;
      refused.outcome = ledger::Outcome::Refused;
      if (auto settled = conductor->settle(invocation, refused); !settled) {
        co_return fail(settled.error());
      }
      co_return fail(admitted.error());
    }
    auto connection = co_await conductor->connect(called.invocation);
    if (!connection) co_return co_await broken(invocation, connection.error());
    net::RequestHead head;
    head.method = "POST";
    head.target = std::move(target);
    head.headers.add("Host", "127.0.0.1");
    const Instant deadline = invocation.dispatched.at + invocation.revision->spec.timeout;
    auto answer = co_await net::call(*loop, **connection, std::move(head), net::SpooledBody(),
                                     limits::kSyncBody, deadline);
    if (!answer && answer.error().kind != ErrorKind::TimedOut) {
      co_return co_await broken(invocation, answer.error());
    }
    called.status = answer ? answer->head.status : 0;
    Ending ending;
    ending.outcome = answer ? ledger::Outcome::Success : ledger::Outcome::FunctionError;
    Result<void> settled = conductor->settle(invocation, ending);
    if (settled) settled = co_await conductor->recorded();
    conductor->giveBack(invocation, std::move(*connection));
    conductor->end(invocation, answer ? planner::Outcome::Completed : planner::Outcome::TimedOut);
    if (!settled) co_return fail(settled.error());
    if (!answer) co_return fail(answer.error());
    co_return answer->body.text();
  }
  net::Task<Result<std::string>> broken(Invocation& invocation, Error error) {
    auto lost = co_await invocation.lost.wait(loop->now() + 500ms);
    Ending ending;
    ending.outcome = ledger::Outcome::FunctionError;
    auto settled = conductor->settle(invocation, ending);
    conductor->end(invocation, planner::Outcome::InstanceBroken);
    if (!settled) co_return fail(settled.error());
    co_return fail(lost ? *lost : std::move(error));
  }

  int requests_ = 0;
};

}  // namespace okibi::conductor::testing
