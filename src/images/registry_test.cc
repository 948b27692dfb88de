// Against real registries (docker-registry), one open and one with passwords, through OciImageStore
// on a real loop.

#include <thread>

#include <arpa/inet.h>
#include <crypt.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "images/child_process.h"
#include "images/files.h"
#include "images/oci_image_store.h"
#include "images/testing_image.h"

namespace okibi::images {
namespace {

namespace fs = std::filesystem;
using testing::LayoutBuilder;
using testing::TarBuilder;
using Pulled = Result<seams::PreparedImage>;

bool installed(const char* program) {
  Result<ChildResult> result = runChild({program, "--version"}, {10s, Bytes::mib(1), {}, {}});
  return result && result->exitCode == 0;
}

int bindLoopback(int& port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  OKIBI_CHECK(::bind(fd, reinterpret_cast<sockaddr*>(&address), length) == 0);
  OKIBI_CHECK(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0);
  port = ntohs(address.sin_port);
  return fd;
}

bool accepts(int port) {
  const net::UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  return ::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
}

constexpr const char* kUser = "alice";
constexpr const char* kPassword = "open sesame";

class Registry {
 public:
  enum class Access { Open, Password };

  Registry(fs::path folder, Access access) : folder_(std::move(folder)) {
    ::close(bindLoopback(port_));
    std::string config = fmt::format(
        "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {}\n"
        "http:\n  addr: 127.0.0.1:{}\n",
        (folder_ / "data").string(), port_);
    if (access == Access::Password) {
      config += fmt::format("auth:\n  htpasswd:\n    realm: test\n    path: {}\n",
                            (folder_ / "htpasswd").string());
      testing::writeFile(
          folder_ / "htpasswd",
          fmt::format("{}:{}\n", kUser, ::crypt(kPassword, "$2b$04$abcdefghijklmnopqrstuu")));
    }
    testing::writeFile(folder_ / "config.yml", config);
    const std::string file = folder_ / "config.yml";
    pid_ = ::fork();
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      const int quiet = ::open((folder_ / "log").c_str(), O_WRONLY | O_CREAT, 0600);
      ::dup2(quiet, 1);
      ::dup2(quiet, 2);
      ::execlp("docker-registry", "docker-registry", "serve", file.c_str(), nullptr);
      ::_exit(127);
    }
    for (int i = 0; i < 3000 && !accepts(port_); ++i) ::usleep(10'000);
  }
  ~Registry() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  std::string name(const std::string& image) const {
    return fmt::format("127.0.0.1:{}/{}", port_, image);
  }
  void push(const std::string& layout, const std::string& image,
            std::vector<std::string> more = {}) {
    std::vector<std::string> command = {"skopeo",
                                        "--insecure-policy",
                                        "copy",
                                        "--quiet",
                                        "--dest-tls-verify=false",
                                        "--dest-creds",
                                        fmt::format("{}:{}", kUser, kPassword)};
    command.insert(command.end(), more.begin(), more.end());
    command.insert(command.end(), {layout, "docker://" + name(image)});
    Result<ChildResult> result =
        runChild(command, {60s, Bytes::mib(1), {"PATH=/usr/bin:/bin"}, {}});
    ASSERT_TRUE(result) << result.error().message;
    ASSERT_EQ(result->exitCode, 0) << result->errors;
  }
  fs::path blob(const Digest& digest) const {
    return folder_ / "data/docker/registry/v2/blobs/sha256" / digest.hex().substr(0, 2) /
           digest.hex() / "data";
  }

 private:
  fs::path folder_;
  int port_ = 0;
  pid_t pid_ = 0;
};

// Its layout, its state and its loop. skopeo runs through a script that notes each call.
class RegistryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "unpacking needs root";
    if (!installed("docker-registry") || !installed("skopeo")) {
      GTEST_SKIP() << "needs docker-registry and skopeo";
    }
    testing::writeFile(
        tool_, fmt::format("#!/bin/sh\necho \"$@\" >> {}\nexec skopeo \"$@\"\n", calls_.string()));
    ::chmod(tool_.c_str(), 0755);
    openStore(tool_);
  }
  void openStore(const std::string& skopeo) {
    store_.reset();
    Result<std::unique_ptr<OciImageStore>> opened =
        OciImageStore::open(loop_, {.stateDirectory = scratch_.path() / "state", .skopeo = skopeo});
    ASSERT_TRUE(opened) << opened.error().message;
    store_ = std::move(*opened);
  }

