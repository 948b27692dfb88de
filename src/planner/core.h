#pragma once
// The planner's inside. Split by subject: core.cc (the step), events.cc (what each event means),
// requests.cc (queue → instance), line_wait.cc (wait, or start?), scale_out.cc (queue → new
// instance), life_cycle.cc (states of an instance and what follows from them), invariants.cc and
// views.cc.

#include <map>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "planner/function.h"
#include "planner/holding_price.h"
#include "planner/placement.h"
#include "planner/planner.h"
#include "planner/timer_set.h"

namespace okibi::planner {

class Planner::Core {
 public:
  explicit Core(PlannerConfig config);

  void step(Instant now, const Event& event, std::vector<Command>& commands);
  void checkInvariants() const;

  bool atRest() const { return requests_.empty() && instances_.empty(); }
  std::vector<InstanceView> instances() const;
  std::optional<InstanceView> instance(InstanceId id) const;
  std::vector<CardView> cards() const;
  std::vector<AccountView> accounts() const;
  std::vector<FunctionView> activeFunctions() const;
  std::optional<FunctionView> function(FunctionKey key) const;
  std::size_t functionCount() const { return functions_.size(); }

 private:
  // events.cc: one per event.
  void on(const FunctionAdded& event);
  void on(const FunctionRetired& event);
  void on(const WeightChanged& event);
  void on(const MinimumChanged& event);
  void on(const CapChanged& event);
  void on(const QuotaChanged& event);
  void on(const InvocationArrived& event);
  void on(const InvocationEnded& event);
  void on(const InvocationCancelled& event);
  void on(const InstanceStarted& event);
  void on(const InstanceReady& event);
  void on(const InstanceStartFailed& event);
  void on(const InstanceGone& event);
  void on(const InstanceHealthChanged& event);
  void on(const SessionOpened& event);
  void on(const SessionClosed& event);
  void on(const InstanceParked& event);
  void on(const InstanceParkFailed& event);
  void on(const InstanceWoken& event);
  void on(const CardAdded& event);
  void on(const CardLost& event);
  void on(const TimerFired& event);
  void on(const DrainStarted& event);
  void on(const RuntimeLost& event);
  void on(const RuntimeRestored& event);
  Function& add(const FunctionPlan& plan);
  void retire(Function& function);

  // requests.cc
  void enqueue(Request& request);
  void dispatch(Request& request, Instance& instance, Warmth warmth);
  // Takes the request out of the queue and its deadline out of the timers.
  void unqueue(Request& request);
  // The caller of a queued request left. Returns its function, to be settled; none: it was not
  // queued.
  FunctionKey leaveQueue(InvocationId invocation);
  void refuse(Request& request, Error error, std::optional<Duration> retryAfter = std::nullopt);
  void expire(Request& request);
  void expireDue();
  void settleExpired();
  void refuseOverdue(Function& function);
  enum class SlotState { Free, Suspect, Broken };  // Suspect: the app may still work on the request
  void endDispatched(Request& request, SlotState slot);
  void abortAll(Instance& instance, const Error& error);
  void moveQueue(Function& from, Function& to);

  // turns.cc: between a slot and the instance, where cards have turns.
  bool takesTurns(const Instance& instance) const { return config_.cardTurns > 0 && instance.card; }
  bool wouldGrant(const Instance& instance) const;
  // The instance the next request goes to; where cards have turns, one that need not wait for it.
  Instance* pickWithRoom(const Function& function) const;
  // The request holds a slot: it goes to its instance, now or when the card's turn comes.
  void handOver(Request& request);
  void sendDispatch(Request& request);
  // Gives out what turns there are; who waits elsewhere comes over when nobody here does.
  void grantTurns(CardBook& card);
  void pullWaiting(Instance& instance);
  void pullWaiting(Function& function);
  // It gives its turn back, or stops waiting for it. The card's turns are to be granted after.
  void leaveTurn(Request& request);
  // It gives its turn and its slot back.
  void detach(Request& request);
  // Requests that still wait for a turn of the instance go back to the queue.
  void requeueWaiting(Instance& instance);
  void requeueWaiting(Function& function);
  void expireInTurn(Request& request);

