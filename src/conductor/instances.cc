// The life of an instance in the real world: bring-up in visible phases, hooks, end.

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/log.h"
#include "conductor/clock.h"
#include "conductor/conductor.h"
#include "conductor/start_plan.h"

namespace okibi::conductor {
namespace {

// Between connect attempts: 0.1 ms at first, never more than 2% of the wait so far, so that a long
// start is noticed within 2% and a short one at once.
constexpr Duration kFirstPause = std::chrono::microseconds(100);
constexpr Duration kLongestPause = std::chrono::milliseconds(100);
constexpr Duration kStopGrace = std::chrono::seconds(5);
constexpr Duration kConnectForPreStop = std::chrono::seconds(1);

ledger::InstanceTerms termsOf(const Instance& instance) {
  const FunctionSpec& spec = instance.revision->spec;
  ledger::InstanceTerms terms;
  terms.instance = instance.name;
  terms.function = instance.revision->ref;
  terms.revision = instance.revision->number;
  terms.version = instance.revision->version;
  if (spec.gpu) {
    terms.gpuType = spec.gpu->type;
    terms.gpuMemory = spec.gpu->memory;
  }
  terms.memory = spec.memory;
  terms.disk = spec.disk;
  terms.cpu = spec.cpu;
  return terms;
}

std::string how(const seams::InstanceExit& exit) {
  return exit.signal != 0 ? fmt::format("signal {}", exit.signal)
                          : fmt::format("code {}", exit.exitCode);
}

// For the ledger, of one that ended by itself.
std::string exitWord(const seams::InstanceExit& exit) {
  return exit.outOfMemory ? "out of memory" : "crashed: " + how(exit);
}

// The first line of a message, of a length that fits a table.
std::string shortly(std::string_view message) {
  constexpr std::size_t kMost = 160;
  message = message.substr(0, message.find('\n'));
  if (message.size() <= kMost) return std::string(message);
  std::size_t end = kMost;
  while (end > 0 && (static_cast<unsigned char>(message[end]) & 0xC0) == 0x80) --end;  // UTF-8
  return std::string(message.substr(0, end)) + "…";
}

// For the ledger, of one that was stopped: "made room for function 'f'", "start failed: …".
std::string stopWord(const planner::StopInstance& order) {
  const std::string word(planner::toString(order.reason));
  if (order.detail.empty()) return word;
  const std::string_view between = order.detail.starts_with("for ") ? " " : ": ";
  return fmt::format("{}{}{}", word, between, shortly(order.detail));
}

std::string lastLines(const OutputTail& output) {
  std::string text = output.since(0);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

Error notStarted(Error error) {
  if (error.code.empty() || error.code == "InvalidArgument") error.code = "FunctionNotStarted";
  error.kind = ErrorKind::Unavailable;
  return error;
}

}  // namespace

net::Task<void> Conductor::startInstance(std::shared_ptr<Instance> instance) {
  Result<void> up = co_await bringUp(instance);
  // Stopped or gone meanwhile: nobody waits for the news.
  if (instance->phase == InstancePhase::Starting && up) {
    instance->phase = InstancePhase::Serving;
    instance->times.ready = loop_.now();
    log::info("instance ready", "instance={} function={} start_ms={:.1f}", instance->name,
              instance->revision->ref.name,
              toMilliseconds(instance->times.ready - instance->times.ordered));
    if (instance->revision->spec.container.healthCheck) loop_.spawn(watchHealth(instance));
    startErrors_.erase(instance->revision->key);
    step(planner::InstanceReady{instance->id});
    meterKept();
  } else if (instance->phase == InstancePhase::Starting) {
    log::warning("instance start failed", "instance={} function={} error=\"{}\"", instance->name,
                 instance->revision->ref.name, up.error().message);
    startErrors_[instance->revision->key] = up.error().message;
    step(planner::InstanceStartFailed{instance->id, notStarted(std::move(up.error()))});
  }
  if (instance->initializing.valid()) {
    accounting_.endHook(std::exchange(instance->initializing, {}), momentNow(loop_));
  }
}

void Conductor::noteStartsAtOnce(FunctionKey function) {
  std::vector<Instance*> starting;
  for (const auto& [id, instance] : instances_) {
    if (instance->phase == InstancePhase::Starting && instance->revision->key == function) {
      starting.push_back(instance.get());
    }
  }
  const int count = static_cast<int>(starting.size());
  for (Instance* instance : starting) {
    instance->startsAtOnce = std::max(instance->startsAtOnce, count);
  }
}

net::Task<Result<void>> Conductor::bringUp(std::shared_ptr<Instance> instance) {
  accounting_.instanceOpened(termsOf(*instance), {loop_.now(), instance->created});
  auto spec =
      planStart(*instance, {instance->revision->ref.account, settings_.region,
                            credentialsFor(*instance->revision, CredentialPlace::Environment)});
  if (!spec) co_return fail(std::move(spec.error()));
  if (auto allowed =
          checkModelDirectories(instance->revision->ref.account, instance->revision->spec);
      !allowed) {
    co_return fail(withContext(allowed.error(), "The function cannot be started"));
  }
  if (auto given = giveCard(*instance, *spec); !given) co_return given;
  instance->times.imaged = loop_.now();
  Result<void> started = co_await runtime_.start(*spec);
  if (!started) {
    co_return fail(withContext(std::move(started.error()), "The function cannot be started"));
  }
  instance->sandbox = Instance::Sandbox::Exists;
  instance->times.sandboxed = loop_.now();
  watchCard(*instance);
  if (instance->phase != InstancePhase::Starting) co_return Result<void>{};
  step(planner::InstanceStarted{instance->id});
  auto connection = co_await awaitListening(instance);
  if (!connection) co_return fail(std::move(connection.error()));
  instance->times.listening = loop_.now();
  if (instance->revision->spec.initializer.enabled()) {
    if (!instance->ahead) {
      instance->initializing =
          accounting_.begin(instance->name, ledger::UseKind::Hook, momentNow(loop_));
    }
    Result<void> initialized = co_await initialize(instance, **connection);
    if (!initialized) co_return initialized;
  }
  instance->connections.give(std::move(*connection));
  if (instance->revision->spec.container.healthCheck) {
    co_return co_await firstHealthCheck(instance);
  }
  co_return Result<void>{};
}

net::Task<Result<std::unique_ptr<net::HttpConnection>>> Conductor::awaitListening(
    std::shared_ptr<Instance> instance) {
  const int port = instance->revision->spec.container.port;
  const auto address =
      net::SocketAddress::loopback(runtime_.portOf(instance->id, static_cast<std::uint16_t>(port)));
  const Instant start = loop_.now();
  const Instant deadline = start + settings_.listenTimeout;
  Result<net::UniqueFd> fd = co_await runtime_.socket(instance->id);
  if (!fd) co_return fail(std::move(fd.error()));
  net::Socket socket(loop_, std::move(*fd));
  while (instance->phase == InstancePhase::Starting) {
    // The attempt that succeeds carries the first request: a probe that connects and closes would
    // block a single-threaded server.
    Result<void> connected = co_await socket.connect(address, deadline);
    if (connected) co_return std::make_unique<net::HttpConnection>(loop_, std::move(socket));
    const Duration waited = loop_.now() - start;
    if (loop_.now() >= deadline) {
      co_return fail(
          ErrorKind::TimedOut,
          fmt::format("Function instance health check failed on port {} in {} seconds. "
                      "Logs: {}",
                      port, settings_.listenTimeout.count(), lastLines(instance->output)),
          "FunctionNotStarted");
    }
    co_await loop_.sleep(std::clamp(waited / 50, kFirstPause, kLongestPause));
  }
  co_return fail(ErrorKind::Unavailable, "the instance ended before it listened",
                 "FunctionNotStarted");
}

// A hook has no request that it is for, so the instance's name stands for the request's id.
net::RequestHead Conductor::hookRequest(std::string method, std::string target,
                                        const Instance& instance) const {
  net::RequestHead head;
  head.method = std::move(method);
  head.headers.add("Host", "127.0.0.1");
  addContainerHeaders(head.headers, *instance.revision,
                      {instance.name, instance.revision->version, target});
  head.target = std::move(target);
  return head;
}

net::Task<Result<void>> Conductor::initialize(std::shared_ptr<Instance> instance,
                                              net::HttpConnection& connection) {
  const Hook& hook = instance->revision->spec.initializer;
  const auto failed = [&](std::string why) {
    return fail(ErrorKind::Unavailable,
                fmt::format("initializer of function '{}' {}. Logs: {}",
                            instance->revision->ref.name, why, lastLines(instance->output)),
                "InitializationError");
  };
  if (!hook.command.empty()) {
    Result<int> code = co_await runtime_.execute(instance->id, hook.command, hook.timeout);
    if (!code && code.error().kind == ErrorKind::TimedOut) {
      co_return failed(fmt::format("did not finish in {} s", hook.timeout.count()));
    }
    if (!code) co_return failed("could not be run: " + code.error().message);
    if (*code != 0) co_return failed(fmt::format("ended with exit code {}", *code));
    co_return Result<void>{};
  }
  net::RequestHead head = hookRequest("POST", "/initialize", *instance);
  const net::SpooledBody empty;
  auto answer = co_await net::call(loop_, connection, std::move(head), empty, limits::kApiBody,
                                   loop_.now() + hook.timeout, settings_.spoolDirectory);
  if (!answer && answer.error().kind == ErrorKind::TimedOut) {
    co_return failed(fmt::format("did not finish in {} s", hook.timeout.count()));
  }
  if (!answer) co_return failed("failed: " + answer.error().message);
  const int status = answer->head.status;
  if (status < 200 || status > 299) co_return failed(fmt::format("answered status {}", status));
  co_return Result<void>{};
}

net::Task<void> Conductor::stopInstance(std::shared_ptr<Instance> instance,
                                        planner::StopInstance order) {
  if (instance->phase == InstancePhase::Gone) co_return;
  const bool wasServing = instance->phase == InstancePhase::Serving;
  instance->phase = InstancePhase::Stopping;
  instance->stopWord = stopWord(order);
  if (wasServing && order.preStop == planner::PreStop::Run &&
      instance->revision->spec.preStop.enabled()) {
    co_await runPreStop(instance);
  }
  instance->connections.invalidate();
  co_await runtime_.stop(instance->id, wasServing ? kStopGrace : Duration::zero());
  // A sandbox that never came to be has no exit to wait for.
  if (instance->sandbox == Instance::Sandbox::None) instanceGone(instance, {});
}

net::Task<void> Conductor::runPreStop(std::shared_ptr<Instance> instance) {
  const ledger::UseId use =
      accounting_.begin(instance->name, ledger::UseKind::Hook, momentNow(loop_));
  if (auto done = co_await callPreStop(instance); !done) {
    // Its result does not hold the stop up (Function Compute: custom containers); it is only said.
    log::warning("preStop failed", "instance={} error=\"{}\"", instance->name,
                 done.error().message);
  }
  accounting_.endHook(use, momentNow(loop_));
}

net::Task<Result<void>> Conductor::callPreStop(std::shared_ptr<Instance> instance) {
  const Hook& hook = instance->revision->spec.preStop;
  if (!hook.command.empty()) {
    Result<int> code = co_await runtime_.execute(instance->id, hook.command, hook.timeout);
    if (!code) co_return fail(std::move(code.error()));
    if (*code == 0) co_return Result<void>{};
    co_return fail(ErrorKind::Unavailable, fmt::format("it ended with exit code {}", *code));
  }
  auto connection = co_await connectionTo(instance, loop_.now() + kConnectForPreStop);
  if (!connection) co_return fail(std::move(connection.error()));
  net::RequestHead head = hookRequest("GET", "/pre-stop", *instance);
  const net::SpooledBody empty;
  auto answer = co_await net::call(loop_, **connection, std::move(head), empty, limits::kApiBody,
                                   loop_.now() + hook.timeout, settings_.spoolDirectory);
  if (!answer) co_return fail(std::move(answer.error()));
  co_return Result<void>{};
}

net::Task<Result<std::unique_ptr<net::HttpConnection>>> Conductor::connectionTo(
    std::shared_ptr<Instance> instance, Instant deadline) {
  if (auto idle = instance->connections.take()) co_return std::move(idle);
  const auto port = runtime_.portOf(
      instance->id, static_cast<std::uint16_t>(instance->revision->spec.container.port));
  auto fd = co_await runtime_.socket(instance->id);
  if (!fd) co_return fail(std::move(fd.error()));
  net::Socket socket(loop_, std::move(*fd));
  auto connected = co_await socket.connect(net::SocketAddress::loopback(port), deadline);
  if (!connected) co_return fail(std::move(connected.error()));
  co_return std::make_unique<net::HttpConnection>(loop_, std::move(socket));
}

void Conductor::instanceGone(std::shared_ptr<Instance> instance, Error error) {
  if (instance->phase == InstancePhase::Gone) return;
  const std::string word =
      instance->phase == InstancePhase::Stopping ? instance->stopWord : instance->endWord;
  instance->phase = InstancePhase::Gone;
  instance->connections.invalidate();
  endSessionsOf(instance->id, {ErrorKind::Unavailable, "the instance ended: " + word, {}});
  if (instance->slice && cardGiver_ != nullptr) cardGiver_->takeBack(instance->name);
  if (instance->keeping.valid()) {
    accounting_.endHook(std::exchange(instance->keeping, {}), momentNow(loop_));
  }
  accounting_.instanceClosed(instance->name, word, momentNow(loop_));
  log::info("instance gone", "instance={} function={} reason=\"{}\"", instance->name,
            instance->revision->ref.name, word);
  step(planner::InstanceGone{instance->id, std::move(error)});
  instances_.erase(instance->id);
}

Error Conductor::exitError(const Instance& instance, const seams::InstanceExit& exit) const {
  if (instance.endReason) return *instance.endReason;
  const FunctionSpec& spec = instance.revision->spec;
  if (exit.outOfMemory) {
    return {ErrorKind::Unavailable,
            fmt::format("Function instance ran out of memory: memorySize is {} MB. Logs: {}",
                        spec.memory.wholeMib(), lastLines(instance.output)),
            "FunctionOOMError"};
  }
  if (instance.phase == InstancePhase::Serving) {
    return {ErrorKind::Unavailable,
            fmt::format("Process exited unexpectedly before completing request ({}). Logs: {}",
                        how(exit), lastLines(instance.output)),
            "FunctionUnhandledError"};
  }
  const auto plan = planStart(instance, {instance.revision->ref.account, settings_.region});
  return {ErrorKind::Unavailable,
          fmt::format("Function instance exited unexpectedly({}) with start command '{}'. Logs: {}",
                      how(exit), plan ? fmt::format("{}", fmt::join(plan->arguments, " ")) : "",
                      lastLines(instance.output)),
          "FunctionNotStarted"};
}

void Conductor::onOutput(InstanceId id, seams::OutputStream stream, std::string_view bytes) {
  const auto found = instances_.find(id);
  if (found == instances_.end()) return;
  Instance& instance = *found->second;
  instance.output.append(stream, bytes, [&](seams::OutputStream from, std::string_view line) {
    logs_.append(instance.revision->ref, {wallNow(), instance.name, from, std::string(line)});
  });
}

void Conductor::onExit(const seams::InstanceExit& exit) {
  const auto found = instances_.find(exit.id);
  if (found == instances_.end()) return;
  const std::shared_ptr<Instance> instance = found->second;
  Error error = exitError(*instance, exit);
  if (!instance->endReason) {
    const bool starting = instance->phase == InstancePhase::Starting;
    instance->endWord = starting ? "start failed: " + shortly(error.message) : exitWord(exit);
  }
  instanceGone(instance, std::move(error));
}

void Conductor::onRuntimeLost(const std::string& reason) {
  log::error("runtime lost", "reason=\"{}\"", reason);
  Error error{ErrorKind::Unavailable, "the sandbox launcher ended: " + reason,
              "FunctionUnhandledError"};
  step(planner::RuntimeLost{std::move(error)});
}

void Conductor::onRuntimeRestored() {
  log::info("runtime restored", "");
  step(planner::RuntimeRestored{});
}

}  // namespace okibi::conductor