  // Pulls at the same time; answers in order.
  std::vector<Pulled> pullAll(const std::vector<std::string>& references,
                              std::optional<RegistryAuth> auth = {},
                              seams::ProgressListener progress = {}) {
    std::vector<std::optional<Pulled>> answers(references.size());
    std::size_t left = references.size();
    for (std::size_t i = 0; i < references.size(); ++i) {
      loop_.spawn(pullOne(references[i], auth, progress, answers[i], left));
    }
    loop_.run();
    std::vector<Pulled> result;
    for (std::optional<Pulled>& answer : answers) result.push_back(std::move(*answer));
    return result;
  }
  net::Task<void> pullOne(std::string reference, std::optional<RegistryAuth> auth,
                          seams::ProgressListener progress, std::optional<Pulled>& answer,
                          std::size_t& left) {
    answer = co_await store_->pull(std::move(reference), std::move(auth), std::move(progress));
    if (--left == 0) loop_.stop();
  }
  Pulled pull(const std::string& reference, std::optional<RegistryAuth> auth = {}) {
    return std::move(pullAll({reference}, std::move(auth)).front());
  }
  void expectError(const Pulled& image, ErrorKind kind, const std::string& part) {
    ASSERT_FALSE(image);
    EXPECT_EQ(image.error().kind, kind) << image.error().message;
    EXPECT_TRUE(image.error().message.contains(part)) << image.error().message;
  }
  std::string calls() { return readFile(calls_, Bytes::mib(1)).value_or(""); }
  std::size_t callCount() {
    const std::string all = calls();
    return static_cast<std::size_t>(std::ranges::count(all, '\n'));
  }
  static testing::TestLayer layer(const std::string& content) {
    return testing::gzipLayer(TarBuilder().file("app", content, 0755).finish());
  }

  testing::Scratch scratch_;
  fs::path tool_ = scratch_.path() / "skopeo-noted", calls_ = scratch_.path() / "calls";
  LayoutBuilder layout_{scratch_.path() / "layout"};
  std::unique_ptr<OciImageStore> store_;  // outlives the loop, whose tasks refer to it
  net::Loop loop_;
};

TEST_F(RegistryTest, PullsKeepsTheDigestAndAsksOnceWhenPresent) {
  Registry registry(scratch_.path() / "registry", Registry::Access::Open);
  const Digest digest = layout_.add({.layers = {layer("1"), layer("2")}});
  registry.push(layout_.reference(), "echo:1");
  std::vector<std::string> steps;
  const std::thread::id here = std::this_thread::get_id();
  Pulled image =
      std::move(pullAll({registry.name("echo:1")}, {}, [&](const seams::PullProgress& p) {
                  EXPECT_EQ(std::this_thread::get_id(), here);
                  if (steps.empty() || steps.back() != p.step) steps.push_back(p.step);
                }).front());
  ASSERT_TRUE(image) << image.error().message;
  EXPECT_EQ(steps, (std::vector<std::string>{"resolve", "fetch", "unpack", "done"}));
  EXPECT_EQ(image->digest, digest.text());
  EXPECT_EQ(image->reference, registry.name("echo:1"));
  EXPECT_EQ(readFile(image->layers.at(1) / "app", Bytes(9)).value(), "2");
  EXPECT_EQ(callCount(), 3U) << calls();
  ASSERT_TRUE(pull(registry.name("echo:1")));
  EXPECT_EQ(callCount(), 4U) << "one manifest request:\n" << calls();
  // The tag moves; the deployed digest stays.
  LayoutBuilder next(scratch_.path() / "next");
  next.add({.layers = {layer("1"), layer("3")}});
  registry.push(next.reference(), "echo:1");
  Pulled moved = pull(registry.name("echo:1"));
  ASSERT_TRUE(moved) << moved.error().message;
  EXPECT_NE(moved->digest, digest.text());
  EXPECT_TRUE(store_->find(digest.text()));
  ASSERT_TRUE(pull(registry.name("echo@" + digest.text())));
}

