// What becomes of a tar on disk: overlay form, attributes, escapes, duplicates.

#include "images/layer_writer.h"

#include <atomic>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "images/files.h"
#include "images/layer_unpacker.h"
#include "images/testing_image.h"

namespace okibi::images {
namespace {

namespace fs = std::filesystem;
using testing::TarBuilder;

class LayerWriterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "unpacking needs root";
  }

  Result<LayerSize> unpack(const TarBuilder& builder) { return unpackTar(builder.finish()); }
  Result<LayerSize> unpackTar(const std::string& tar) {
    return unpackBlob(testing::gzip(tar), Digest::of(tar));
  }
  Result<LayerSize> unpackBlob(const std::string& blob, const Digest& diffId) {
    testing::writeFile(scratch_.path() / "blob", blob);
    fs::create_directory(root_);
    return unpackLayer({scratch_.path() / "blob", Digest::of(blob), diffId}, root_, done_, stop_);
  }
  // The message of a refused tar; nothing may have appeared beside the root.
  std::string refusal(const TarBuilder& builder) {
    Result<LayerSize> result = unpack(builder);
    EXPECT_FALSE(fs::exists(scratch_.path() / "evil"));
    if (result) return "(accepted)";
    EXPECT_EQ(result.error().kind, ErrorKind::Invalid) << result.error().message;
    return result.error().message;
  }
  void accept(const TarBuilder& builder) {
    Result<LayerSize> result = unpack(builder);
    ASSERT_TRUE(result) << result.error().message;
  }
  struct stat status(const std::string& path) {
    struct stat result{};
    EXPECT_EQ(::lstat((root_ / path).c_str(), &result), 0) << path;
    return result;
  }
  bool isWhiteout(const std::string& path) {
    const struct stat s = status(path);
    return S_ISCHR(s.st_mode) && s.st_rdev == makedev(0, 0);
  }
  std::string xattr(const std::string& path, const char* name) {
    char value[256];
    const ssize_t n = ::lgetxattr((root_ / path).c_str(), name, value, sizeof value);
    return n < 0 ? "(none)" : std::string(value, static_cast<std::size_t>(n));
  }
  std::string content(const std::string& path) {
    return readFile(root_ / path, Bytes::mib(64)).value_or("(none)");
  }

  testing::Scratch scratch_;
  fs::path root_ = scratch_.path() / "root";
  std::atomic<std::int64_t> done_ = 0;
  std::atomic<bool> stop_ = false;
};