  // line_wait.cc
  void learnService(Function& function, Duration took);
  void learnStart(const Instance& instance, Duration took);
  std::optional<Duration> patience(const Function& function) const;
  std::optional<Duration> patience(const Function& function, bool wakes) const;
  static std::int64_t instancesFor(const Function& function, Duration within);
  static std::int64_t instancesFor(const Function& function, std::int64_t queued, Duration within);
  static std::int64_t thereOrComing(const InstancePool& pool);
  bool oneMoreWaits(const Function& function) const;
  void decideWhoWaits(Function& function);
  static std::int64_t mostInstances(const Function& function);
  std::optional<Duration> expectedWait(const Function& function) const;
  void refuseIfHopeless(Function& function, InvocationId invocation);
  void setRipeness(Request& request);
  void hastenRipeness(Request& request);
  void armRipe(Function& function);
  void disarmRipe(Function& function);
  void onRipe(Function& function);
  bool mayStart(const Account& account) const;
  bool waitsForNothing(const Function& function) const;
  void armStarts(Account& account);
  void onStartsTimer(Account& account);

  // scale_out.cc
  // Brings the function to rest after a change: fills instances that have room (what a `fresh` one
  // gets was cold or woken), refuses who may wait no longer, withdraws what is not needed, joins
  // the line for what is. Every event ends in it for the functions it touched.
  void settle(Function& function, const Instance* fresh = nullptr, Warmth warmth = Warmth::Cold);
  // Instances the function should start now.
  int wanted(const Function& function) const;
  WaitingLine& lineFor(const Function& function, Shortage shortage);
  WaitingLine::Place placeInLine(Function& function, Shortage shortage);
  std::int64_t shareOf(const Function& function, Shortage shortage) const;
  void wasServed(Function& function);
  void joinLine(Function& function, Shortage shortage);
  static void countWaiting(Function& function, int more);
  void exitLine(Function& function);
  void stopWaiting(Function& function);
  void armYield(Function& function);
  void onYield(Function& function);
  void serveLine(WaitingLine& line);
  // Makes one instance: started now, or in Placing until what it was promised is given back.
  // Otherwise says what is missing.
  static Instance* toRecall(const Function& function);
  Shortage acquire(Function& function, YieldRule readyBefore);
  Shortage makeQuota(const Function& function, YieldRule readyBefore,
                     std::vector<Instance*>& victims) const;
  enum class Start { Needed, Ahead };
  void create(Function& function, CardBook* card, Start why = Start::Needed,
              std::string whyCard = {});
  static std::string whyCard(const Function& function, const Placement& placement);
  bool tryStart(Instance& instance);
  void startPlaced(const std::set<InstanceId>& placing);
  void markDirty(Account& account);
  void markDirty(Shelf& shelf);
  // Serves every line behind which something was given back, until nothing moves.
  void pump();

  // life_cycle.cc
  // The one place that moves an instance: asserts that the move is legal and keeps all counts.
  void move(Instance& instance, InstanceState to);
  void book(Instance& instance, InstanceState from, InstanceState to);
  void noteHolding(Shelf& shelf, const Account& account, Bytes change);
  bool bookCard(Instance& instance, InstanceState from, InstanceState to);
  void updateServing(Instance& instance);
  void updateParked(Instance& instance);
  void updateLoad(Instance& instance);
  // The lists of who may make room for others.
  static void updateRoomMakers(Instance& instance);
  // Ends the instance as its state allows: withdrawn, stopped, or drained when it is busy.
  void release(Instance& instance, StopReason reason, std::string detail = {});
  // True: it was frozen.
  bool thaw(Instance& instance);
  void stop(Instance& instance, StopReason reason, std::string detail);
  void forget(Instance& instance);
  // One that waits for what it was promised is not needed any more.
  void withdraw(Instance& instance);
  // After an instance of it has failed to start: refuses the oldest requests without another
  // instance coming, as many as that one would have served (all of them, when starts keep failing).
  void startFailed(Function& function, const Error& error);
  static Hold holdOf(const Instance& instance);
  void armIdleTimer(Instance& instance);
  void disarmIdleTimer(Instance& instance);
  void releaseIfShuttingDown(Instance& instance);
  void onIdleTimer(Instance& instance);

