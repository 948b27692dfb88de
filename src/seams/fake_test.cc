// The fakes keep the promises of their interfaces: other tests stand on them.

#include <gtest/gtest.h>

#include "net/http_client.h"
#include "net/testing.h"
#include "net/virtual_clock.h"
#include "seams/fake_image_store.h"
#include "seams/fake_instance_runtime.h"

namespace okibi::seams {
namespace {

using net::testing::runOn;

struct Heard : InstanceListener {
  void onOutput(InstanceId, OutputStream, std::string_view bytes) override { output += bytes; }
  void onExit(const InstanceExit& exit) override { exits.push_back(exit); }
  void onRuntimeLost(const std::string&) override { ++lost; }
  void onRuntimeRestored() override {}
  std::string output;
  std::vector<InstanceExit> exits;
  int lost = 0;
};

class FakeRuntime : public testing::Test {
 protected:
  FakeRuntime() { runtime.setListener(&heard); }

  net::Task<Result<void>> start(std::uint64_t id) {
    InstanceSpec spec;
    spec.id = InstanceId(id);
    co_return co_await runtime.start(spec);
  }
  net::Task<Result<net::Socket>> connected(std::uint64_t id) {
    auto fd = co_await runtime.socket(InstanceId(id));
    if (!fd) co_return fail(fd.error());
    net::Socket socket(loop, std::move(*fd));
    const auto port = net::SocketAddress::loopback(static_cast<std::uint16_t>(runtime.port()));
    for (int attempt = 0; attempt < 100; ++attempt) {
      if (auto ok = co_await socket.connect(port, loop.now() + 1s)) co_return socket;
      co_await loop.sleep(100ms);
    }
    co_return fail(ErrorKind::Unavailable, "it never listened");
  }
  net::Task<Result<std::string>> get(net::Socket socket, std::string target) {
    net::HttpConnection connection(loop, std::move(socket));
    net::RequestHead head;
    head.target = std::move(target);
    head.headers.add("Host", "a");
    auto answer = co_await net::call(loop, connection, std::move(head), net::SpooledBody(),
                                     Bytes::kib(1), loop.now() + 60s);
    if (!answer) co_return fail(answer.error());
    co_return answer->body.text();
  }

  net::VirtualClock clock;
  net::Loop loop{1, &clock};
  FakeInstanceRuntime runtime{loop};
  Heard heard;
};

TEST_F(FakeRuntime, ListensWhenItIsTimeAndEachInstanceIsItself) {
  runtime.script.start = 1s;
  runtime.script.listens = 3s;
  runtime.script.output = "hello\n";
  runtime.script.app = [](net::Exchange& exchange, FakeInstance& instance) -> net::Task<void> {
    co_await net::answer(exchange, {}, std::to_string(instance.id.value()));
  };
  runOn(loop, [&]() -> net::Task<void> {
    const Instant begin = loop.now();
    EXPECT_TRUE(co_await start(1));
    EXPECT_EQ(loop.now() - begin, 1s);
    EXPECT_TRUE(co_await start(2));
    auto one = co_await connected(1);
    auto two = co_await connected(2);
    EXPECT_GE(loop.now() - begin, 4s);
    EXPECT_EQ(*co_await get(std::move(*two), "/"), "2");
    EXPECT_EQ(*co_await get(std::move(*one), "/x"), "1");
  });
  EXPECT_EQ(heard.output, "hello\nhello\n");
  EXPECT_EQ(runtime.running()[0]->requests, std::vector<std::string>{"GET /x"});
}

TEST_F(FakeRuntime, ACrashBreaksTheRequestAndTheIdleConnection) {
  runtime.script.app = [](net::Exchange& exchange, FakeInstance& instance) -> net::Task<void> {
    co_await instance.hang(exchange);
  };
  runOn(loop, [&]() -> net::Task<void> {
    EXPECT_TRUE(co_await start(1));
    auto idle = co_await connected(1);
    auto busy = co_await connected(1);
    const Instant begin = loop.now();
    net::Timer later(loop);
    later.schedule(begin + 2s, [&] { runtime.crash(InstanceId(1), {.id = {}, .signal = 11}); });
    EXPECT_FALSE(co_await get(std::move(*busy), "/"));
    // The two ends are closed one after the other.
    while (!idle->peerHasClosed() && loop.now() < begin + 1min) co_await loop.sleep(10ms);
    EXPECT_TRUE(idle->peerHasClosed());
    EXPECT_FALSE(co_await runtime.socket(InstanceId(1)));
  });
  ASSERT_EQ(heard.exits.size(), 1u);
  EXPECT_EQ(heard.exits[0].signal, 11);
  EXPECT_TRUE(runtime.running().empty());
}

TEST_F(FakeRuntime, StopTakesItsTimeAndKillsAtTheEndOfTheGrace) {
  runOn(loop, [&]() -> net::Task<void> {
    EXPECT_TRUE(co_await start(1));
    runtime.script.stopping = 1h;
    EXPECT_TRUE(co_await start(2));
    co_await runtime.stop(InstanceId(1), 5s);
    const Instant begin = loop.now();
    co_await runtime.stop(InstanceId(2), 5s);
    EXPECT_EQ(loop.now() - begin, 5s);
    co_await runtime.stop(InstanceId(2), 5s);
  });
  ASSERT_EQ(heard.exits.size(), 2u);
  EXPECT_EQ(heard.exits[0].signal, 0);
  EXPECT_EQ(heard.exits[1].signal, 9);
}

TEST_F(FakeRuntime, ALostLauncherTakesEverythingWithIt) {
  runOn(loop, [&]() -> net::Task<void> {
    EXPECT_TRUE(co_await start(1));
    runtime.lose("it was killed");
    EXPECT_FALSE(co_await start(2));
    runtime.restore();
    EXPECT_TRUE(co_await start(3));
  });
  EXPECT_EQ(heard.exits.size(), 1u);
  EXPECT_EQ(heard.lost, 1);
}

TEST(FakeImages, FailHoldAndFind) {
  net::VirtualClock clock;
  net::Loop loop(1, &clock);
  FakeImageStore images(loop);
  const auto silent = [](const PullProgress&) {};
  runOn(loop, [&]() -> net::Task<void> {
    EXPECT_EQ((co_await images.pull("a:1", {}, silent)).error().kind, ErrorKind::NotFound);
    images.publish("a:1", {});
    images.hold("a:1");
    net::Timer later(loop);
    later.schedule(loop.now() + 10s, [&] { images.release("a:1"); });
    const Instant begin = loop.now();
    const auto image = co_await images.pull("a:1", {}, silent);
    EXPECT_TRUE(image);
    EXPECT_EQ(loop.now() - begin, 10s);
    EXPECT_TRUE(images.find(image->digest));
    EXPECT_FALSE(co_await images.remove("a:1", {image->digest}));
    EXPECT_TRUE(co_await images.remove("a:1", {}));
    EXPECT_FALSE(images.find(image->digest));
    images.failPulls("a:1", Error{ErrorKind::Unavailable, "down", {}});
    EXPECT_EQ((co_await images.pull("a:1", {}, silent)).error().message, "down");
  });
}

}  // namespace
}  // namespace okibi::seams
