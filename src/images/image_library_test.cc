// Whole images from OCI layouts: complete or absent, whatever goes wrong.

#include "images/image_library.h"

#include <random>

#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "images/files.h"
#include "images/testing_image.h"

namespace okibi::images {
namespace {

namespace fs = std::filesystem;
using testing::LayoutBuilder;
using testing::TarBuilder;

class ImageLibraryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "unpacking needs root";
    reopen();
  }

  void reopen() {
    library_.reset();
    Result<std::unique_ptr<ImageLibrary>> opened = ImageLibrary::open({.stateDirectory = state_});
    ASSERT_TRUE(opened) << opened.error().message;
    library_ = std::move(*opened);
  }
  Result<seams::PreparedImage> pull(const std::string& reference) {
    return library_->pull(reference, std::nullopt, {});
  }
  seams::PreparedImage mustPull(const std::string& reference) {
    Result<seams::PreparedImage> image = pull(reference);
    EXPECT_TRUE(image) << image.error().message;
    return image.value_or(seams::PreparedImage{});
  }
  std::size_t count(const char* folder) {
    std::size_t n = 0;
    for ([[maybe_unused]] const auto& item : fs::directory_iterator(state_ / "images" / folder))
      ++n;
    return n;
  }
  static testing::TestLayer layer(const std::string& name, const std::string& content) {
    return testing::gzipLayer(TarBuilder().file(name, content).finish());
  }

  testing::Scratch scratch_;
  fs::path state_ = scratch_.path() / "state";
  LayoutBuilder layout_{scratch_.path() / "layout"};
  std::unique_ptr<ImageLibrary> library_;
};

TEST_F(ImageLibraryTest, PullsFindsListsAndRemembers) {
  const Digest digest = layout_.add({.layers = {layer("a", "lower"), layer("b", "upper!")},
                                     .config = {{"Entrypoint", {"/x"}}, {"User", "7:8"}}});
  std::vector<std::string> steps;
  Result<seams::PreparedImage> image =
      library_->pull(layout_.reference(), std::nullopt, [&](const seams::PullProgress& p) {
        if (steps.empty() || steps.back() != p.step) steps.push_back(p.step);
      });
  ASSERT_TRUE(image) << image.error().message;
  EXPECT_EQ(steps, (std::vector<std::string>{"resolve", "fetch", "unpack", "done"}));
  EXPECT_EQ(image->digest, digest.text());
  EXPECT_EQ(image->reference, layout_.reference());
  EXPECT_EQ(image->size.count(), 11);
  EXPECT_GT(image->pulled, WallTime(std::chrono::years(50)));
  ASSERT_EQ(image->layers.size(), 2U);
  EXPECT_EQ(readFile(image->layers[0] / "a", Bytes(100)).value(), "lower");
  EXPECT_EQ(readFile(image->layers[1] / "b", Bytes(100)).value(), "upper!");
  reopen();
  Result<seams::PreparedImage> again = library_->find(digest.text());
  ASSERT_TRUE(again);
  EXPECT_EQ(again->layers, image->layers);
  EXPECT_EQ(again->config.entrypoint, std::vector<std::string>{"/x"});
  EXPECT_EQ(again->config.user, "7:8");
  EXPECT_EQ(again->pulled, image->pulled);
  EXPECT_EQ(library_->list().size(), 1U);
  EXPECT_EQ(count("tmp"), 0U);
  EXPECT_EQ(library_->find("sha256:" + std::string(64, '0')).error().kind, ErrorKind::NotFound);
}

TEST_F(ImageLibraryTest, SharesLayersAndMountsEachOnce) {
  const testing::TestLayer base = layer("base", "b"), top = layer("top", "t");
  layout_.add({.name = "one", .layers = {base}});
  layout_.add({.name = "two", .layers = {base, top, base}});
  const seams::PreparedImage one = mustPull(layout_.reference("one"));
  struct stat before{}, after{};
  ASSERT_EQ(::stat(one.layers[0].c_str(), &before), 0);
  const seams::PreparedImage two = mustPull(layout_.reference("two"));
  ASSERT_EQ(::stat(one.layers[0].c_str(), &after), 0);
  EXPECT_EQ(before.st_ino, after.st_ino) << "not unpacked again";
  ASSERT_EQ(two.layers.size(), 2U);
  EXPECT_EQ(two.layers[1], one.layers[0]) << "the repeated layer counts where it lies highest";
  EXPECT_EQ(count("layers"), 2U);
}

