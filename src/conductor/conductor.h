#pragma once
// Conductor: turns the world into planner events and planner commands into acts. It owns the one
// timer and the only real clock; all decisions are the planner's. Loop thread only.
//
// One invocation:
//   arrive() → co_await admitted() → connect() … talk to the instance … → settle() → end()
// settle() puts it on the ledger (before the answer's last byte), end() frees the slot.

#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "conductor/accounting.h"
#include "conductor/catalog.h"
#include "conductor/function_logs.h"
#include "conductor/gpu_watchdog.h"
#include "conductor/instance.h"
#include "conductor/invocation.h"
#include "conductor/minimum_targets.h"
#include "conductor/session.h"
#include "conductor/traffic_split.h"
#include "net/http_client.h"
#include "net/loop.h"
#include "planner/planner.h"
#include "seams/card_giver.h"
#include "seams/gpu_inventory.h"
#include "seams/image_store.h"
#include "seams/instance_runtime.h"

namespace okibi::conductor {

// Labels and sizes of this machine.
struct Settings {
  std::string account = "1000000000000001";
  std::string region = "local";
  std::string runtime = "native";  // shown to users: "process" isolates nothing
  planner::PlannerConfig planner;
  Duration queueDeadline = limits::kQueueDeadlineDefault;
  Seconds listenTimeout = limits::kListenTimeout;  // start check: the port must accept within it
  // Functions may name OCI layouts ("oci:/path") below these folders; any other must have been
  // imported.
  std::vector<std::filesystem::path> layoutRoots;
  std::vector<ModelRoot> modelRoots;
  std::vector<Card> cards;
  int cpus = 1;
  Bytes memory;
  std::string spoolDirectory = "/tmp";  // for bodies too big for memory; its files have no names
};

// How a request ended, for ledger and planner.
struct Ending {
  ledger::Outcome outcome = ledger::Outcome::Success;
  int status = 200;
  std::string errorType;
  Bytes bytesIn, bytesOut;
};

// One live instance, for people.
struct InstanceStatus {
  std::string name, function, account, state, version;
  WallTime created{};
  int inFlight = 0, concurrency = 1, sessions = 0;
  std::optional<Card> card;
  Bytes slice, memory;
  Duration age{}, stateAge{};
  int pid = 0;
};
// What is kept for a qualifier.
struct MinimumStatus {
  int target = 0, current = 0;
  std::string error;  // why current is below target; empty: it is not, or instances are starting
};
struct Quotas {
  int cards = 0, instances = 0;
  int burst = 0, growth = 0;  // instances started at once, and per minute after
  int weight = 1;             // its part among the accounts when cards are short
};
// One card, for people: what is booked on it, and what the driver says.
struct CardStatus {
  // An instance with a slice of it.
  struct Holder {
    std::string instance;
    FunctionRef function;
    Bytes slice, inUse;
    std::optional<Bytes> driverLimit;
  };
  Card card;
  Bytes used;  // booked
  int slices = 0;
  std::string out;  // why it gets no more work; empty: it does
  seams::CardFacts facts;
  std::optional<seams::CardUse> use;  // nullopt: not known, as of simulated cards
  std::vector<Holder> holders;
};

// A limit that the driver is to hold for an instance's processes.
struct WantedCap {
  InstanceId instance;
  CardId card;
  int pid = 0;
  Bytes limit;
};

class Conductor : private seams::InstanceListener {
 public:
  Conductor(net::Loop& loop, Settings settings, Catalog& catalog, Accounting& accounting,
            seams::ImageStore& images, seams::InstanceRuntime& runtime);
  ~Conductor() override;

  // Follows real cards: ends what exceeds its slice by more than `allowance`, takes out what
  // failed. Sandboxes get them by `giver`; null: there is nothing to give, as of simulated ones.
  // Before start(); both outlive the loop, and settings().cards are the inventory's.
  void useCards(seams::GpuInventory& inventory, seams::CardGiver* giver, Bytes allowance);
  // Who makes the credentials of roles. Before start(); outlives the loop. Without: nobody gets
  // any.
  void useCredentials(CredentialGiver& giver) { credentialGiver_ = &giver; }
  // Adds the cards and every function that was deployed; resumes unfinished deployments.
  void start();
  // Refuses new requests, lets the rest finish, stops every instance; returns at rest or at
  // `deadline`.
  net::Task<void> drain(Instant deadline);

