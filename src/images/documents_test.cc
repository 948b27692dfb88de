// The texts strangers write: references, manifests, configs, records, skopeo's complaints, tar
// headers.

#include <gtest/gtest.h>

#include "images/decompress.h"
#include "images/image_limits.h"
#include "images/image_record.h"
#include "images/image_source.h"
#include "images/manifest.h"
#include "images/reference.h"
#include "images/tar_reader.h"
#include "images/testing_image.h"

namespace okibi::images {
namespace {

const std::string kHex(64, 'a');
const std::string kDigest = "sha256:" + kHex;

TEST(Digest, OnlyTheExactForm) {
  EXPECT_TRUE(Digest::parse(kDigest));
  for (const std::string& bad :
       {std::string(), kHex, "sha256:" + kHex + "0", "sha256:" + std::string(64, 'A'),
        "sha256:../" + std::string(61, 'a'), "sha512:" + kHex}) {
    EXPECT_FALSE(Digest::parse(bad)) << bad;
  }
  EXPECT_EQ(Digest::of("abc").hex(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Reference, Registry) {
  struct Row {
    std::string text, canonical;
    bool loopback;
  };
  for (const Row& row : std::vector<Row>{
           {"echo", "echo:latest", false},
           {"docker://debian:12", "debian:12", false},
           {"127.0.0.1:5000/a/b:1", "127.0.0.1:5000/a/b:1", true},
           {"localhost/a", "localhost/a:latest", true},
           {"localhost:5000/a", "localhost:5000/a:latest", true},
           {"[::1]:5000/a:x", "[::1]:5000/a:x", true},
           {"127.example.com/a", "127.example.com/a:latest", false},
           {"127.0.0.1.example.com/a", "127.0.0.1.example.com/a:latest", false},
           {"10.0.0.1:5000/a", "10.0.0.1:5000/a:latest", false},
           {"r.example.com/a:t@" + kDigest, "r.example.com/a@" + kDigest, false},
       }) {
    Result<ImageReference> parsed = parseReference(row.text);
    ASSERT_TRUE(parsed) << row.text << ": " << parsed.error().message;
    EXPECT_EQ(parsed->canonical, row.canonical);
    ASSERT_TRUE(parsed->registry);
    EXPECT_EQ(parsed->registry->loopback, row.loopback) << row.text;
  }
}

TEST(Reference, Layout) {
  Result<ImageReference> parsed = parseReference("oci:/var/lib/layout:echo");
  ASSERT_TRUE(parsed && parsed->layout);
  EXPECT_EQ(parsed->layout->path, "/var/lib/layout");
  EXPECT_EQ(parsed->layout->name, "echo");
  EXPECT_EQ(parseReference("oci:/a:b/layout")->layout->path, "/a:b/layout");
  EXPECT_EQ(parseReference("oci:/a:b/layout")->layout->name, "");
}

TEST(Reference, Refused) {
  for (const std::string& bad :
       {std::string(), std::string("a b"), std::string("a\nb"), std::string("Upper/name"),
        std::string("a:"), std::string("a:t/g:"), std::string("--authfile=/etc/shadow"),
        std::string("oci:relative:ref"), std::string("oci::"), std::string("a@sha256:12"),
        std::string("a;b"), std::string("host:5000/"), std::string(2000, 'a'),
        std::string("a:$(x)")}) {
    Result<ImageReference> parsed = parseReference(bad);
    ASSERT_FALSE(parsed) << bad;
    EXPECT_EQ(parsed.error().kind, ErrorKind::Invalid);
  }
}

std::string descriptor(const std::string& type, const std::string& more = "") {
  return R"({"digest":")" + kDigest + R"(","size":5,"mediaType":")" + type + "\"" + more + "}";
}
const std::string kConfigType = "application/vnd.oci.image.config.v1+json";

std::string manifestOf(const std::string& layers) {
  return R"({"schemaVersion":2,"config":)" + descriptor(kConfigType) + R"(,"layers":[)" + layers +
         "]}";
}

TEST(Manifest, OciAndDocker) {
  for (const char* type :
       {"application/vnd.oci.image.layer.v1.tar", "application/vnd.oci.image.layer.v1.tar+gzip",
        "application/vnd.oci.image.layer.v1.tar+zstd",
        "application/vnd.docker.image.rootfs.diff.tar.gzip"}) {
    Result<ManifestDocument> parsed = parseManifest(manifestOf(descriptor(type)));
    ASSERT_TRUE(parsed) << parsed.error().message;
    ASSERT_TRUE(parsed->manifest);
    EXPECT_EQ(parsed->manifest->layers.size(), 1U);
  }
}

TEST(Manifest, RefusedWithReason) {
  struct Row {
    std::string text, reason;
  };
  std::string many = descriptor("application/vnd.oci.image.layer.v1.tar");
  for (std::size_t i = 0; i < kLayersMax; ++i)
    many += "," + descriptor("application/vnd.oci.image.layer.v1.tar");
  for (const Row& row : std::vector<Row>{
           {"", "not JSON"},
           {"[]", "not a JSON object"},
           {"{}", "neither"},
           {R"({"schemaVersion":1})", "schema 1"},
           {manifestOf(descriptor("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip")),
            "cannot be unpacked"},
           {manifestOf(descriptor("application/vnd.oci.image.layer.v1.tar+gzip+encrypted")),
            "cannot be unpacked"},
           {manifestOf("3"), "not an object"},
           {manifestOf(R"({"digest":"sha256:../../etc","size":5})"), "no sha256 digest"},
           {manifestOf(R"({"digest":")" + kDigest + R"(","size":-1})"), "out of range"},
           {manifestOf(many), "at most"},
           {R"({"manifests":[],"layers":[]})", "both"},
           {std::string(100'000, '['), "not JSON"},
       }) {
    Result<ManifestDocument> parsed = parseManifest(row.text);
    ASSERT_FALSE(parsed) << row.reason;
    EXPECT_EQ(parsed.error().kind, ErrorKind::Invalid);
    EXPECT_NE(parsed.error().message.find(row.reason), std::string::npos) << parsed.error().message;
  }
}

TEST(Manifest, IndexChoosesThisMachine) {
  const auto entry = [](const std::string& os, const std::string& architecture, char fill) {
    return R"({"digest":"sha256:)" + std::string(64, fill) + R"(","size":1,"platform":{"os":")" +
           os + R"(","architecture":")" + architecture + R"("}})";
  };
  Result<ManifestDocument> parsed = parseManifest(
      R"({"manifests":[)" + entry("windows", "amd64", '1') + "," + entry("linux", "arm64", '2') +
      "," + entry("linux", "amd64", '3') + "," + entry("unknown", "unknown", '4') + "]}");
  ASSERT_TRUE(parsed && parsed->index);
  EXPECT_EQ(choosePlatform(*parsed->index, "amd64")->digest.hex(), std::string(64, '3'));
  Result<Descriptor> none = choosePlatform(*parsed->index, "riscv64");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().message,
            "image is for windows/amd64, linux/arm64, linux/amd64; this machine is linux/riscv64");
}

TEST(Config, ReadsWhatRunsTheImage) {
  Result<ConfigDocument> parsed = parseConfig(
      R"({"architecture":"amd64","os":"linux","config":{"Entrypoint":["/e"],"Cmd":["a","b"],
          "Env":["PATH=/bin"],"WorkingDir":"/w","User":"app:7"},"rootfs":{"diff_ids":[")" +
      kDigest + R"("]}})");
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(parsed->config.entrypoint, std::vector<std::string>{"/e"});
  EXPECT_EQ(parsed->config.command, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(parsed->config.environment, std::vector<std::string>{"PATH=/bin"});
  EXPECT_EQ(parsed->config.workingDirectory, "/w");
  EXPECT_EQ(parsed->config.user, "app:7");
  EXPECT_EQ(parsed->diffIds.size(), 1U);
  EXPECT_TRUE(checkPlatform(*parsed, "amd64"));
  EXPECT_EQ(checkPlatform(*parsed, "arm64").error().message,
            "image is for linux/amd64; this machine is linux/arm64");
}