TEST_F(ImageLibraryTest, OpaqueRootHidesLowerLayers) {
  layout_.add({.layers = {layer("low", "l"),
                          testing::gzipLayer(
                              TarBuilder().file(".wh..wh..opq", "").file("only", "o").finish())}});
  EXPECT_EQ(mustPull(layout_.reference()).layers.size(), 1U);
  reopen();
  EXPECT_EQ(library_->list().at(0).layers.size(), 1U);
}

TEST_F(ImageLibraryTest, LayersMakeAnOverlay) {
  layout_.add(
      {.layers = {
           testing::gzipLayer(
               TarBuilder().file("d/old", "1").file("gone", "2").file("dir/x", "3").finish()),
           testing::gzipLayer(TarBuilder()
                                  .file("d/new", "4")
                                  .file(".wh.gone", "")
                                  .file("dir/.wh..wh..opq", "")
                                  .file("dir/y", "5")
                                  .finish())}});
  const seams::PreparedImage image = mustPull(layout_.reference());
  const pid_t child = ::fork();
  if (child == 0) {
    const fs::path merged = scratch_.path() / "merged";
    fs::create_directory(merged);
    const std::string options =
        "lowerdir=" + image.layers[1].string() + ":" + image.layers[0].string();
    if (::unshare(CLONE_NEWNS) != 0 || ::mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
      ::_exit(70);
    if (::mount("overlay", merged.c_str(), "overlay", MS_RDONLY, options.c_str()) != 0) ::_exit(71);
    const auto has = [&](const char* name) { return ::access((merged / name).c_str(), F_OK) == 0; };
    const bool right =
        has("d/old") && has("d/new") && !has("gone") && !has("dir/x") && has("dir/y");
    ::_exit(right ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) >= 70) GTEST_SKIP() << "this machine allows no mounts";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST_F(ImageLibraryTest, FailuresLeaveNothing) {
  testing::TestLayer good = layer("ok", "fine");
  testing::TestLayer wrongDiff = layer("bad", "x");
  wrongDiff.diffId = Digest::of("else").text();
  layout_.add({.name = "diff", .layers = {good, wrongDiff}});
  layout_.add({.name = "escape",
               .layers = {good, testing::gzipLayer(TarBuilder().file("../evil", "").finish())}});
  layout_.add({.name = "arch", .layers = {good}, .architecture = "sparc"});
  layout_.addRaw("nonsense", "{}", "application/vnd.oci.image.manifest.v1+json");
  struct Row {
    std::string name, reason;
    ErrorKind kind;
  };
  for (const Row& row :
       std::vector<Row>{{"diff", "diff id", ErrorKind::Invalid},
                        {"escape", "../evil", ErrorKind::Invalid},
                        {"arch", "linux/sparc; this machine is linux/", ErrorKind::Invalid},
                        {"nonsense", "neither", ErrorKind::Invalid},
                        {"absent", "it has: diff", ErrorKind::NotFound}}) {
    Result<seams::PreparedImage> image = pull(layout_.reference(row.name));
    ASSERT_FALSE(image) << row.name;
    EXPECT_EQ(image.error().kind, row.kind) << image.error().message;
    EXPECT_NE(image.error().message.find(row.reason), std::string::npos) << image.error().message;
    EXPECT_EQ(count("tmp"), 0U) << row.name;
  }
  EXPECT_TRUE(library_->list().empty());
  EXPECT_EQ(count("layers"), 0U);
  EXPECT_EQ(count("blobs/sha256"), 0U);
  EXPECT_FALSE(fs::exists(state_ / "images" / "evil"));
}

TEST_F(ImageLibraryTest, FlippedByteNamesTheDigestAndRepairHelps) {
  const testing::TestLayer bad = layer("f", std::string(10'000, 'q'));
  layout_.add({.layers = {bad}});
  const Digest blob = Digest::of(bad.blob);
  std::string flipped = bad.blob;
  flipped[flipped.size() / 2] ^= 4;
  testing::writeFile(layout_.blobPath(blob), flipped);
  Result<seams::PreparedImage> image = pull(layout_.reference());
  ASSERT_FALSE(image);
  EXPECT_EQ(image.error().kind, ErrorKind::Invalid);
  EXPECT_NE(image.error().message.find(blob.text()), std::string::npos) << image.error().message;
  testing::writeFile(layout_.blobPath(blob), bad.blob.substr(0, 50));
  image = pull(layout_.reference());
  ASSERT_FALSE(image);
  EXPECT_EQ(image.error().kind, ErrorKind::Invalid) << "cut short";
  fs::remove(layout_.blobPath(blob));
  image = pull(layout_.reference());
  ASSERT_FALSE(image);
  EXPECT_NE(image.error().message.find("lacks layer"), std::string::npos) << image.error().message;
  testing::writeFile(layout_.blobPath(blob), bad.blob);
  EXPECT_TRUE(pull(layout_.reference()));
}

TEST_F(ImageLibraryTest, CorruptManifestOrConfig) {
  const Digest manifest = layout_.add({.layers = {layer("f", "x")}});
  std::string raw = readFile(layout_.blobPath(manifest), Bytes::mib(1)).value();
  testing::writeFile(layout_.blobPath(manifest), raw + " ");
  Result<seams::PreparedImage> image = pull(layout_.reference());
  ASSERT_FALSE(image);
  EXPECT_NE(image.error().message.find(manifest.text()), std::string::npos);
  testing::writeFile(layout_.blobPath(manifest), raw);
  const Digest config = parseManifest(raw)->manifest->config.digest;
  raw = readFile(layout_.blobPath(config), Bytes::mib(1)).value();
  testing::writeFile(layout_.blobPath(config), raw + " ");
  image = pull(layout_.reference());
  ASSERT_FALSE(image);
  EXPECT_NE(image.error().message.find(config.text()), std::string::npos) << image.error().message;
}

TEST_F(ImageLibraryTest, NestedIndexAndWrongPlatform) {
  const Digest manifest = layout_.add({.name = "", .layers = {layer("f", "x")}});
  const std::string raw = readFile(layout_.blobPath(manifest), Bytes::mib(1)).value();
  const auto index = [&](const std::string& architecture) {
    return fmt::format(R"({{"schemaVersion":2,"manifests":[{{"digest":"{}","size":{},"platform":
                       {{"os":"linux","architecture":"{}"}}}}]}})",
                       manifest.text(), raw.size(), architecture);
  };
  const std::string type = "application/vnd.oci.image.index.v1+json";
  layout_.addRaw("multi", index(machineArchitecture()), type);
  layout_.addRaw("other", index("mips"), type);
  EXPECT_EQ(mustPull(layout_.reference("multi")).digest, manifest.text());
  Result<seams::PreparedImage> other = pull(layout_.reference("other"));
  ASSERT_FALSE(other);
  EXPECT_NE(other.error().message.find("linux/mips"), std::string::npos) << other.error().message;
}

