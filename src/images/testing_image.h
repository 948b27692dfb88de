#pragma once
// For tests, fuzzing and benches: tars and OCI layouts made on the spot, also broken ones.

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include <boost/json.hpp>
#include <fmt/format.h>
#include <zlib.h>
#include <zstd.h>

#include "base/check.h"
#include "images/digest.h"
#include "images/manifest.h"

namespace okibi::images::testing {

struct Member {
  std::string path;
  char type = '0';
  std::string content = {};
  std::string link = {};
  unsigned mode = 0644;
  unsigned uid = 0, gid = 0;
  long long modified = 1'600'000'000;
  std::vector<std::pair<std::string, std::string>> pax = {};  // put before it as a pax header
};

class TarBuilder {
 public:
  TarBuilder& add(const Member& member) {
    if (!member.pax.empty()) {
      std::string records;
      for (const auto& [key, value] : member.pax) records += paxRecord(key, value);
      block({.path = "pax", .type = 'x', .content = records});
    }
    block(member);
    return *this;
  }
  TarBuilder& file(std::string path, std::string content, unsigned mode = 0644) {
    return add({.path = std::move(path), .content = std::move(content), .mode = mode});
  }
  TarBuilder& directory(std::string path, unsigned mode = 0755) {
    return add({.path = std::move(path), .type = '5', .mode = mode});
  }
  TarBuilder& symlink(std::string path, std::string target) {
    return add({.path = std::move(path), .type = '2', .link = std::move(target), .mode = 0777});
  }
  TarBuilder& hardLink(std::string path, std::string target) {
    return add({.path = std::move(path), .type = '1', .link = std::move(target)});
  }
  TarBuilder& raw(std::string_view bytes) {
    bytes_ += bytes;
    return *this;
  }
  std::string finish() const { return bytes_ + std::string(1024, '\0'); }

  static std::string paxRecord(const std::string& key, const std::string& value) {
    const std::size_t rest = key.size() + value.size() + 3;
    std::size_t length = rest + 1;
    while (std::to_string(length).size() + rest != length) ++length;
    return std::to_string(length) + " " + key + "=" + value + "\n";
  }

 private:
  void block(const Member& member) {
    std::string header(512, '\0');
    const auto put = [&](std::size_t at, const std::string& text) {
      header.replace(at, text.size(), text);
    };
    put(0, member.path.substr(0, 100));
    put(100, fmt::format("{:07o}", member.mode));
    put(108, fmt::format("{:07o}", member.uid));
    put(116, fmt::format("{:07o}", member.gid));
    put(124, fmt::format("{:011o}", member.content.size()));
    put(136, fmt::format("{:011o}", member.modified));
    put(148, "        ");
    header[156] = member.type;
    put(157, member.link.substr(0, 100));
    header.replace(257, 8, std::string_view("ustar\00000", 8));
    unsigned sum = 0;
    for (unsigned char c : header) sum += c;
    put(148, fmt::format("{:06o}", sum));
    header[154] = '\0';
    bytes_ += header + member.content;
    bytes_ += std::string((512 - member.content.size() % 512) % 512, '\0');
  }

  std::string bytes_;
};

inline std::string gzip(const std::string& data, int level = 6) {
  z_stream stream{};
  OKIBI_CHECK(::deflateInit2(&stream, level, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) ==
              Z_OK);
  std::string out(::deflateBound(&stream, data.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
  stream.avail_in = static_cast<uInt>(data.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  OKIBI_CHECK(::deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(stream.total_out);
  ::deflateEnd(&stream);
  return out;
}

inline std::string zstd(const std::string& data) {
  std::string out(::ZSTD_compressBound(data.size()), '\0');
  out.resize(::ZSTD_compress(out.data(), out.size(), data.data(), data.size(), 3));
  return out;
}

inline void writeFile(const std::filesystem::path& path, const std::string& content) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream out(path, std::ios::binary);
  out << content;
  out.close();
  OKIBI_CHECK(out.good(), "{}", path.string());
}

struct TestLayer {
  std::string blob, diffId;
  std::string mediaType = "application/vnd.oci.image.layer.v1.tar+gzip";
};
inline TestLayer gzipLayer(const std::string& tar) {
  return {gzip(tar), Digest::of(tar).text()};
}

struct TestImage {
  std::string name = "test";
  std::vector<TestLayer> layers = {};
  std::string architecture = machineArchitecture();
  boost::json::object config = {{"Cmd", {"/bin/app"}}};
};

// An OCI layout directory.
class LayoutBuilder {
 public:
  explicit LayoutBuilder(std::filesystem::path path) : path_(std::move(path)) {
    writeFile(path_ / "oci-layout", R"({"imageLayoutVersion":"1.0.0"})");
  }

  // Gives the manifest's digest.
  Digest add(const TestImage& image) {
    boost::json::array layers, diffIds;
    for (const TestLayer& layer : image.layers) {
      layers.push_back(blob(layer.blob, layer.mediaType));
      diffIds.emplace_back(layer.diffId);
    }
    const std::string config = boost::json::serialize(boost::json::object{
        {"architecture", image.architecture},
        {"os", "linux"},
        {"config", image.config},
        {"rootfs", boost::json::object{{"type", "layers"}, {"diff_ids", diffIds}}}});
    return addRaw(image.name,
                  boost::json::serialize(boost::json::object{
                      {"schemaVersion", 2},
                      {"mediaType", "application/vnd.oci.image.manifest.v1+json"},
                      {"config", blob(config, "application/vnd.oci.image.config.v1+json")},
                      {"layers", layers}}),
                  "application/vnd.oci.image.manifest.v1+json");
  }

  // Any manifest or index under a name; an empty name leaves it out of the layout's index.
  Digest addRaw(const std::string& name, const std::string& manifest, const std::string& type) {
    boost::json::object descriptor = blob(manifest, type);
    descriptor["annotations"] = boost::json::object{{"org.opencontainers.image.ref.name", name}};
    if (!name.empty()) manifests_.push_back(descriptor);
    writeFile(path_ / "index.json", boost::json::serialize(boost::json::object{
                                        {"schemaVersion", 2}, {"manifests", manifests_}}));
    return Digest::of(manifest);
  }

  boost::json::object blob(const std::string& content, const std::string& type) {
    const Digest digest = Digest::of(content);
    writeFile(blobPath(digest), content);
    return {{"mediaType", type}, {"digest", digest.text()}, {"size", content.size()}};
  }

  std::filesystem::path blobPath(const Digest& digest) const {
    return path_ / "blobs" / "sha256" / digest.hex();
  }
  std::string reference(const std::string& name = "test") const {
    return "oci:" + path_.string() + ":" + name;
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  boost::json::array manifests_;
};

// A directory for one test.
class Scratch {
 public:
  Scratch() {
    std::string name = (std::filesystem::temp_directory_path() / "okibi-images-XXXXXX").string();
    OKIBI_CHECK(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace okibi::images::testing