TEST_F(RegistryTest, DockerManifestsPlainAndZstdLayers) {
  Registry registry(scratch_.path() / "registry", Registry::Access::Open);
  const std::string tar = TarBuilder().file("app", "plain").finish();
  layout_.add({.name = "docker", .layers = {layer("d")}});
  layout_.add(
      {.name = "plain",
       .layers = {{tar, Digest::of(tar).text(), "application/vnd.oci.image.layer.v1.tar"}}});
  layout_.add({.name = "zstd",
               .layers = {{testing::zstd(tar), Digest::of(tar).text(),
                           "application/vnd.oci.image.layer.v1.tar+zstd"}}});
  registry.push(layout_.reference("docker"), "docker:1", {"--format", "v2s2"});
  registry.push(layout_.reference("plain"), "plain:1", {"--preserve-digests"});
  registry.push(layout_.reference("zstd"), "zstd:1", {"--preserve-digests"});
  for (const auto& [name, content] :
       {std::pair("docker:1", "d"), {"plain:1", "plain"}, {"zstd:1", "plain"}}) {
    Pulled image = pull(registry.name(name));
    ASSERT_TRUE(image) << name << ": " << image.error().message;
    EXPECT_EQ(readFile(image->layers.at(0) / "app", Bytes(9)).value(), content);
  }
}

TEST_F(RegistryTest, OnlyMissingLayersAreFetched) {
  Registry registry(scratch_.path() / "registry", Registry::Access::Open);
  const testing::TestLayer base = layer("base");
  layout_.add({.name = "a", .layers = {base}});
  layout_.add({.name = "b", .layers = {base, layer("top")}});
  registry.push(layout_.reference("a"), "a:1");
  registry.push(layout_.reference("b"), "b:1");
  ASSERT_TRUE(pull(registry.name("a:1")));
  fs::remove(registry.blob(Digest::of(base.blob)));
  Pulled image = pull(registry.name("b:1"));
  EXPECT_TRUE(image) << "the shared layer was asked for again: " << image.error().message;
}

TEST_F(RegistryTest, SeveralPullsAtOnceWorkOnce) {
  Registry registry(scratch_.path() / "registry", Registry::Access::Open);
  layout_.add({.layers = {layer("1")}});
  registry.push(layout_.reference(), "echo:1");
  const std::string name = registry.name("echo:1");
  for (const Pulled& image : pullAll({name, name, name})) {
    EXPECT_TRUE(image) << image.error().message;
  }
  EXPECT_EQ(callCount(), 3U) << calls();
  EXPECT_EQ(store_->list().size(), 1U);
}

TEST_F(RegistryTest, DifferentNamesAtOnceShareTheLayer) {
  Registry registry(scratch_.path() / "registry", Registry::Access::Open);
  layout_.add({.layers = {layer("1")}});
  registry.push(layout_.reference(), "a:1");
  registry.push(layout_.reference(), "b:1");
  std::vector<Pulled> images =
      pullAll({registry.name("a:1"), registry.name("b:1"), layout_.reference()});
  for (const Pulled& image : images) ASSERT_TRUE(image) << image.error().message;
  EXPECT_EQ(images[0]->layers, images[1]->layers);
  EXPECT_EQ(store_->list().size(), 3U);
}

TEST_F(RegistryTest, MorePullsThanRunAtOnce) {
  std::vector<std::string> references;
  for (int i = 0; i < 7; ++i) {
    const std::string name = fmt::format("v{}", i);
    layout_.add({.name = name, .layers = {layer("base"), layer(name)}});
    references.push_back(layout_.reference(name));
  }
  for (const Pulled& image : pullAll(references)) EXPECT_TRUE(image) << image.error().message;
  EXPECT_EQ(store_->list().size(), 7U);
}

TEST_F(RegistryTest, PrivateImages) {
  Registry registry(scratch_.path() / "registry", Registry::Access::Password);
  layout_.add({.layers = {layer("1")}});
  registry.push(layout_.reference(), "echo:1");
  const std::string name = registry.name("echo:1");
  expectError(pull(name), ErrorKind::Denied, name);
  expectError(pull(name, RegistryAuth{kUser, "wrong"}), ErrorKind::Denied, name);
  Pulled image = pull(name, RegistryAuth{kUser, kPassword});
  EXPECT_TRUE(image) << image.error().message;
  EXPECT_FALSE(calls().contains(kPassword)) << "on a command line all users of the machine see it";
  EXPECT_FALSE(calls().contains("--creds"));
  expectError(pull(name), ErrorKind::Denied, name);
  for (const auto& file : fs::recursive_directory_iterator(scratch_.path() / "state")) {
    EXPECT_NE(file.path().filename(), "auth.json") << "credentials stayed behind";
  }
}

