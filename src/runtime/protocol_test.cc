#include "runtime/protocol.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/random.h"

namespace okibi::runtime {
namespace {

StartRequest sample() {
  return {.id = 7,
          .name = "c-7",
          .layers = {"/layers/a", "/layers/b"},
          .arguments = {"/app", "--port=9000"},
          .environment = {"A=1"},
          .workingDirectory = "/srv",
          .user = "app:staff",
          .milliCpu = 350,
          .memory = 512 << 20,
          .disk = 512 << 20,
          .sharedMemory = 64 << 20,
          .pids = 100,
          .devices = {.hidden = {"/compat"},
                      .directories = {"/lib64"},
                      .mounts = {{"/host/a", "/lib64/a", true, true}},
                      .links = {{"/lib64/b", "a"}},
                      .nodes = {{"/dev/x", "/dev/y"}},
                      .groups = {44}},
          .models = {{"weights", "llama/v3", "/models"}}};
}

TEST(Protocol, RequestsSurviveTheWire) {
  const Request requests[] = {sample(),
                              StopRequest{7, 1500},
                              SocketRequest{7},
                              ExecuteRequest{7, 2, {"/bin/load", "x"}},
                              KillRequest{7, 2},
                              SessionRequest{7, 3, {"sh"}, true, 132, 43},
                              SessionRequest{7, 4, {"cat", ""}, false, 0, 0}};
  for (const Request& request : requests) {
    Result<Request> decoded = decodeRequest(encode(request));
    ASSERT_TRUE(decoded) << decoded.error().message;
    EXPECT_EQ(*decoded, request);
  }
}

TEST(Protocol, RepliesSurviveTheWire) {
  const Reply replies[] = {Ready{},
                           Unable{{"cgroup", 2, "no memory controller"}},
                           Launched{7, 1234, FreezerKind::V1},
                           StartFailed{7, {"overlay", 28, "mount"}},
                           SocketReply{7, 2},
                           ExecutionEnded{7, 2, 3, 9},
                           Exited{7, 3, 9, true}};
  for (const Reply& reply : replies) {
    Result<Reply> decoded = decodeReply(encode(reply));
    ASSERT_TRUE(decoded) << decoded.error().message;
    EXPECT_EQ(*decoded, reply);
  }
}

TEST(Protocol, EveryTruncationAndEveryTrailingByteIsRefused) {
  std::string bytes = encode(Request(sample()));
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(decodeRequest(std::string_view(bytes).substr(0, size))) << size;
  }
  EXPECT_FALSE(decodeRequest(bytes + '\0'));
}

TEST(Protocol, ModelDirectoriesAreChecked) {
  const auto taken = [](const ModelDirectory& model) {
    StartRequest request = sample();
    request.models = {model};
    return decodeRequest(encode(Request(request))).has_value();
  };
  EXPECT_TRUE(taken({"weights", "", "/models"}));
  EXPECT_TRUE(taken({"weights", "a/.b/..c", "/processed/x"}));
  for (const char* subdirectory : {"..", "a/..", "../a", "/a", "a/", "a//b", "."}) {
    EXPECT_FALSE(taken({"weights", subdirectory, "/models"})) << subdirectory;
  }
  for (const char* path :
       {"", "/", "models", "/a/../proc", "//proc", "/proc", "/sys/fs", "/dev/x"}) {
    EXPECT_FALSE(taken({"weights", "", path})) << path;
  }
  EXPECT_FALSE(taken({"", "", "/models"}));
  EXPECT_FALSE(taken({"weights", std::string("a\0b", 3), "/models"}));
}

TEST(Protocol, SessionsAreChecked) {
  const auto refused = [](const SessionRequest& request) {
    Result<Request> decoded = decodeRequest(encode(Request(request)));
    return decoded ? std::string("taken") : decoded.error().message;
  };
  EXPECT_EQ(refused({1, 1, {}, false, 0, 0}), "command: is empty");
  EXPECT_EQ(refused({1, 1, {std::string("a\0b", 3)}, false, 0, 0}),
            "command: has a NUL byte inside");
  for (const auto& [columns, rows] : {std::pair{0, 24}, {80, 0}, {10'001, 24}, {80, 10'001}}) {
    const SessionRequest request{
        1, 1, {"sh"}, true, static_cast<std::uint32_t>(columns), static_cast<std::uint32_t>(rows)};
    EXPECT_NE(refused(request).find("terminal: columns and rows must be 1 to 10000"),
              std::string::npos);
  }
}

TEST(Protocol, HostileCountsNeitherAllocateNorOverrun) {
  // An execute request that announces four billion words and has none.
  std::string bytes = encode(Request(ExecuteRequest{1, 1, {}}));
  bytes.replace(bytes.size() - 4, 4, "\xff\xff\xff\xff");
  EXPECT_FALSE(decodeRequest(bytes));
  std::string type(1, '\x7f');
  EXPECT_FALSE(decodeRequest(type));
  EXPECT_FALSE(decodeRequest(""));
}

TEST(Protocol, RandomBytesAreJudgedWithoutHarm) {
  std::uint64_t state = 42;
  std::string valid = encode(Request(sample()));
  int accepted = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes = valid;
    for (int flips = 0; flips < 3; ++flips) {
      state = state * 6364136223846793005ULL + 1442695040888963407ULL;
      bytes[(state >> 33) % bytes.size()] = static_cast<char>(state >> 56);
    }
    if (decodeRequest(bytes)) ++accepted;
    (void)decodeReply(bytes);
  }
  EXPECT_LT(accepted, 20'000);  // some flips only change a letter; broken counts must be caught
}

void expectRefused(StartRequest request, const std::string& word) {
  Result<Request> decoded = decodeRequest(encode(Request(std::move(request))));
  ASSERT_FALSE(decoded) << word;
  EXPECT_EQ(decoded.error().kind, ErrorKind::Invalid);
  EXPECT_NE(decoded.error().message.find(word), std::string::npos) << decoded.error().message;
}

TEST(Protocol, StartRequestsThatBreakARuleNameTheField) {
  auto with = [](auto change) {
    StartRequest request = sample();
    change(request);
    return request;
  };
  expectRefused(with([](auto& r) { r.id = 0; }), "id");
  for (const char* path : {"", "x", "/", "/a/..", "/../a", "/a/"}) {
    expectRefused(with([&](auto& r) { r.devices.hidden = {path}; }), "devices");
    expectRefused(with([&](auto& r) { r.devices.directories = {path}; }), "devices");
    expectRefused(with([&](auto& r) { r.devices.mounts[0].hostPath = path; }), "devices");
    expectRefused(with([&](auto& r) { r.devices.nodes[0].path = path; }), "devices");
  }
  expectRefused(with([](auto& r) { r.devices.links[0].path = "/etc/passwd"; }), "link");
  expectRefused(with([](auto& r) { r.devices.groups.resize(1000); }), "too many");
  expectRefused(with([](auto& r) { r.name = "../x"; }), "name");
  expectRefused(with([](auto& r) { r.layers.clear(); }), "layers");
  expectRefused(with([](auto& r) { r.layers.assign(kLayersMax + 1, "/l"); }), "layers");
  expectRefused(with([](auto& r) { r.layers = {"relative"}; }), "layers");
  expectRefused(with([](auto& r) { r.arguments.clear(); }), "entrypoint");
  expectRefused(with([](auto& r) { r.workingDirectory = "srv"; }), "working directory");
  expectRefused(with([](auto& r) { r.environment = {std::string("A=1\0B", 5)}; }), "NUL");
  expectRefused(with([](auto& r) { r.memory = 0; }), "memory");
}

TEST(Protocol, PacketsCarryDescriptors) {
  int pair[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
  int pipes[2];
  ASSERT_EQ(pipe2(pipes, O_CLOEXEC), 0);
  ASSERT_TRUE(sendPacket(pair[0], "hello", pipes));
  Result<Packet> packet = receivePacket(pair[1]);
  ASSERT_TRUE(packet);
  EXPECT_EQ(packet->bytes, "hello");
  ASSERT_EQ(packet->fds.size(), 2u);
  EXPECT_EQ(fcntl(packet->fds[0], F_GETFD), FD_CLOEXEC);
  ASSERT_EQ(write(packet->fds[1], "x", 1), 1);
  char byte;
  EXPECT_EQ(read(pipes[0], &byte, 1), 1);
  for (int fd : {packet->fds[0], packet->fds[1], pipes[0], pipes[1], pair[0]}) close(fd);
  packet = receivePacket(pair[1]);
  ASSERT_TRUE(packet);
  EXPECT_TRUE(packet->endOfStream);
  close(pair[1]);
}

TEST(Protocol, TooLargePacketsAreRefusedBeforeTheyAreSent) {
  Result<void> sent = sendPacket(-1, std::string(kPacketMax + 1, 'x'));
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().kind, ErrorKind::Invalid);
}

TEST(Protocol, LaunchStatusTellsSuccessFailureAndDeathApart) {
  EXPECT_EQ(readLaunchStatus("E").outcome, LaunchOutcome::Running);
  EXPECT_EQ(readLaunchStatus("").outcome, LaunchOutcome::Vanished);
  Failure failure{"exec", ENOENT, "'/app'"};
  LaunchStatus status = readLaunchStatus("EF" + encode(failure));
  EXPECT_EQ(status.outcome, LaunchOutcome::Failed);
  EXPECT_EQ(describe(status.failure), "exec: '/app': No such file or directory");
  EXPECT_EQ(readLaunchStatus("Fgarbage").outcome, LaunchOutcome::Failed);
}

}  // namespace
}  // namespace okibi::runtime