  // Deployment. `function` carries ref, spec and times; the rest is set here. create: state
  // Pending, the image is pulled in the background, then Active or Failed. update: calls go to the
  // old configuration until the new one is ready. Invalid: the spec cannot run on this machine.
  Result<const Function*> create(const std::string& account, FunctionSpec spec);
  Result<const Function*> update(const FunctionRef& ref, FunctionSpec spec);
  // ProvisionConfigExist: instances are kept for it, and calling it is not disabled.
  Result<void> remove(const FunctionRef& ref);
  // At once: tags do not make a new configuration.
  Result<void> setTags(const FunctionRef& ref, std::map<std::string, std::string> tags);

  // Versions and aliases (conductor/versions.cc). VersionNotFound, AliasNotFound.
  Result<void> checkQualifier(const FunctionRef& ref, std::string_view qualifier) const;
  // Those that calls of the qualifier go to: of an alias several, if it splits its traffic.
  Result<std::vector<std::string>> versionsOf(const FunctionRef& ref,
                                              std::string_view qualifier) const;
  // The active configuration of LATEST becomes a version; its id. ConcurrentUpdateError: there is
  // none, or it is being replaced.
  Result<std::string> publish(const FunctionRef& ref, std::string description);
  // Its running requests are finished. Invalid while an alias uses it.
  Result<void> removeVersion(const FunctionRef& ref, const std::string& id);
  Result<void> putAlias(const FunctionRef& ref, const std::string& name, Alias alias);
  Result<void> removeAlias(const FunctionRef& ref, const std::string& name);
  // Forbids or allows calls; forbidden, every instance goes, at once or when its requests are done.
  enum class Ongoing { Finish, Abort };
  Result<void> restrict(const FunctionRef& ref, InvocationRestriction restriction, Ongoing ongoing);

  // Kept instances and caps: call after their configuration changed (conductor/minimums.cc).
  void applyMinimums();
  // Their names in Catalog::quota.
  static constexpr std::string_view kCardQuota = "gpuCards", kInstanceQuota = "instances",
                                    kBurstQuota = "burst", kGrowthQuota = "growth",
                                    kWeight = "weight";
  Quotas quotas(const std::string& account) const;
  // Of its burst; it comes back with growth.
  int startsUsed(const std::string& account) const;
  void applyQuota(const std::string& account);
  void applyCap(const FunctionRef& ref);
  // Whether the driver says what instances use of their cards.
  bool measuresGpuMemory() const;
  // What is measured of the kept instances of a qualifier.
  MinimumLoad loadOf(const ResourceId& id) const;
  MinimumStatus minimumStatus(const FunctionRef& ref, const std::string& qualifier) const;

  // Invocations. `qualifier`: LATEST (or empty), a version or an alias. `mayWait`: how long its
  // caller would have it wait for an instance; never longer than the settings' queueDeadline.
  Result<std::shared_ptr<Invocation>> arrive(const FunctionRef& ref, std::string_view qualifier,
                                             std::string requestId, ledger::Moment received,
                                             std::optional<Duration> mayWait = std::nullopt);
  // Waits until it is dispatched, or why it will not be.
  net::Task<Result<void>> admitted(std::shared_ptr<Invocation> invocation);
  // A connection to its instance (connectionTo). Unavailable when the instance is gone.
  net::Task<Result<std::unique_ptr<net::HttpConnection>>> connect(
      std::shared_ptr<Invocation> invocation);
  // The connection is not used any more; kept if it can be.
  void giveBack(const Invocation& invocation, std::unique_ptr<net::HttpConnection> connection);
  // Puts it on the ledger, where it is once recorded() has returned as well. Internal/Exhausted
  // when the log cannot be written: then the answer must not be completed. Once.
  Result<void> settle(Invocation& invocation, const Ending& ending);
  net::Task<Result<void>> recorded();
  // It is over for the planner. Once, after settle(); does nothing after `lost`.
  void end(Invocation& invocation, planner::Outcome outcome);
  // What its instance printed since it was dispatched, at most limits::kLogTail of it.
  std::string outputOf(const Invocation& invocation);
  // The caller left, wherever the request is; settles what was used.
  void callerLeft(Invocation& invocation);