TEST_F(ImageLibraryTest, RemoveKeepsWhatOthersNeed) {
  const testing::TestLayer base = layer("base", "b");
  layout_.add({.name = "one", .layers = {base, layer("x", "1")}});
  layout_.add({.name = "two", .layers = {base, layer("y", "2")}});
  const seams::PreparedImage one = mustPull(layout_.reference("one"));
  const seams::PreparedImage two = mustPull(layout_.reference("two"));
  Result<void> refused = library_->remove(one.digest, {two.digest, one.digest});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::AlreadyExists);
  EXPECT_TRUE(library_->find(one.digest));
  ASSERT_TRUE(library_->remove(layout_.reference("one"), {two.digest}));
  EXPECT_FALSE(library_->find(one.digest));
  EXPECT_TRUE(fs::exists(two.layers[0])) << "shared";
  EXPECT_FALSE(fs::exists(one.layers[1]));
  EXPECT_EQ(count("layers"), 2U);
  EXPECT_EQ(count("blobs/sha256"), 4U);
  EXPECT_EQ(library_->remove(one.digest, {}).error().kind, ErrorKind::NotFound);
  ASSERT_TRUE(library_->remove(two.digest, {}));
  EXPECT_EQ(count("layers") + count("blobs/sha256") + count("index") + count("tmp"), 0U);
  reopen();
  EXPECT_TRUE(library_->list().empty());
  EXPECT_TRUE(pull(layout_.reference("one"))) << "and it can come back";
}

