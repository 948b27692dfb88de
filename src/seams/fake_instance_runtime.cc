#include "seams/fake_instance_runtime.h"

#include <algorithm>
#include <cerrno>
#include <cmath>

#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/check.h"
#include "net/address.h"
#include "net/event.h"
#include "net/server_connection.h"

namespace okibi::seams {
namespace {

net::UniqueFd boundSocket() {
  net::UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto any = net::SocketAddress::loopback(0);
  OKIBI_CHECK(fd && ::bind(fd.get(), any.data(), any.size()) == 0, "loopback has a free port");
  return fd;
}

net::SocketAddress addressOf(int fd) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  auto* address = reinterpret_cast<sockaddr*>(&storage);
  OKIBI_CHECK(::getsockname(fd, address, &length) == 0);
  return net::SocketAddress::from(address, length);
}

// Also a socket that was refused elsewhere before, and one that does not block.
void connectNow(int fd, const net::SocketAddress& address) {
  for (int attempt = 0; attempt < 100; ++attempt) {
    if (::connect(fd, address.data(), address.size()) == 0 || errno == EISCONN) return;
    pollfd ready{.fd = fd, .events = POLLOUT, .revents = 0};
    if (errno == EINPROGRESS || errno == EALREADY) ::poll(&ready, 1, 1000);
  }
  OKIBI_CHECK(false, "loopback connects: {}", std::to_string(errno));
}

std::unexpected<Error> notThere(InstanceId id) {
  return fail(ErrorKind::NotFound, fmt::format("instance {} is gone", id.value()));
}

}  // namespace

// What answers on an instance's port. Shared with the connections' tasks.
struct FakeInstance::Server {
  explicit Server(net::Loop& loop) : state(loop, {}, {}) {}

  net::ServerState state;
  bool listening = false;
  std::vector<net::UniqueFd> waiting;  // sockets given out before it listened
  std::set<net::ServerConnection*> connections;

  void breakAll() {
    state.draining = true;
    waiting.clear();
    // Handlers learn of it from their next read, write or onDisconnect.
    for (net::ServerConnection* connection : connections) connection->abort();
    const auto broken = connections;
    for (net::ServerConnection* connection : broken) connection->hungUp();
  }
};

net::Task<void> FakeInstance::hang(net::Exchange& exchange) {
  net::Event gone(server_->state.loop);
  exchange.onDisconnect([&gone] { gone.set(); });
  // Only the loop's own end ends this wait otherwise.
  (void)co_await gone.wait();
  exchange.onDisconnect(nullptr);
}

FakeInstanceRuntime::FakeInstanceRuntime(net::Loop& loop)
    : loop_(loop), reserved_(boundSocket()), acceptor_(boundSocket()) {
  OKIBI_CHECK(::listen(acceptor_.get(), 64) == 0);
}
FakeInstanceRuntime::~FakeInstanceRuntime() = default;

int FakeInstanceRuntime::port() const {
  return addressOf(reserved_.get()).port();
}

// ---- happenings

void FakeInstanceRuntime::print(InstanceId id, OutputStream stream, std::string_view text) {
  if (listener_ != nullptr && instances_.contains(id)) listener_->onOutput(id, stream, text);
}

void FakeInstanceRuntime::crash(InstanceId id, InstanceExit how) {
  end(id, how);
}

void FakeInstanceRuntime::lose(const std::string& reason) {
  lost_ = true;
  while (!instances_.empty()) end(instances_.begin()->first, {.id = {}, .signal = 9});
  if (listener_ != nullptr) listener_->onRuntimeLost(reason);
}

void FakeInstanceRuntime::restore() {
  lost_ = false;
  if (listener_ != nullptr) listener_->onRuntimeRestored();
}

void FakeInstanceRuntime::end(InstanceId id, InstanceExit how) {
  const auto gone = instances_.extract(id);
  if (gone.empty()) return;
  gone.mapped()->server_->breakAll();
  for (const auto& program : gone.mapped()->programs) program->end(137);
  how.id = id;
  if (listener_ != nullptr) listener_->onExit(how);
}