  // Runs a program inside an instance (conductor/sessions.cc). FunctionNotFound, InstanceNotFound;
  // Exhausted over limits::kSessions and kSessionsPerInstance; Unavailable while the instance does
  // not serve; Invalid when the program cannot be run. Whoever opened it closes it, whatever
  // happened to it before; closing kills the program.
  net::Task<Result<std::shared_ptr<Session>>> openSession(SessionOrder order);
  void closeSession(const std::shared_ptr<Session>& session);

  // Adds the x-fc-* headers that a container may rely on, its role's credentials among them.
  // REQUIRES: the caller's own x-fc-* are gone.
  struct RequestLabels {
    std::string_view requestId, qualifier;
    std::string_view controlPath;  // "/invoke", "/http-invoke", "/initialize", "/pre-stop"
  };
  void addContainerHeaders(net::Headers& headers, const Revision& revision,
                           const RequestLabels& labels) const;
  // What a container of `revision` is to have there; null: nothing, as it has no role.
  std::shared_ptr<const Credentials> credentialsFor(const Revision& revision,
                                                    CredentialPlace place) const;

  // Views.
  std::vector<InstanceStatus> instances() const;
  std::vector<CardStatus> cards() const;
  std::string driverVersion() const;  // of the cards; empty: there is no driver
  // False: it has not for ten seconds, and what the cards say is as old.
  bool driverAnswers() const { return driverSilence_ == DriverSilence::None; }
  std::vector<std::string> imagesInUse() const;  // digests of deployed functions
  const Settings& settings() const { return settings_; }
  Catalog& catalog() { return catalog_; }
  Accounting& accounting() { return accounting_; }
  FunctionLogs& logs() { return logs_; }
  seams::ImageStore& images() { return images_; }
  net::Loop& loop() { return loop_; }

 private:
  struct Acts;  // executes planner commands (conductor/acts.cc)
  friend struct Acts;

  net::Task<void> restUntil(Instant deadline);
  // World → planner. Events raised while commands are executed wait their turn.
  void step(planner::Event event);

  // Deployment (conductor/deployment.cc)
  net::Task<void> deploy(FunctionRef ref, std::uint64_t revision);
  Result<void> checkImageSource(const FunctionSpec& spec) const;
  Result<void> checkModelDirectories(const std::string& account, const FunctionSpec& spec) const;
  Result<seams::PreparedImage> findImported(const std::string& reference) const;
  net::Task<Result<seams::PreparedImage>> makePresent(ContainerConfig container);
  void activate(const Function& function, seams::PreparedImage image);
  // One configuration that can be called: the newest, or a version.
  struct Target {
    FunctionRef function;
    std::string version;
    auto operator<=>(const Target&) const = default;
  };
  void open(const Target& target, const FunctionSpec& spec, std::uint64_t number,
            seams::PreparedImage image);
  void forgetRevision(FunctionKey key);
  // Its queue is refused with `refusal` (nullopt: it was deleted), its running requests finish.
  void close(const Target& target, std::optional<Error> refusal);

  // Kept instances (conductor/minimums.cc). The revisions of a qualifier, with their millionths.
  std::vector<std::pair<FunctionKey, std::int64_t>> keysOf(const ResourceId& id) const;
  // Looks how much CPU instances use whose number follows that. Once a second.
  void sampleCpu();
  std::optional<double> gpuMemoryShare(const Instance& instance) const;
  void meterKept();

  // Versions and aliases (conductor/versions.cc)
  Result<std::string> chooseVersion(const FunctionRef& ref, std::string_view qualifier);
  void openAll(const FunctionRef& ref);
  void openVersion(const FunctionRef& ref, const std::string& id);
  net::Task<void> fetchVersion(FunctionRef ref, std::string id);
  std::optional<Error> restrictionError(const FunctionRef& ref) const;

  // Instances (conductor/instances.cc)
  net::Task<void> startInstance(std::shared_ptr<Instance> instance);
  void noteStartsAtOnce(FunctionKey function);
  net::Task<Result<void>> bringUp(std::shared_ptr<Instance> instance);
  net::Task<Result<std::unique_ptr<net::HttpConnection>>> awaitListening(
      std::shared_ptr<Instance> instance);
  net::RequestHead hookRequest(std::string method, std::string target,
                               const Instance& instance) const;
  net::Task<Result<void>> initialize(std::shared_ptr<Instance> instance,
                                     net::HttpConnection& connection);
  // An idle connection to it, or a new one.
  net::Task<Result<std::unique_ptr<net::HttpConnection>>> connectionTo(
      std::shared_ptr<Instance> instance, Instant deadline);
  net::Task<void> stopInstance(std::shared_ptr<Instance> instance, planner::StopInstance order);
  net::Task<void> runPreStop(std::shared_ptr<Instance> instance);
  net::Task<Result<void>> callPreStop(std::shared_ptr<Instance> instance);