TEST_F(ImageLibraryTest, AMovedTagKeepsTheOldImage) {
  layout_.add({.layers = {layer("v", "1")}});
  const seams::PreparedImage old = mustPull(layout_.reference());
  LayoutBuilder newer(layout_.path());
  newer.add({.layers = {layer("v", "2")}});
  const seams::PreparedImage now = mustPull(layout_.reference());
  EXPECT_NE(now.digest, old.digest);
  for (int round = 0; round < 2; ++round) {
    EXPECT_TRUE(library_->find(old.digest)) << "a function keeps the digest it was deployed with";
    EXPECT_EQ(library_->list().size(), 2U);
    reopen();
  }
  ASSERT_TRUE(library_->remove(layout_.reference(), {old.digest}));
  EXPECT_FALSE(library_->find(now.digest));
  EXPECT_TRUE(library_->find(old.digest));
}

TEST_F(ImageLibraryTest, TwoNamesOfOneImage) {
  const testing::TestImage image{.layers = {layer("v", "1")}};
  layout_.add(image);
  LayoutBuilder second(scratch_.path() / "second");
  second.add(image);
  const seams::PreparedImage a = mustPull(layout_.reference());
  const seams::PreparedImage b = mustPull(second.reference());
  EXPECT_EQ(a.digest, b.digest);
  EXPECT_EQ(library_->list().size(), 2U);
  ASSERT_TRUE(library_->remove(layout_.reference(), {a.digest})) << "only the name goes";
  EXPECT_TRUE(library_->find(a.digest));
  EXPECT_EQ(library_->list().size(), 1U);
}

TEST_F(ImageLibraryTest, DamagedRecordsAreLeftOutNotFatal) {
  layout_.add({.name = "good", .layers = {layer("g", "1")}});
  layout_.add({.name = "bad", .layers = {layer("b", "2")}});
  layout_.add({.name = "lost", .layers = {layer("l", "3")}});
  const seams::PreparedImage good = mustPull(layout_.reference("good"));
  const seams::PreparedImage bad = mustPull(layout_.reference("bad"));
  const seams::PreparedImage lost = mustPull(layout_.reference("lost"));
  testing::writeFile(state_ / "images/index" / (bad.digest.substr(7) + ".json"), "{\"version\":");
  fs::remove_all(lost.layers[0]);
  testing::writeFile(state_ / "images/index/half.json.tmp-Ab12Cd", "{");
  reopen();
  EXPECT_TRUE(library_->find(good.digest));
  EXPECT_FALSE(library_->find(bad.digest));
  EXPECT_FALSE(library_->find(lost.digest));
  EXPECT_FALSE(fs::exists(state_ / "images/index/half.json.tmp-Ab12Cd"));
  EXPECT_TRUE(pull(layout_.reference("bad"))) << "a new pull mends it";
  EXPECT_TRUE(pull(layout_.reference("lost")));
  reopen();
  EXPECT_EQ(library_->list().size(), 3U);
}