std::vector<std::shared_ptr<FakeInstance>> FakeInstanceRuntime::running() const {
  std::vector<std::shared_ptr<FakeInstance>> list;
  for (const auto& [id, instance] : instances_) list.push_back(instance);
  return list;
}

// ---- start and stop

net::Task<Result<void>> FakeInstanceRuntime::start(const InstanceSpec& spec) {
  ++starts_;
  auto instance = std::make_shared<FakeInstance>();
  instance->id = spec.id;
  instance->spec = spec;
  instance->script = script;
  instance->server_ = std::make_shared<FakeInstance::Server>(loop_);
  co_await loop_.sleep(instance->script.start);
  if (lost_) co_return fail(ErrorKind::Unavailable, "the launcher has ended");
  if (instance->script.startError) co_return fail(*instance->script.startError);
  if (stopped_.erase(instance->id) > 0) co_return fail(ErrorKind::Cancelled, "it was stopped");
  instance->began = loop_.now();
  instances_.emplace(instance->id, instance);
  loop_.spawn(live(instance));
  co_return Result<void>();
}

net::Task<void> FakeInstanceRuntime::live(std::shared_ptr<FakeInstance> instance) {
  const FakeScript& does = instance->script;
  if (!does.output.empty()) print(instance->id, OutputStream::Stdout, does.output);
  if (does.exits) loop_.spawn(exitLater(instance));
  if (!does.listens) co_return;
  co_await loop_.sleep(*does.listens);
  if (!instances_.contains(instance->id)) co_return;
  instance->server_->listening = true;
  for (const net::UniqueFd& client : std::exchange(instance->server_->waiting, {})) {
    attach(instance, client.get());
  }
}

net::Task<void> FakeInstanceRuntime::exitLater(std::shared_ptr<FakeInstance> instance) {
  co_await loop_.sleep(*instance->script.exits);
  end(instance->id, instance->script.exit);
}

net::Task<void> FakeInstanceRuntime::stop(InstanceId id, Duration grace) {
  const auto found = instances_.find(id);
  if (found == instances_.end()) {
    stopped_.insert(id);
    co_return;
  }
  const Duration needs = found->second->script.stopping;
  co_await loop_.sleep(std::min(needs, grace));
  end(id, {.id = id, .exitCode = 0, .signal = needs > grace ? 9 : 0});
}

// ---- connections

net::Task<Result<net::UniqueFd>> FakeInstanceRuntime::socket(InstanceId id) {
  const auto found = instances_.find(id);
  if (found == instances_.end()) co_return notThere(id);
  net::UniqueFd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  OKIBI_CHECK(static_cast<bool>(client), "there are descriptors left");
  if (found->second->server_->listening) {
    attach(found->second, client.get());
  } else {
    found->second->server_->waiting.emplace_back(::fcntl(client.get(), F_DUPFD_CLOEXEC, 0));
  }
  co_return client;
}