TEST(Config, NullsAreAbsentAndWrongTypesRefused) {
  EXPECT_TRUE(parseConfig(R"({"config":{"Entrypoint":null,"Cmd":null,"Env":null}})"));
  EXPECT_FALSE(parseConfig(R"({"config":{"Cmd":"sh"}})"));
  EXPECT_FALSE(parseConfig(R"({"config":{"Env":[1]}})"));
  EXPECT_FALSE(parseConfig(R"({"config":{"Cmd":["a\u0000b"]}})"));
  EXPECT_FALSE(parseConfig(R"({"rootfs":{"diff_ids":["md5:1"]}})"));
}

TEST(Record, RoundTripAndDamage) {
  ImageRecord record{*Digest::parse(kDigest),
                     Digest::of("config"),
                     {{Digest::of("tar"), Digest::of("blob"), Bytes(7)}},
                     {"a:1", "b:2"},
                     "a:1",
                     WallTime(std::chrono::milliseconds(123))};
  const std::string text = encodeRecord(record);
  Result<ImageRecord> read = decodeRecord(text);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(encodeRecord(*read), text);
  EXPECT_EQ(read->references, record.references);
  for (std::size_t cut = 0; cut < text.size(); ++cut) {
    EXPECT_FALSE(decodeRecord(text.substr(0, cut))) << cut;
  }
  EXPECT_FALSE(decodeRecord("{\"version\":2}"));
}

