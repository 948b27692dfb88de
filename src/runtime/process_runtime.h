#pragma once
// ProcessRuntime: instances as plain processes of this machine, for machines where no container can
// run. It isolates nothing and limits nothing: the program sees the host's files and network, runs
// as the daemon's user, and its memory and CPU settings are not kept. Only by explicit
// configuration (`runtime: process`), and named so wherever it shows.
//
// The image's layers are not mounted: an absolute path in the command line is looked for in the
// layers, topmost first, and otherwise taken from the host, as are all libraries. Each instance
// gets a port of its own in FC_CUSTOM_LISTEN_PORT, since all share the host's network; a program
// that does not honour it cannot be reached.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "net/event.h"
#include "net/loop.h"
#include "net/socket.h"
#include "seams/instance_runtime.h"

namespace okibi::runtime {

class ProcessRuntime final : public seams::InstanceRuntime {
 public:
  // Outlives the loop's last turn.
  explicit ProcessRuntime(net::Loop& loop) : loop_(loop) {}
  // Kills every instance.
  ~ProcessRuntime() override;

  void setListener(seams::InstanceListener* listener) override { listener_ = listener; }
  net::Task<Result<void>> start(const seams::InstanceSpec& spec) override;
  net::Task<void> stop(InstanceId id, Duration grace) override;
  net::Task<Result<net::UniqueFd>> socket(InstanceId id) override;
  std::uint16_t portOf(InstanceId id, std::uint16_t declared) override;
  Result<void> freeze(InstanceId id) override;
  Result<void> thaw(InstanceId id) override;
  net::Task<Result<int>> execute(InstanceId id, std::vector<std::string> command,
                                 Duration timeout) override;
  net::Task<Result<std::unique_ptr<seams::ProgramSession>>> run(InstanceId id,
                                                                seams::Program program) override;
  Result<seams::ResourceUse> resourceUse(InstanceId id) override;
  void readOutputNow(InstanceId id) override;
  Result<int> pidOf(InstanceId id) override;

 private:
  struct Instance;
  struct Program;  // of a session
  class Session;
  using Shared = std::shared_ptr<Instance>;

  Shared find(InstanceId id) const;
  net::Task<void> readOutput(Shared instance, seams::OutputStream stream, net::UniqueFd pipe,
                             std::shared_ptr<net::Event> ended);
  net::Task<void> awaitEnd(Shared instance, net::UniqueFd pidfd);
  net::Task<void> awaitProgram(std::shared_ptr<Program> running, net::UniqueFd pidfd);
  net::Task<bool> awaitGone(Shared instance, Instant deadline);
  Result<void> signalGroup(InstanceId id, int signal);

  net::Loop& loop_;
  seams::InstanceListener* listener_ = nullptr;
  std::map<InstanceId, Shared> instances_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for tasks dropped after us
};

}  // namespace okibi::runtime
