#pragma once
// An InstanceRuntime without processes: each instance is an application written in the test, served
// over real TCP on loopback, so that conductor and gateway connect, relay and break as in life.
// What goes wrong, and when, is scripted; delays are on the loop's clock, which may be virtual.
//
// Functions must use port() as their container's port: nothing ever listens there, so connecting to
// an instance that does not listen yet is refused. A socket that was given out is connected to its
// instance the moment that instance listens.

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "net/event.h"
#include "net/exchange.h"
#include "net/loop.h"
#include "seams/instance_runtime.h"

namespace okibi::seams {

class FakeInstance;

// A program of a session, seen from inside: its ends of the streams, blocking, to be used as the
// test likes. With a terminal `in` and `out` are one end of a socket pair.
struct FakeProgram {
  explicit FakeProgram(net::Loop& loop) : ended(loop) {}
  void end(int code) {
    if (!ended.isSet()) ended.set(code);
    in.reset(), out.reset(), err.reset();
  }

  Program program;
  net::UniqueFd in, out, err;
  std::vector<TerminalSize> sizes;  // as resize() gave them
  bool killed = false;
  net::OneShot<int> ended;
};

// Answers one request; also /initialize, /pre-stop and health checks come here.
using FakeApp = std::function<net::Task<void>(net::Exchange&, FakeInstance&)>;

// What an instance does in its life.
struct FakeScript {
  Duration start{};                              // until exec has succeeded
  std::optional<Error> startError;               // then start() fails with it
  std::string output;                            // printed to stdout as soon as it runs
  std::optional<Duration> listens = Duration{};  // so long after exec; nullopt: never
  std::optional<Duration> exits;                 // by itself, so long after exec
  InstanceExit exit;                             // how (its id is filled in)
  Duration stopping{};                           // from SIGTERM to its end
  Duration executing{};                          // how long execute() takes
  int executed = 0;                              // its exit code
  double cpus = 0;                               // how many it keeps busy, from exec on
  std::optional<Error> freezeError, thawError;
  FakeApp app;                    // empty: 200 "ok"
  std::optional<Error> runError;  // then run() fails with it
};

class FakeInstance {
 public:
  InstanceId id;
  InstanceSpec spec;
  FakeScript script;
  Instant began{};  // exec
  bool frozen = false;
  int inFlight = 0;
  std::vector<std::string> requests;                   // "POST /invoke", in order of arrival
  std::vector<std::vector<std::string>> commands;      // given to execute()
  std::vector<std::shared_ptr<FakeProgram>> programs;  // given to run()

  // For a FakeApp that never answers: returns when the caller or the instance is gone.
  net::Task<void> hang(net::Exchange& exchange);

 private:
  friend class FakeInstanceRuntime;
  struct Server;
  std::shared_ptr<Server> server_;
};

class FakeInstanceRuntime : public InstanceRuntime {
 public:
  explicit FakeInstanceRuntime(net::Loop& loop);
  ~FakeInstanceRuntime() override;

  // Of the instances started from now on.
  FakeScript script;

  int port() const;

  // Happenings. Ids of instances that are gone are ignored.
  void print(InstanceId id, OutputStream stream, std::string_view text);
  void crash(InstanceId id, InstanceExit how);
  // The launcher ends, and every instance with it; then a new one is there.
  void lose(const std::string& reason);
  void restore();

  // What has come of it.
  std::vector<std::shared_ptr<FakeInstance>> running() const;  // oldest first
  std::size_t starts() const { return starts_; }               // calls of start()
  std::size_t freezes() const { return freezes_; }
  std::size_t thaws() const { return thaws_; }

  void setListener(InstanceListener* listener) override { listener_ = listener; }
  net::Task<Result<void>> start(const InstanceSpec& spec) override;
  net::Task<void> stop(InstanceId id, Duration grace) override;
  net::Task<Result<net::UniqueFd>> socket(InstanceId id) override;
  Result<void> freeze(InstanceId id) override;
  Result<void> thaw(InstanceId id) override;
  net::Task<Result<int>> execute(InstanceId id, std::vector<std::string> command,
                                 Duration timeout) override;
  net::Task<Result<std::unique_ptr<ProgramSession>>> run(InstanceId id, Program program) override;
  Result<ResourceUse> resourceUse(InstanceId id) override;
  void readOutputNow(InstanceId) override {}  // nothing is on its way here
  Result<int> pidOf(InstanceId id) override;

 private:
  using Instances = std::map<InstanceId, std::shared_ptr<FakeInstance>>;
  net::Task<void> live(std::shared_ptr<FakeInstance> instance);
  net::Task<void> exitLater(std::shared_ptr<FakeInstance> instance);
  static net::Task<void> serveFake(FakeInstance& instance, net::Exchange& exchange);
  void attach(const std::shared_ptr<FakeInstance>& instance, int client);
  void end(InstanceId id, InstanceExit how);

  net::Loop& loop_;
  InstanceListener* listener_ = nullptr;
  net::UniqueFd reserved_, acceptor_;  // port() is reserved_'s
  Instances instances_;
  std::set<InstanceId> stopped_;  // before their start had succeeded
  bool lost_ = false;
  std::size_t starts_ = 0, freezes_ = 0, thaws_ = 0;
};

}  // namespace okibi::seams