TEST(Skopeo, ComplaintsBecomeKinds) {
  struct Row {
    std::string words;
    ErrorKind kind;
  };
  for (const Row& row : std::vector<Row>{
           {"reading manifest x in y: manifest unknown: manifest unknown", ErrorKind::NotFound},
           {"reading manifest 1 in h/y: name unknown: repository name not known to registry",
            ErrorKind::NotFound},
           {"unable to retrieve auth token: invalid username/password: unauthorized",
            ErrorKind::Denied},
           {"errors:\\ndenied: requested access to the resource is denied", ErrorKind::Denied},
           {"pinging container registry x: dial tcp 127.0.0.1:1: connect: connection refused",
            ErrorKind::Unavailable},
           {"Get \\\"https://x/v2/\\\": x509: certificate signed by unknown authority",
            ErrorKind::Unavailable},
           {"writing blob: write /x/oci-put-blob1: no space left on device", ErrorKind::Exhausted},
           {"writing blob: Digest did not match, expected sha256:a, got sha256:b",
            ErrorKind::Invalid},
           {"something new", ErrorKind::Unavailable},
       }) {
    const Error error =
        explainSkopeo("h/x:1", "time=\"2026\" level=fatal msg=\"" + row.words + "\"\n");
    EXPECT_EQ(error.kind, row.kind) << error.message;
    EXPECT_NE(error.message.find("h/x:1"), std::string::npos);
  }
  EXPECT_NE(explainSkopeo("x", "plain\nlast line\n").message.find("last line"), std::string::npos);
}

TEST(TarReader, PiecesOfAnySizeGiveTheSame) {
  const std::string tar =
      testing::TarBuilder()
          .add({.path = "p", .content = "content", .pax = {{"path", "long/name"}}})
          .file("second", std::string(1000, 's'))
          .finish();
  class Pieces : public ByteSource {
   public:
    Pieces(std::string_view all, std::size_t size) : all_(all), size_(size) {}
    Result<std::span<const std::byte>> next() override {
      const std::string_view piece = all_.substr(0, size_);
      all_.remove_prefix(piece.size());
      return std::as_bytes(std::span(piece));
    }
    std::string_view all_;
    std::size_t size_;
  };
  for (std::size_t size : {1UL, 7UL, 511UL, 512UL, 513UL, 100'000UL}) {
    Pieces pieces(tar, size);
    TarReader reader(pieces);
    Result<std::optional<TarEntry>> first = reader.next();
    ASSERT_TRUE(first && *first);
    EXPECT_EQ((*first)->path, "long/name");
    std::string content;
    for (auto piece = reader.data(); piece && !piece->empty(); piece = reader.data()) {
      content.append(reinterpret_cast<const char*>(piece->data()), piece->size());
    }
    EXPECT_EQ(content, "content");
    Result<std::optional<TarEntry>> second = reader.next();
    ASSERT_TRUE(second && *second);
    EXPECT_EQ((*second)->size, 1000);
    Result<std::optional<TarEntry>> end = reader.next();
    ASSERT_TRUE(end);
    EXPECT_FALSE(*end);
    EXPECT_EQ(reader.offset(), static_cast<std::int64_t>(tar.size())) << "read to the end";
  }
}

TEST(TarReader, HostileNumbers) {
  for (const auto& [key, value] :
       std::vector<std::pair<std::string, std::string>>{{"size", "-1"},
                                                        {"size", "99999999999999999999"},
                                                        {"uid", "x"},
                                                        {"mtime", "soon"},
                                                        {"size", "9223372036854775807"},
                                                        {"gid", "4294967295"}}) {
    const std::string tar =
        testing::TarBuilder().add({.path = "p", .pax = {{key, value}}}).finish();
    MemorySource source(std::as_bytes(std::span(tar)));
    TarReader reader(source);
    EXPECT_FALSE(reader.next()) << key << "=" << value;
  }
  for (const std::string& records :
       {std::string("5 a=b\n"), std::string("9999 a=b\n"), std::string("x"), std::string("0 a=b\n"),
        std::string("7 a=bc"), std::string("6 abc\n")}) {
    const std::string tar = testing::TarBuilder()
                                .add({.path = "x", .type = 'x', .content = records})
                                .file("p", "")
                                .finish();
    MemorySource source(std::as_bytes(std::span(tar)));
    EXPECT_FALSE(TarReader(source).next()) << records;
  }
}

}  // namespace
}  // namespace okibi::images