TEST_F(LayerWriterTest, KeepsContentOwnerModeAndTimes) {
  accept(TarBuilder()
             .directory("./", 0711)
             .directory("./bin/", 02775)
             .add({.path = "./bin/su",
                   .content = "x",
                   .mode = 04755,
                   .uid = 12,
                   .gid = 34,
                   .modified = 1'234'567'890}));
  EXPECT_EQ(status("bin/su").st_mode, S_IFREG | 04755U);
  EXPECT_EQ(status("bin/su").st_uid, 12U);
  EXPECT_EQ(status("bin/su").st_gid, 34U);
  EXPECT_EQ(status("bin/su").st_mtime, 1'234'567'890);
  EXPECT_EQ(status("bin").st_mode, S_IFDIR | 02775U);
  EXPECT_EQ(status("bin").st_mtime, 1'600'000'000) << "a child's creation must not show";
  EXPECT_EQ(status(".").st_mode & 07777U, 0711U);
  EXPECT_EQ(content("bin/su"), "x");
}

TEST_F(LayerWriterTest, PaxGivesFractionalTimesLongNamesAndLargeIds) {
  const std::string name = "deep/" + std::string(200, 'n');
  accept(TarBuilder().add(
      {.path = "short",
       .content = "abc",
       .pax = {{"path", name}, {"mtime", "1500000000.25"}, {"uid", "3000000000"}}}));
  EXPECT_EQ(status(name).st_mtim.tv_nsec, 250'000'000);
  EXPECT_EQ(status(name).st_uid, 3'000'000'000U);
}

TEST_F(LayerWriterTest, GnuLongNamesAndLinks) {
  const std::string name = std::string(150, 'a'), target = std::string(160, 't');
  accept(TarBuilder()
             .add({.path = "././@LongLink", .type = 'L', .content = name + '\0'})
             .add({.path = "././@LongLink", .type = 'K', .content = target + '\0'})
             .symlink("x", "y"));
  EXPECT_EQ(fs::read_symlink(root_ / name), target);
}

TEST_F(LayerWriterTest, WhiteoutsAndOpaqueDirectories) {
  accept(TarBuilder()
             .directory("etc")
             .file("etc/.wh.gone", "")
             .file(".wh.top", "")
             .directory("opaque")
             .file("opaque/.wh..wh..opq", "")
             .file("opaque/kept", "k")
             .file("lost/.wh..wh..opq", "")
             .directory(".wh..wh.plnk")
             .file(".wh..wh.aufs", ""));
  EXPECT_TRUE(isWhiteout("etc/gone"));
  EXPECT_TRUE(isWhiteout("top"));
  EXPECT_EQ(xattr("opaque", "trusted.overlay.opaque"), "y");
  EXPECT_EQ(content("opaque/kept"), "k");
  EXPECT_EQ(xattr("lost", "trusted.overlay.opaque"), "y") << "a parent nobody named";
  EXPECT_EQ(xattr("etc", "trusted.overlay.opaque"), "(none)");
  EXPECT_FALSE(fs::exists(root_ / "etc/.wh.gone"));
  EXPECT_FALSE(fs::exists(root_ / ".wh..wh.plnk"));
}

// A whiteout hides what lies below, not what the same layer brings.
TEST_F(LayerWriterTest, WhiteoutAndReplacementInOneLayer) {
  accept(TarBuilder()
             .file(".wh.a", "")
             .directory("a")
             .file("a/f", "1")
             .directory("b")
             .file("b/f", "2")
             .file(".wh.b", "")
             .file(".wh.c", "")
             .file("c", "3")
             .file("d", "4")
             .file(".wh.d", "")
             .file(".wh.e", "")
             .file("e/f", "5"));
  EXPECT_EQ(xattr("a", "trusted.overlay.opaque"), "y");
  EXPECT_EQ(content("a/f"), "1");
  EXPECT_EQ(xattr("b", "trusted.overlay.opaque"), "y");
  EXPECT_EQ(content("b/f"), "2");
  EXPECT_EQ(content("c"), "3");
  EXPECT_EQ(content("d"), "4");
  EXPECT_EQ(xattr("e", "trusted.overlay.opaque"), "y");
  EXPECT_EQ(content("e/f"), "5");
}

TEST_F(LayerWriterTest, ExtendedAttributesByPolicy) {
  // cap_net_bind_service=ep, revision 2
  const std::string capability("\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
  accept(TarBuilder().add({.path = "ping",
                           .content = "x",
                           .uid = 5,
                           .pax = {{"SCHILY.xattr.security.capability", capability},
                                   {"SCHILY.xattr.user.note", "hello"},
                                   {"SCHILY.xattr.trusted.overlay.redirect", "/etc"},
                                   {"SCHILY.xattr.user.overlay.opaque", "y"},
                                   {"SCHILY.xattr.security.selinux", "label"}}}));
  EXPECT_EQ(xattr("ping", "security.capability"), capability);
  EXPECT_EQ(xattr("ping", "user.note"), "hello");
  EXPECT_EQ(xattr("ping", "trusted.overlay.redirect"), "(none)");
  EXPECT_EQ(xattr("ping", "user.overlay.opaque"), "(none)");
  EXPECT_EQ(xattr("ping", "security.selinux"), "(none)");
}

TEST_F(LayerWriterTest, HardLinksSymlinksFifosAndNoDevices) {
  accept(TarBuilder()
             .file("a", "data", 0600)
             .hardLink("sub/b", "./a")
             .symlink("s", "/etc/passwd")
             .hardLink("s2", "s")
             .add({.path = "pipe", .type = '6', .mode = 0620})
             .add({.path = "sda", .type = '4', .mode = 0666})
             .add({.path = "null", .type = '3', .mode = 0666}));
  EXPECT_EQ(status("a").st_ino, status("sub/b").st_ino);
  EXPECT_EQ(status("a").st_nlink, 2U);
  EXPECT_EQ(fs::read_symlink(root_ / "s"), "/etc/passwd");
  EXPECT_TRUE(S_ISLNK(status("s2").st_mode)) << "a link to a link, not to what it names";
  EXPECT_EQ(status("s").st_mtime, 1'600'000'000);
  EXPECT_EQ(status("pipe").st_mode, S_IFIFO | 0620U);
  EXPECT_FALSE(fs::exists(root_ / "sda"));
  EXPECT_FALSE(fs::exists(root_ / "null"));
}

TEST_F(LayerWriterTest, LaterEntriesReplaceEarlierOnes) {
  accept(TarBuilder()
             .file("f", "old")
             .file("f", "new")
             .directory("d")
             .file("d/x", "x")
             .file("d", "now a file")
             .file("g", "file")
             .directory("g")
             .file("g/y", "y")
             .directory("keep", 0700)
             .file("keep/z", "z")
             .directory("keep", 0755)
             .file("l1", "1")
             .hardLink("l2", "l1")
             .file("l1", "2")
             .hardLink("l2", "l1")
             .hardLink("l2", "l1")
             .symlink("n", "keep")
             .directory("n")
             .file("n/w", "w"));
  EXPECT_EQ(content("f"), "new");
  EXPECT_EQ(content("d"), "now a file");
  EXPECT_EQ(content("g/y"), "y");
  EXPECT_EQ(content("keep/z"), "z");
  EXPECT_EQ(status("keep").st_mode & 0777U, 0755U);
  EXPECT_EQ(content("l2"), "2");
  EXPECT_TRUE(S_ISDIR(status("n").st_mode)) << "a directory replaces a link";
  EXPECT_FALSE(fs::exists(root_ / "keep/w"));
}

// A replaced file must not change through another name of it.
TEST_F(LayerWriterTest, ReplacingDoesNotWriteThroughLinks) {
  testing::writeFile(scratch_.path() / "outside", "host");
  accept(TarBuilder()
             .file("a", "1")
             .hardLink("b", "a")
             .file("b", "2")
             .symlink("out", "../outside")
             .file("out", "mine"));
  EXPECT_EQ(content("a"), "1");
  EXPECT_EQ(content("out"), "mine");
  EXPECT_EQ(readFile(scratch_.path() / "outside", Bytes(100)).value(), "host");
}

TEST_F(LayerWriterTest, RefusesEscapesByName) {
  EXPECT_NE(refusal(TarBuilder().file("../evil", "x")).find("\"../evil\""), std::string::npos);
  EXPECT_NE(refusal(TarBuilder().file("a/../../evil", "x")).find("a/../../evil"),
            std::string::npos);
  EXPECT_NE(refusal(TarBuilder().file("/evil", "x")).find("\"/evil\" is absolute"),
            std::string::npos);
  EXPECT_NE(refusal(TarBuilder().directory("..")).find("\"..\""), std::string::npos);
  EXPECT_NE(refusal(TarBuilder().file(".wh...", "")).find(".wh..."), std::string::npos);
  EXPECT_NE(refusal(TarBuilder().file(".wh.", "")).find(".wh."), std::string::npos);
  EXPECT_NE(refusal(TarBuilder().file("", "x")).find("no name"), std::string::npos);
  EXPECT_NE(refusal(TarBuilder().symlink(".", "/")).find("root"), std::string::npos);
}

TEST_F(LayerWriterTest, RefusesParentsThatLeadOut) {
  EXPECT_NE(refusal(TarBuilder().symlink("up", "..").file("up/evil", "x")).find("\"up\" leaves"),
            std::string::npos);
  EXPECT_NE(refusal(TarBuilder().symlink("abs", scratch_.path()).file("abs/evil", "x"))
                .find("\"abs\" leaves"),
            std::string::npos);
  EXPECT_NE(refusal(TarBuilder().symlink("abs", scratch_.path()).file("abs/evil/deep", "x"))
                .find("leaves"),
            std::string::npos);
  EXPECT_NE(refusal(TarBuilder().directory("d").symlink("d/up", "../..").directory("d/up/evil"))
                .find("\"d/up\" leaves"),
            std::string::npos);
  EXPECT_NE(
      refusal(TarBuilder().symlink("up2", "..").file("up2/.wh.evil", "")).find("\"up2\" leaves"),
      std::string::npos);
  EXPECT_NE(refusal(TarBuilder().symlink("loop", "loop").file("loop/x", "")).find("loop"),
            std::string::npos);
  EXPECT_NE(refusal(TarBuilder().symlink("none", "nowhere").file("none/x", "")).find("none"),
            std::string::npos);
}

// A directory that was cached as a parent and then becomes a link out.
TEST_F(LayerWriterTest, RefusesAParentThatTurnsIntoALink) {
  EXPECT_NE(
      refusal(TarBuilder().directory("d").file("d/f", "1").symlink("d", "..").file("d/evil", "2"))
          .find("\"d\" leaves"),
      std::string::npos);
  EXPECT_NE(refusal(TarBuilder()
                        .directory("in")
                        .symlink("way", "in")
                        .file("way/f", "1")
                        .symlink("way", "..")
                        .file("way/evil", "2"))
                .find("\"way\" leaves"),
            std::string::npos);
  EXPECT_NE(refusal(TarBuilder()
                        .directory("p/in")
                        .symlink("q", "p")
                        .file("q/in/f", "1")
                        .symlink("q", "..")
                        .file("q/in/evil", "2"))
                .find("leaves"),
            std::string::npos);
}

TEST_F(LayerWriterTest, FollowsLinksThatStayInside) {
  accept(TarBuilder().directory("usr/lib").symlink("lib", "usr/lib").file("lib/x", "1"));
  EXPECT_EQ(content("usr/lib/x"), "1");
}

TEST_F(LayerWriterTest, RefusesHardLinksToOutside) {
  testing::writeFile(scratch_.path() / "secret", "s");
  const std::string out = scratch_.path() / "secret";
  EXPECT_NE(refusal(TarBuilder().hardLink("x", out)).find("outside"), std::string::npos);
  EXPECT_NE(refusal(TarBuilder().hardLink("x", "../secret")).find("outside"), std::string::npos);
  EXPECT_NE(
      refusal(TarBuilder().symlink("up", "..").hardLink("x", "up/secret")).find("\"x\" leaves"),
      std::string::npos);
  EXPECT_NE(refusal(TarBuilder().hardLink("x", "missing")).find("\"missing\""), std::string::npos);
  EXPECT_NE(refusal(TarBuilder().file("x", "").hardLink("x", "./x")).find("itself"),
            std::string::npos);
  EXPECT_FALSE(fs::exists(root_ / "x") && fs::file_size(root_ / "x") > 0);
}

TEST_F(LayerWriterTest, RefusesFileAsParent) {
  EXPECT_NE(refusal(TarBuilder().file("f", "x").file("f/g", "y")).find("\"f\" is not a directory"),
            std::string::npos);
}

TEST_F(LayerWriterTest, ThousandsOfDirectories) {
  TarBuilder builder;
  for (int i = 0; i < 1000; ++i) builder.file(fmt::format("d{}/e/f", i), std::to_string(i));
  accept(builder);
  EXPECT_EQ(content("d999/e/f"), "999");
  EXPECT_EQ(content("d0/e/f"), "0");
}

TEST_F(LayerWriterTest, EveryCompressionGivesTheSame) {
  std::string big;
  for (int i = 0; i < 400'000; ++i) big += std::to_string(i * 7919LL);
  const std::string tar = TarBuilder().file("big", big).file("end", "e").finish();
  const std::string half = tar.substr(0, 100'000), rest = tar.substr(100'000);
  std::string lying = testing::gzip(tar);
  const std::vector<std::pair<const char*, std::string>> blobs = {
      {"gzip", testing::gzip(tar)},
      {"plain", tar},
      {"zstd", testing::zstd(tar)},
      {"gzip members", testing::gzip(half) + testing::gzip(rest)},
      {"gzip padded", testing::gzip(tar) + std::string(512, '\0')},
      {"zstd frames", testing::zstd(half) + testing::zstd(rest)}};
  for (const auto& [name, blob] : blobs) {
    fs::remove_all(root_);
    Result<LayerSize> result = unpackBlob(blob, Digest::of(tar));
    ASSERT_TRUE(result) << name << ": " << result.error().message;
    EXPECT_EQ(content("big"), big) << name;
    EXPECT_EQ(content("end"), "e") << name;
    EXPECT_EQ(result->content.count(), static_cast<std::int64_t>(big.size()) + 1) << name;
  }
}

TEST_F(LayerWriterTest, BrokenBlobsAreInvalid) {
  const std::string tar = TarBuilder().file("f", std::string(100'000, 'x')).finish();
  const Digest diffId = Digest::of(tar);
  std::string flipped = testing::gzip(tar);
  flipped[flipped.size() / 2] ^= 1;
  std::string cut = testing::gzip(tar), cutZstd = testing::zstd(tar), liar = testing::gzip(tar);
  cut.resize(cut.size() / 2);
  cutZstd.resize(cutZstd.size() - 8);
  liar[liar.size() - 1] = 0x20;  // claims 512 MiB more than there is
  for (const std::string& blob :
       {flipped, cut, cutZstd, liar, std::string("BZh91"), testing::gzip(tar) + "junk",
        std::string("not a tar"), testing::gzip(tar.substr(0, 600))}) {
    fs::remove_all(root_);
    Result<LayerSize> result = unpackBlob(blob, diffId);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().kind, ErrorKind::Invalid) << result.error().message;
    EXPECT_NE(result.error().message.find(Digest::of(blob).text()), std::string::npos)
        << "names the layer: " << result.error().message;
  }
}

TEST_F(LayerWriterTest, WrongDiffIdNamesBoth) {
  const std::string tar = TarBuilder().file("f", "x").finish();
  const Digest other = Digest::of("other");
  Result<LayerSize> result = unpackBlob(testing::gzip(tar), other);
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().message.find(other.text()), std::string::npos);
  EXPECT_NE(result.error().message.find(Digest::of(tar).text()), std::string::npos);
}

TEST_F(LayerWriterTest, StopEndsIt) {
  stop_ = true;
  Result<LayerSize> result = unpack(TarBuilder().file("f", "x"));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::Cancelled);
}

TEST_F(LayerWriterTest, RefusesWhatItCannotKeep) {
  EXPECT_NE(refusal(TarBuilder().add({.path = "s", .type = 'S'})).find("sparse"),
            std::string::npos);
  EXPECT_NE(
      refusal(TarBuilder().add({.path = "s", .pax = {{"GNU.sparse.major", "1"}}})).find("sparse"),
      std::string::npos);
  EXPECT_NE(refusal(TarBuilder().add({.path = "m", .type = 'M'})).find("not supported"),
            std::string::npos);
  std::string tar = TarBuilder().file("f", "x").finish();
  tar[0] = 'g';
  Result<LayerSize> wrongSum = unpackTar(tar);
  ASSERT_FALSE(wrongSum);
  EXPECT_NE(wrongSum.error().message.find("checksum"), std::string::npos);
}

}  // namespace
}  // namespace okibi::images