  // learning.cc
  bool parks(const Function& function) const;
  void noteArrival(Function& function);
  void countArrival(Function& function);
  void chooseRule(Instance& instance);
  void chooseByHistogram(Instance& instance);
  bool learns(const Function& function) const;
  void noteWanted(Instance& instance);
  void noteIdleEnds(Instance& instance);
  void noteGivenUp(Instance& instance);
  void noteStart(Function& function);
  void noteReady(const Instance& instance, Duration took);
  void fadePrices();
  static double gibOf(const Function& function);
  double startCost(const Function& function) const;
  static std::size_t rankOf(const Instance& instance);
  enum class Ending { Unwanted, Wanted, MetAhead };
  void closeStep(const Function& function, const IdleWatch& watch, Duration reached, Ending ending);
  double clearlyWorth(const Function& function) const;
  void enterSteps(const Function& function, IdleWatch& watch, std::size_t rank);
  void reviewIdle(Instance& instance);
  void decide(const Function& function, IdleWatch& watch) const;
  void followLeader(Instance& instance);
  void armGhosts(Function& function);
  void cancelGhosts(Function& function);
  void onGhostTimer(Function& function);
  static void dropGhost(Habits& habits, std::size_t index);

  // prewarming.cc: instances for requests that are expected.
  static double wakeSeconds(const Function& function);
  void setAhead(Instance& instance, bool ahead);
  void expectNext(Function& function);
  double aheadWorth(const Function& function, double worth) const;
  HoldingPrice& aheadPrice(const Function& function);
  const HoldingPrice& aheadPrice(const Function& function) const;
  bool paysAhead(const Function& function) const;
  bool firstIsHeld(const Function& function) const;
  double worthBeforeCall(const Function& function) const;
  void noteExpected(Function& function);
  void closeExpected(Function& function, Rhythm::Outcome outcome);
  void meetAhead(Function& function);
  void relyOnAhead(Function& function);
  void passAhead(Instance& instance);
  void chooseAhead(Instance& instance);
  bool mayPrewarm(const Function& function, const CardBook* card, bool starts) const;
  void prewarm(Function& function);
  void callAhead(Function& function, CardBook* card, Instance* parked);
  void armStartAhead(Function& function, Instant at);
  void cancelStartAhead(Function& function);
  void onStartAhead(Function& function);

  // bursts.cc: instances for one more at once.
  void followBursts(Habits& habits, std::optional<std::size_t> level);
  const BurstModel::Signs& watchBurst(Function& function);
  void meetBurst(Function& function);
  double sparedShare(const Function& function, double lead) const;
  std::optional<Habits::Spare> holdForBurst(const BurstModel::Course& course, double lead,
                                            double value, const HoldingPrice& price) const;
  std::optional<Habits::Spare> callForBurst(const Function& function,
                                            const BurstModel::Course& course) const;
  std::optional<Habits::Spare> parkForBurst(const Function& function,
                                            const BurstModel::Course& course, double lead,
                                            double value) const;
  void closeSpare(Instance& instance, bool used);
  void closeParkedSpare(Instance& instance, bool used);
  void noteUsed(Instance& instance, bool inTime, Instant until);
  void spareAgain(Instance& instance);

