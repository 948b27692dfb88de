// Okibi's unpacker against `umoci unpack`, on the same image, in turns.
//
//   unpack_bench [LAYOUT REF] [ROUNDS]
//
// Without a layout it makes an image of about 300 MB from /usr. Okibi's time is all of an import
// from the layout: blobs copied, both digests of each layer checked, layers written, synced to disk
// and filed. umoci checks the digests and does not sync. Needs root and umoci.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <unistd.h>

#include "base/check.h"
#include "images/child_process.h"
#include "images/files.h"
#include "images/image_library.h"
#include "images/layer_unpacker.h"
#include "images/testing_image.h"

namespace okibi::images {
namespace {

namespace fs = std::filesystem;
using Seconds = std::chrono::duration<double>;

void run(const std::vector<std::string>& command) {
  Result<ChildResult> result =
      runChild(command, {std::chrono::minutes(20),
                         Bytes::mib(64),
                         {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"},
                         {}});
  OKIBI_CHECK(result, "{}: {}", command[0], result.error().message);
  OKIBI_CHECK(result->exitCode == 0, "{}: {}", command[0], result->errors);
}

// Files of /usr until there are enough, as one gzip layer.
void makeImage(const fs::path& layout) {
  testing::LayoutBuilder builder(layout);
  const fs::path tar = layout / "usr.tar";
  run({"sh", "-c",
       "cd / && find usr/lib usr/share -xdev -type f -size -8M -printf '%s %p\\n' 2>/dev/null | "
       "sort -k2 | "
       "awk '{s += $1; if (s < 320e6) print $2}' > " +
           tar.string() + ".list && tar -cf " + tar.string() + " -T " + tar.string() + ".list"});
  const std::string bytes = readFile(tar, Bytes::gib(1)).value();
  fs::remove(tar);
  std::printf("made an image of %.0f MB from /usr\n", static_cast<double>(bytes.size()) / 1e6);
  builder.add({.name = "bench", .layers = {testing::gzipLayer(bytes)}});
}

template <typename Work>
double timed(Work work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return Seconds(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

void importImage(const fs::path& state, const std::string& reference) {
  fs::create_directories(state);
  Result<std::unique_ptr<ImageLibrary>> library = ImageLibrary::open({.stateDirectory = state});
  OKIBI_CHECK(library, "{}", library.error().message);
  Result<seams::PreparedImage> image = (*library)->pull(reference, std::nullopt, {});
  OKIBI_CHECK(image, "{}", image.error().message);
}

struct UnpackOnly {
  std::vector<LayerTask> tasks;
  Bytes compressed;
};

// What one unpacker does, without copying blobs and without a sync: like against like.
UnpackOnly readTasks(const fs::path& state) {
  UnpackOnly result;
  for (const fs::directory_entry& file : fs::directory_iterator(state / "images/index")) {
    const ImageRecord record = decodeRecord(readFile(file.path(), Bytes::mib(4)).value()).value();
    for (const StoredLayer& layer : record.layers) {
      const fs::path blob = state / "images/blobs/sha256" / layer.blob.hex();
      result.tasks.push_back({blob, layer.blob, layer.diffId});
      result.compressed += Bytes(static_cast<std::int64_t>(fs::file_size(blob)));
    }
  }
  return result;
}

void unpackAll(const UnpackOnly& image, const fs::path& folder) {
  std::atomic<std::int64_t> done = 0;
  const std::atomic<bool> stop = false;
  for (std::size_t i = 0; i < image.tasks.size(); ++i) {
    const fs::path layer = folder / std::to_string(i);
    fs::create_directories(layer);
    Result<LayerSize> size = unpackLayer(image.tasks[i], layer, done, stop);
    OKIBI_CHECK(size, "{}", size.error().message);
  }
}

int benchmark(const fs::path& layout, const std::string& name, int rounds, const fs::path& work) {
  importImage(work / "warm", "oci:" + layout.string() + ":" + name);
  const UnpackOnly image = readTasks(work / "warm");
  std::printf("%zu layers, %.1f MB compressed; %d rounds, in turns; seconds\n", image.tasks.size(),
              static_cast<double>(image.compressed.count()) / 1e6, rounds);
  std::vector<double> ours, imports, umocis;
  for (int i = 0; i < rounds; ++i) {
    ours.push_back(timed([&] { unpackAll(image, work / "ours"); }));
    imports.push_back(
        timed([&] { importImage(work / "state", "oci:" + layout.string() + ":" + name); }));
    umocis.push_back(timed([&] {
      run({"umoci", "unpack", "--image", layout.string() + ":" + name, (work / "umoci").string()});
    }));
    std::printf("  round %d: unpack %.2f, import with sync %.2f, umoci %.2f\n", i + 1, ours.back(),
                imports.back(), umocis.back());
    for (const char* folder : {"ours", "state", "umoci"}) fs::remove_all(work / folder);
  }
  const double mine = median(ours), whole = median(imports), theirs = median(umocis);
  std::printf("| what | median s | umoci takes |\n|---|---|---|\n");
  std::printf("| okibi unpack | %.2f | %.1f times as long |\n", mine, theirs / mine);
  std::printf("| okibi import (copy, unpack, sync, file) | %.2f | %.1f times as long |\n", whole,
              theirs / whole);
  std::printf("| umoci unpack | %.2f | |\n", theirs);
  return 0;
}

}  // namespace
}  // namespace okibi::images

int main(int argc, char** argv) {
  namespace images = okibi::images;
  if (::geteuid() != 0) {
    std::fprintf(stderr, "unpack_bench: needs root\n");
    return 77;
  }
  const images::testing::Scratch scratch;
  std::filesystem::path layout = scratch.path() / "layout";
  std::string name = "bench";
  if (argc >= 3) {
    layout = std::filesystem::absolute(argv[1]);
    name = argv[2];
  } else {
    images::makeImage(layout);
  }
  const int last = argc == 2 ? 1 : argc >= 4 ? 3 : 0;
  const int rounds = last > 0 ? std::clamp(std::atoi(argv[last]), 1, 100) : 3;
  return images::benchmark(layout, name, rounds, scratch.path() / "work");
}