void FakeInstanceRuntime::attach(const std::shared_ptr<FakeInstance>& instance, int client) {
  connectNow(client, addressOf(acceptor_.get()));
  net::UniqueFd end(::accept4(acceptor_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  OKIBI_CHECK(static_cast<bool>(end), "what was connected can be accepted");
  instance->server_->state.handler = [app = instance.get()](net::Exchange& exchange) {
    return serveFake(*app, exchange);
  };
  auto serve = [](std::shared_ptr<FakeInstance> of, net::UniqueFd fd) -> net::Task<void> {
    FakeInstance::Server& server = *of->server_;
    net::ServerConnection connection(server.state, net::Socket(server.state.loop, std::move(fd)));
    server.connections.insert(&connection);
    co_await connection.serve();
    server.connections.erase(&connection);
  };
  loop_.spawn(serve(instance, std::move(end)));
}

net::Task<void> FakeInstanceRuntime::serveFake(FakeInstance& instance, net::Exchange& exchange) {
  const net::RequestHead& head = exchange.request();
  // One that could not be thawed hears nothing and is about to be killed.
  if (instance.frozen && instance.script.thawError) co_return co_await instance.hang(exchange);
  OKIBI_CHECK(!instance.frozen, "{} {} reached a frozen instance", head.method, head.target);
  instance.requests.push_back(head.method + " " + head.target);
  ++instance.inFlight;
  if (instance.script.app) {
    co_await instance.script.app(exchange, instance);
  } else {
    (void)co_await net::answer(exchange, net::ResponseHead(), "ok");
  }
  --instance.inFlight;
}

// ---- the rest

Result<void> FakeInstanceRuntime::freeze(InstanceId id) {
  const auto found = instances_.find(id);
  if (found == instances_.end()) return notThere(id);
  ++freezes_;
  FakeInstance& instance = *found->second;
  if (instance.script.freezeError) return fail(*instance.script.freezeError);
  OKIBI_CHECK(instance.inFlight == 0, "an instance is frozen under a request");
  instance.frozen = true;
  return {};
}

Result<void> FakeInstanceRuntime::thaw(InstanceId id) {
  const auto found = instances_.find(id);
  if (found == instances_.end()) return notThere(id);
  ++thaws_;
  if (found->second->script.thawError) return fail(*found->second->script.thawError);
  found->second->frozen = false;
  return {};
}

net::Task<Result<int>> FakeInstanceRuntime::execute(InstanceId id, std::vector<std::string> command,
                                                    Duration timeout) {
  const auto found = instances_.find(id);
  if (found == instances_.end()) co_return notThere(id);
  const std::shared_ptr<FakeInstance> instance = found->second;
  instance->commands.push_back(std::move(command));
  co_await loop_.sleep(std::min(instance->script.executing, timeout));
  if (!instances_.contains(id)) co_return notThere(id);
  if (instance->script.executing > timeout) {
    co_return fail(ErrorKind::TimedOut, "the command did not end in time");
  }
  co_return instance->script.executed;
}

namespace {

class FakeSession final : public ProgramSession {
 public:
  explicit FakeSession(std::shared_ptr<FakeProgram> program) : program_(std::move(program)) {}
  ~FakeSession() override {
    program_->killed = !program_->ended.isSet();
    program_->end(137);
  }
  void resize(TerminalSize size) override { program_->sizes.push_back(size); }
  net::Task<Result<int>> ended() override {
    const auto program = program_;
    co_return co_await program->ended.wait();
  }

 private:
  std::shared_ptr<FakeProgram> program_;
};

void join(net::UniqueFd& one, net::UniqueFd& other) {
  int pair[2];
  OKIBI_CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
  one.reset(pair[0]);
  other.reset(pair[1]);
}

}  // namespace

net::Task<Result<std::unique_ptr<ProgramSession>>> FakeInstanceRuntime::run(InstanceId id,
                                                                            Program program) {
  const auto found = instances_.find(id);
  if (found == instances_.end()) co_return notThere(id);
  OKIBI_CHECK(!found->second->frozen, "a program is run in a frozen instance");
  if (found->second->script.runError) co_return fail(*found->second->script.runError);
  auto running = std::make_shared<FakeProgram>(loop_);
  running->program = std::move(program);
  found->second->programs.push_back(running);
  auto session = std::make_unique<FakeSession>(running);
  join(session->in, running->in);
  if (running->program.terminal) {
    session->out.reset(::fcntl(session->in.get(), F_DUPFD_CLOEXEC, 3));
    running->out.reset(::fcntl(running->in.get(), F_DUPFD_CLOEXEC, 3));
  } else {
    join(session->out, running->out);
    join(session->err, running->err);
  }
  co_return std::unique_ptr<ProgramSession>(std::move(session));
}

Result<ResourceUse> FakeInstanceRuntime::resourceUse(InstanceId id) {
  const auto found = instances_.find(id);
  if (found == instances_.end()) return notThere(id);
  const FakeInstance& instance = *found->second;
  const Bytes some = Bytes(instance.spec.memory.count() / 2);
  const double busy =
      static_cast<double>((loop_.now() - instance.began).count()) * instance.script.cpus;
  return ResourceUse{.memory = some, .memoryPeak = some, .cpu = Duration(std::llround(busy))};
}

Result<int> FakeInstanceRuntime::pidOf(InstanceId id) {
  if (!instances_.contains(id)) return notThere(id);
  return 1000 + static_cast<int>(id.value());
}

}  // namespace okibi::seams