  // parking.cc
  // False: it stays as it is, there is no host memory for it now.
  bool park(Instance& instance);
  bool makeHostMemory(const Instance& instance);
  void releaseHostMemory(Instance& instance);
  // Takes an idle instance off its card: parked if it can be, else ended; a busy one is drained.
  void vacate(Instance& instance, const std::string& detail);
  // Brings a parked instance back: now, or as soon as the card has room.
  void recall(Instance& instance, CardBook& card);
  bool wakeInstead(Instance& start);

  // minimum.cc
  Account& accountNamed(const std::string& name);
  int missing(const Function& function) const;
  void settleMinimum(Function& function);
  void noteMissing(Function& function);
  void delayMinimum(Function& function);
  void onMinimumTimer(FunctionKey key);
  // How long it stays: as its function says, or while it is kept.
  void setRule(Instance& instance);
  void keptChanged(Instance& instance);
  void makeRoomBelowCap(Function& function);
  void countInGroup(Function& function, int change);

  // invariants.cc
  void checkHoldings() const;
  void checkFunctions(std::size_t inFlight) const;
  static void checkAhead(const Function& function);
  void checkWaiting(const Function& function) const;

  // core.cc
  Function* findFunction(FunctionKey key);
  Instance* findInstance(InstanceId id);
  Request* findRequest(InvocationId id);
  void runTimers();
  void dropSleepers();
  void armWake();
  template <typename C>
  void emit(C command) {
    commands_->emplace_back(std::move(command));
  }

  // An instance that found no host memory to be parked in asks again after this time.
  static constexpr Duration kParkRetry = std::chrono::seconds(1);

  // Nothing is waited for longer than that in place of a start.
  static constexpr Duration kLongestPatience = std::chrono::hours(1);

  const PlannerConfig config_;

  // Of the step in progress
  Instant now_{};
  std::vector<Command>* commands_ = nullptr;
  std::vector<Account*> dirtyAccounts_;
  std::vector<Shelf*> dirtyShelves_;
  std::vector<FunctionKey> expired_;  // lost requests that were too late; and their cards
  std::vector<CardId> expiredCards_;
  InvocationId newcomer_;               // queued in this step
  FunctionKey burst_;                   // has got a request in this step
  Duration burstGap_{};                 // after the one before
  std::vector<FunctionKey> unsettled_;  // got requests back
  std::vector<FunctionKey> maybeAsleep_;

  std::map<std::string, Account> accounts_;
  std::vector<Account*> accountsById_;                           // id − 1
  std::map<std::pair<std::string, std::string>, Group> groups_;  // by account and function name
  SliceLedger ledger_;
  std::unordered_map<FunctionKey, Function> functions_;  // never iterated in decisions
  std::unordered_map<InvocationId, Request> requests_;   // never iterated in decisions
  std::map<InstanceId, Instance> instances_;
  TimerSet deadlines_, timers_;
  Bytes hostHeld_, hostLeaving_;  // host memory of parked instances; of those: being stopped
  std::set<std::tuple<double, std::uint64_t, Instance*>>
      parkedByWorth_;                 // decided by the first two
  const Instance* spared_ = nullptr;  // parked, and about to be recalled
  WaitingLine runtimeLine_;           // functions that wait for the runtime
  std::optional<Instant> wake_;       // the last WakeAt, until it has passed
  std::uint64_t lastInstance_ = 0, lastArrival_ = 0, lastIdle_ = 0;
  // KeepAlivePolicy::Learned
  ReturnModel model_;
  BurstModel bursts_;
  HoldingPrice parkingCard_, parkingHost_;  // of functions that park
  HoldingPrice card_, cpu_;                 // of those that do not
  std::int64_t learned_ = 0;                // idle times
  Instant fadedAt_;                         // when the last of them ended
  int allStarts_ = 0;                       // in meanStart_
  double meanStart_ = 0;                    // seconds, over all functions
  bool draining_ = false;
  bool runtimeDown_ = false;
};

}  // namespace okibi::planner