TEST_F(RegistryTest, MissingUnreachableAndPlain) {
  Registry registry(scratch_.path() / "registry", Registry::Access::Open);
  layout_.add({.layers = {layer("1")}});
  registry.push(layout_.reference(), "echo:1");
  expectError(pull(registry.name("echo:2")), ErrorKind::NotFound, "echo:2");
  expectError(pull(registry.name("none:1")), ErrorKind::NotFound, "none:1");
  expectError(pull("oci:/nowhere/at/all:x"), ErrorKind::NotFound, "/nowhere/at/all");
  expectError(pull("not a reference"), ErrorKind::Invalid, "space");
  int port = 0;
  const net::UniqueFd deaf(bindLoopback(port));  // bound, not listening: refuses
  expectError(pull(fmt::format("127.0.0.1:{}/echo:1", port)), ErrorKind::Unavailable, "refused");
  openStore("no-such-skopeo");
  expectError(pull(registry.name("echo:1")), ErrorKind::Unavailable, "apt install skopeo");
}

TEST_F(RegistryTest, CorruptLayerInTheRegistryIsNamed) {
  Registry registry(scratch_.path() / "registry", Registry::Access::Open);
  const testing::TestLayer bad = layer(std::string(5000, 'c'));
  layout_.add({.layers = {bad}});
  registry.push(layout_.reference(), "echo:1");
  const Digest blob = Digest::of(bad.blob);
  std::string flipped = bad.blob;
  flipped[flipped.size() / 2] ^= 1;
  testing::writeFile(registry.blob(blob), flipped);
  expectError(pull(registry.name("echo:1")), ErrorKind::Invalid, blob.text());
  EXPECT_TRUE(store_->list().empty());
  testing::writeFile(registry.blob(blob), bad.blob);
  EXPECT_TRUE(pull(registry.name("echo:1")));
}

TEST_F(RegistryTest, WrongArchitectureIsRefusedBeforeLayersAreFetched) {
  Registry registry(scratch_.path() / "registry", Registry::Access::Open);
  layout_.add({.layers = {layer("1")}, .architecture = "s390x"});
  registry.push(layout_.reference(), "echo:1", {"--override-arch", "s390x"});
  expectError(pull(registry.name("echo:1")), ErrorKind::Invalid, "linux/s390x");
  EXPECT_FALSE(calls().contains("copy")) << calls();
}

TEST_F(RegistryTest, ShutdownEndsARunningPull) {
  testing::writeFile(tool_, "#!/bin/sh\nexec sleep 1000\n");
  std::optional<Pulled> answer;
  std::size_t left = 1;
  loop_.spawn(pullOne(
      "127.0.0.1:1/echo:1", {}, [&](const seams::PullProgress&) { store_->shutdown(); }, answer,
      left));
  loop_.run();
  ASSERT_TRUE(answer && !*answer);
  EXPECT_EQ(answer->error().kind, ErrorKind::Cancelled);
}

TEST(ChildProcess, EndsInTimeAndWithinItsLimits) {
  const auto run = [](const char* script, Duration timeout) {
    return runChild({"sh", "-c", script}, {timeout, Bytes::kib(64), {"PATH=/usr/bin:/bin"}, {}});
  };
  EXPECT_EQ(run("echo out; echo err >&2; exit 3", 60s)->exitCode, 3);
  EXPECT_EQ(run("kill -9 $$", 60s)->exitCode, 137);
  EXPECT_EQ(run("exec sleep 1000", 50ms).error().kind, ErrorKind::TimedOut);
  EXPECT_EQ(run("exec cat /dev/zero", 60s).error().kind, ErrorKind::Invalid);
  EXPECT_EQ(runChild({"no-such-program"}, {}).error().kind, ErrorKind::NotFound);
}

TEST_F(RegistryTest, RemovesThroughTheStore) {
  layout_.add({.layers = {layer("1")}});
  Pulled image = pull(layout_.reference());
  ASSERT_TRUE(image);
  std::optional<Result<void>> refused, removed;
  const auto both = [&]() -> net::Task<void> {
    refused = co_await store_->remove(image->digest, {image->digest});
    removed = co_await store_->remove(image->digest, {});
    loop_.stop();
  };
  loop_.spawn(both());
  loop_.run();
  EXPECT_FALSE(*refused);
  EXPECT_TRUE(*removed);
  EXPECT_TRUE(store_->list().empty());
}

}  // namespace
}  // namespace okibi::images