  // Sessions (conductor/sessions.cc)
  Result<std::shared_ptr<Instance>> instanceFor(const SessionOrder& order);
  Result<void> checkSessionLimits(const Instance& instance) const;
  void forgetSession(Session& session);
  void recordSession(Session& session);
  void endSession(const std::shared_ptr<Session>& session, const Error& why);
  void endSessionsOf(InstanceId id, const Error& why);
  net::Task<void> endSessionsLater(InstanceId id);

  // Health checks (conductor/health.cc)
  net::Task<Result<void>> firstHealthCheck(std::shared_ptr<Instance> instance);
  net::Task<void> watchHealth(std::shared_ptr<Instance> instance);
  net::Task<Result<void>> checkHealth(std::shared_ptr<Instance> instance);

  // GPUs (conductor/gpu_watch.cc)
  Result<void> giveCard(const Instance& instance, seams::InstanceSpec& spec);
  void watchCard(Instance& instance);
  void onCapped(const WantedCap& wanted, const Result<void>& capped);
  void noteSilentDriver();
  net::Task<void> followGpus();
  void checkSlices();
  void onGpuEvent(const seams::GpuEvent& event);
  std::shared_ptr<Instance> atFault(const seams::GpuEvent& event) const;
  std::string cgroupOf(int pid) const;
  void takeCardOut(CardId card, const std::string& reason);
  // Kills it; `error` answers its requests, `word` says why in the ledger.
  void endFor(std::shared_ptr<Instance> instance, Error error, std::string word);

  void instanceGone(std::shared_ptr<Instance> instance, Error error);
  Error exitError(const Instance& instance, const seams::InstanceExit& exit) const;

  void onOutput(InstanceId id, seams::OutputStream stream, std::string_view bytes) override;
  void onExit(const seams::InstanceExit& exit) override;
  void onRuntimeLost(const std::string& reason) override;
  void onRuntimeRestored() override;

  net::Task<void> tick();

  net::Loop& loop_;
  Settings settings_;
  Catalog& catalog_;
  Accounting& accounting_;
  seams::ImageStore& images_;
  seams::InstanceRuntime& runtime_;
  planner::Planner planner_;
  FunctionLogs logs_;

  std::deque<planner::Event> events_;
  enum class Stepping { No, Yes } stepping_ = Stepping::No;
  net::Timer timer_;

  seams::GpuInventory* gpus_ = nullptr;
  seams::CardGiver* cardGiver_ = nullptr;
  CredentialGiver* credentialGiver_ = nullptr;
  seams::GpuUse gpuUse_;  // the last sample
  GpuWatchdog gpuWatchdog_;
  Bytes gpuAllowance_;
  std::vector<WantedCap> gpuCaps_;          // for the next question to the driver
  std::map<CardId, std::string> uncapped_;  // why the driver holds no limits there
  std::optional<Instant> driverAsked_;      // it has not answered yet
  enum class DriverSilence { None, Told } driverSilence_ = DriverSilence::None;
  std::map<CardId, std::string> cardsOut_;

  std::map<FunctionKey, std::shared_ptr<const Revision>> revisions_;
  std::map<Target, FunctionKey> current_;
  MinimumTargets targets_;
  struct Kept {
    int minimum = 0;
    planner::MinimumChanged::Rest rest = planner::MinimumChanged::Rest::Running;
    bool operator==(const Kept&) const = default;
  };
  std::map<FunctionKey, Kept> kept_;                // as the planner was told
  std::map<FunctionKey, std::string> startErrors_;  // of the last start, until one succeeds
  std::map<std::pair<FunctionRef, std::string>, TrafficSplit> splits_;  // by function and alias
  std::map<InstanceId, std::shared_ptr<Instance>> instances_;
  std::map<InvocationId, std::shared_ptr<Invocation>> invocations_;
  std::vector<std::shared_ptr<Session>> sessions_;
  std::uint64_t lastInvocation_ = 0, lastFunction_ = 0;
};

}  // namespace okibi::conductor
