#pragma once
// NativeRuntime: InstanceRuntime by okibi-launcher. This side holds no privilege: it sends
// requests, reads output pipes, and freezes, thaws and measures through descriptors that came with
// the launch.

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <sys/types.h>

#include "net/event.h"
#include "net/loop.h"
#include "net/socket.h"
#include "runtime/launcher_process.h"
#include "runtime/protocol.h"
#include "seams/instance_runtime.h"

namespace okibi::runtime {

class NativeRuntime final : public seams::InstanceRuntime {
 public:
  // spawnLauncher() and the constructor in one, for programs that have no threads yet.
  static Result<std::unique_ptr<NativeRuntime>> create(net::Loop& loop, Options options);

  // Outlives the loop's last turn; either may be destroyed first.
  NativeRuntime(net::Loop& loop, LauncherProcess launcher, Options options);
  // Ends the launcher and with it every instance.
  ~NativeRuntime() override;

  void setListener(seams::InstanceListener* listener) override { listener_ = listener; }
  net::Task<Result<void>> start(const seams::InstanceSpec& spec) override;
  net::Task<void> stop(InstanceId id, Duration grace) override;
  net::Task<Result<net::UniqueFd>> socket(InstanceId id) override;
  Result<void> freeze(InstanceId id) override;
  Result<void> thaw(InstanceId id) override;
  net::Task<Result<int>> execute(InstanceId id, std::vector<std::string> command,
                                 Duration timeout) override;
  net::Task<Result<std::unique_ptr<seams::ProgramSession>>> run(InstanceId id,
                                                                seams::Program program) override;
  Result<seams::ResourceUse> resourceUse(InstanceId id) override;
  void readOutputNow(InstanceId id) override;
  Result<int> pidOf(InstanceId id) override;

  // Pid of the launcher, 0 while there is none. For tests and `okibi doctor`.
  pid_t launcherPid() const { return launcherPid_; }

 private:
  struct Instance;
  struct Outgoing;
  class Session;
  enum class Frozen { No, Yes };
  using Shared = std::shared_ptr<Instance>;
  using Fds = std::vector<net::UniqueFd>;

  Shared find(InstanceId id) const;
  // Queues when the launcher is behind. Unavailable while there is no launcher.
  Result<void> send(const Request& request, Fds fds = {});
  net::Task<void> flush();

  net::Task<Result<void>> awaitLaunch(Shared instance, net::UniqueFd status);
  net::Task<LaunchStatus> readStatus(net::UniqueFd status, Instant deadline = Instant::max());
  net::Task<void> readOutput(Shared instance, seams::OutputStream stream, net::UniqueFd pipe,
                             std::shared_ptr<net::Event> ended);
  net::Task<Result<int>> awaitExecution(Shared instance, std::uint64_t execution,
                                        net::UniqueFd status, Instant deadline);
  net::Task<Result<net::UniqueFd>> receiveTerminal(net::UniqueFd console);
  net::Task<void> awaitGone(Shared instance);
  Result<void> setFrozen(InstanceId id, Frozen wanted);

  net::Task<void> keep(Shared instance);
  net::Task<void> receive(net::UniqueFd socket);
  void onPacket(Packet packet);
  void on(Ready&, Fds&) {}
  void on(Unable&, Fds&) {}
  void on(Launched& message, Fds& fds);
  void on(StartFailed& message, Fds& fds);
  void on(SocketReply& message, Fds& fds);
  void on(ExecutionEnded& message, Fds& fds);
  void on(Exited& message, Fds& fds);

  net::Task<void> finish(Shared instance, seams::InstanceExit exit);
  void forget(const Shared& instance);
  net::Task<void> loseLauncher(std::string reason);
  net::Task<void> restartLauncher();
  void adopt(LauncherProcess launcher);

  net::Loop& loop_;
  Options options_;
  seams::InstanceListener* listener_ = nullptr;
  pid_t launcherPid_ = 0;
  // Null while there is none. Whatever waits on a descriptor or for an event belongs to a task, so
  // that it goes with the loop; the runtime itself holds nothing of the loop's.
  net::UniqueFd launcher_;
  std::deque<Outgoing> outgoing_;
  bool flushing_ = false;
  std::map<InstanceId, std::weak_ptr<Instance>> instances_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for tasks dropped after us
  std::uint64_t nextExecution_ = 1;
};

}  // namespace okibi::runtime
