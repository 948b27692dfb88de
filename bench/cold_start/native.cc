// Okibi's native sandbox alone, through NativeRuntime: what the gateway adds is not in it.

#include <fcntl.h>
#include <unistd.h>

#include "bench/cold_start/contender.h"
#include "net/loop.h"
#include "runtime/native_runtime.h"

namespace okibi::bench {

namespace {

class Native final : public Contender {
 public:
  Native(const Settings& settings, Models models) : settings_(settings), models_(models) {}
  ~Native() override {
    (void)reset();
    loop_.reset();
  }
  std::string name() const override {
    return models_ == Models::None ? "okibi sandbox" : "okibi sandbox with a model directory";
  }

  Result<void> open() {
    const std::filesystem::path own =
        settings_.scratch / (models_ == Models::None ? "native" : "native-models");
    const std::filesystem::path state = own / "state", image = own / "layer",
                                models = own / "models";
    std::filesystem::create_directories(state);
    std::filesystem::create_directories(image);
    std::filesystem::create_directories(models);
    std::filesystem::copy_file(settings_.program, image / "echo",
                               std::filesystem::copy_options::overwrite_existing);
    loop_ = std::make_unique<net::Loop>();
    auto made = runtime::NativeRuntime::create(*loop_, {.launcherPath = settings_.launcher,
                                                        .stateDirectory = state,
                                                        .modelRoots = {{"bench", models, {}}}});
    if (!made) return fail(std::move(made.error()));
    runtime_ = std::move(*made);
    spec_.name = "c-bench";
    spec_.layers = {image};
    spec_.arguments = {"/echo"};
    spec_.environment = {portVariable(settings_)};
    spec_.cpu = MilliCpu{2000};
    spec_.memory = spec_.disk = Bytes::mib(512);
    spec_.sharedMemory = limits::kShmDefault;
    std::filesystem::create_directories(models / "one");
    if (models_ == Models::OneDirectory) spec_.models = {{"bench", "one", "/models/one"}};
    return {};
  }

  Result<Milliseconds> coldStart() override {
    spec_.id = InstanceId(++rounds_);
    Result<Milliseconds> result = fail(ErrorKind::Internal, "not run");
    run([](Native& self, Result<Milliseconds>& to) -> net::Task<void> {
      to = co_await self.startAndAsk();
    }(*this, result));
    return result;
  }

  Result<void> reset() override {
    if (rounds_ == 0) return {};
    run(runtime_->stop(spec_.id, Duration{}));
    return {};
  }

 private:
  void run(net::Task<void> task) {
    loop_->spawn([](net::Task<void> inner, net::Loop& loop) -> net::Task<void> {
      co_await std::move(inner);
      loop.stop();
    }(std::move(task), *loop_));
    loop_->run();
  }

  net::Task<Result<Milliseconds>> startAndAsk() {
    auto begin = Clock::now();
    Result<void> started = co_await runtime_->start(spec_);
    if (!started) co_return fail(std::move(started.error()));
    Result<net::UniqueFd> fd = co_await runtime_->socket(spec_.id);
    if (!fd) co_return fail(std::move(fd.error()));
    fcntl(fd->get(), F_SETFL, 0);
    // A refused socket may try again, so one serves for all attempts.
    Result<void> answered = firstByte([&] { return dup(fd->get()); }, settings_.port);
    if (!answered) co_return fail(std::move(answered.error()));
    co_return Milliseconds(Clock::now() - begin);
  }

  Settings settings_;
  Models models_;
  std::unique_ptr<net::Loop> loop_;
  std::unique_ptr<runtime::NativeRuntime> runtime_;
  seams::InstanceSpec spec_;
  std::uint64_t rounds_ = 0;
};

}  // namespace

Result<std::unique_ptr<Contender>> makeNative(const Settings& settings, Models models) {
  auto native = std::make_unique<Native>(settings, models);
  if (Result<void> opened = native->open(); !opened) return fail(std::move(opened.error()));
  return native;
}

}  // namespace okibi::bench