TEST_F(ImageLibraryTest, KilledWhileUnpackingLeavesNothingHalf) {
  TarBuilder builder;
  for (int i = 0; i < 12'000; ++i) builder.file(fmt::format("d{}/f{}", i % 100, i), "x");
  layout_.add({.layers = {testing::gzipLayer(builder.finish())}});
  const pid_t child = ::fork();
  if (child == 0) {
    pull(layout_.reference());
    ::_exit(0);
  }
  // As soon as files of the layer appear.
  const auto unpacking = [&] {
    std::error_code ignored;
    for (const auto& work : fs::directory_iterator(state_ / "images/tmp", ignored)) {
      if (fs::exists(work.path() / "layer/d0", ignored)) return true;
    }
    return false;
  };
  int status = 0;
  while (!unpacking() && ::waitpid(child, &status, WNOHANG) == 0) ::usleep(200);
  ::kill(child, SIGKILL);
  ::waitpid(child, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status)) << "it was too fast to be caught";
  EXPECT_EQ(count("layers"), 0U);
  EXPECT_GT(count("tmp"), 0U);
  reopen();
  EXPECT_TRUE(library_->list().empty());
  EXPECT_EQ(count("tmp") + count("layers") + count("index") + count("blobs/sha256"), 0U);
  EXPECT_TRUE(pull(layout_.reference()));
}

// On a small disk of its own, in a child with its own mounts.
class FullDiskTest : public ImageLibraryTest {
 protected:
  // 0: the pull of `name` ended with Exhausted, left nothing, and a small image fits afterwards.
  int pullOnSmallDisk(const std::string& name, std::string& message) {
    const fs::path disk = scratch_.path() / "disk", note = scratch_.path() / "note";
    fs::create_directory(disk);
    const pid_t child = ::fork();
    if (child == 0) ::_exit(inChild(disk, note, name));
    int status = 0;
    ::waitpid(child, &status, 0);
    message = readFile(note, Bytes::mib(1)).value_or("");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
  }

 private:
  int inChild(const fs::path& disk, const fs::path& note, const std::string& name) {
    if (::unshare(CLONE_NEWNS) != 0) return 77;
    if (::mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return 77;
    if (::mount("none", disk.c_str(), "tmpfs", 0, "size=48m") != 0) return 77;
    state_ = disk;
    Result<std::unique_ptr<ImageLibrary>> library = ImageLibrary::open({.stateDirectory = disk});
    if (!library) return 2;
    Result<seams::PreparedImage> image =
        (*library)->pull(layout_.reference(name), std::nullopt, {});
    testing::writeFile(note, image ? "it fitted" : image.error().message);
    if (image || image.error().kind != ErrorKind::Exhausted) return 3;
    if (count("tmp") + count("layers") + count("index") + count("blobs/sha256") != 0) return 4;
    if (!(*library)->pull(layout_.reference("small"), std::nullopt, {})) return 5;
    return 0;
  }
};

TEST_F(FullDiskTest, EndsWithExhaustedAndCleansUp) {
  layout_.add({.name = "small", .layers = {layer("s", "1")}});
  // Known before a byte is written: the inflated size is.
  const std::string zeros = TarBuilder().file("zeros", std::string(64 << 20, '\0')).finish();
  layout_.add({.name = "inflates", .layers = {testing::gzipLayer(zeros)}});
  // Known when the disk says so: a stream does not tell its size.
  layout_.add({.name = "streams", .layers = {{testing::zstd(zeros), Digest::of(zeros).text()}}});
  // Known before anything is fetched.
  std::string noise(40 << 20, '\0');
  std::mt19937 random(7);
  for (char& c : noise) c = static_cast<char>(random());
  const std::string plain = TarBuilder().file("noise", noise).finish();
  layout_.add({.name = "fetches", .layers = {{plain, Digest::of(plain).text()}}});
  for (const char* name : {"inflates", "streams", "fetches"}) {
    std::string message;
    const int code = pullOnSmallDisk(name, message);
    if (code == 77) GTEST_SKIP() << "this machine allows no mounts";
    EXPECT_EQ(code, 0) << name << ": " << message;
    EXPECT_TRUE(message.contains("disk full") || message.contains("No space left")) << message;
  }
}

}  // namespace
}  // namespace okibi::images
