#include "runtime/launcher_process.h"

#include <string>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/protocol.h"

namespace okibi::runtime {

namespace {

constexpr int kReadyTimeoutMs = 30'000;  // remnants of a crash with many instances are killed first

Result<pid_t> spawnProcess(const Options& options, int theirSocket) {
  std::vector<std::string> texts = {options.launcherPath.string(), "--serve",
                                    "--state-dir=" + options.stateDirectory.string(),
                                    "--slots=" + std::to_string(options.readySlots),
                                    "--disks=" + std::to_string(options.readyDisks)};
  for (const ModelRoot& root : options.modelRoots) {
    texts.push_back("--model-root=" + root.name + "=" + root.path);
  }
  std::vector<char*> arguments;
  for (std::string& text : texts) arguments.push_back(text.data());
  arguments.push_back(nullptr);
  char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
  char* environment[] = {path, nullptr};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, theirSocket, 3);
  posix_spawn_file_actions_addclosefrom_np(&actions, 4);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none, defaults;
  sigemptyset(&none);
  sigfillset(&defaults);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  // A terminal's Ctrl-C is for the daemon, which then drains; the launcher ends with its socket.
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  pid_t pid = 0;
  int error = posix_spawn(&pid, options.launcherPath.c_str(), &actions, &attributes,
                          arguments.data(), environment);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    return failErrno("launcher: cannot start '" + options.launcherPath.string() + "'", error,
                     ErrorKind::Unavailable);
  }
  return pid;
}

Result<void> awaitReady(int socket) {
  pollfd wait{socket, POLLIN, 0};
  int count;
  do {
    count = poll(&wait, 1, kReadyTimeoutMs);
  } while (count < 0 && errno == EINTR);
  if (count <= 0) return fail(ErrorKind::Unavailable, "launcher: not ready after 30 s");
  Result<Packet> packet = receivePacket(socket);
  if (!packet) return fail(withContext(std::move(packet.error()), "launcher"));
  if (packet->endOfStream) return fail(ErrorKind::Unavailable, "launcher: ended at its start");
  Result<Reply> reply = decodeReply(packet->bytes);
  if (!reply) return fail(withContext(std::move(reply.error()), "launcher"));
  if (const auto* unable = std::get_if<Unable>(&*reply)) {
    return fail(ErrorKind::Unavailable, "launcher: " + describe(unable->failure));
  }
  if (!std::holds_alternative<Ready>(*reply))
    return fail(ErrorKind::Internal, "launcher: unexpected message");
  return {};
}

}  // namespace

Result<LauncherProcess> spawnLauncher(const Options& options) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
    return failErrno("socketpair", errno);
  net::UniqueFd ours(pair[0]), theirs(pair[1]);
  Result<pid_t> pid = spawnProcess(options, theirs.get());
  if (!pid) return fail(std::move(pid.error()));
  theirs.reset();
  Result<void> ready = awaitReady(ours.get());
  if (!ready) {
    kill(*pid, SIGKILL);
    waitpid(*pid, nullptr, 0);
    return fail(std::move(ready.error()));
  }
  return LauncherProcess{*pid, std::move(ours)};
}

}  // namespace okibi::runtime
