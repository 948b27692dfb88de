#include "images/manifest.h"

#include <boost/json.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/utsname.h>

#include "images/image_limits.h"

namespace okibi::images {

namespace json = boost::json;

namespace {

std::unexpected<Error> invalid(std::string_view why) {
  return fail(ErrorKind::Invalid, fmt::format("image {}", why));
}

Result<json::object> parseObject(std::string_view text, std::string_view what) {
  boost::system::error_code error;
  json::parse_options options;
  options.max_depth = 32;
  json::value value = json::parse({text.data(), text.size()}, error, {}, options);
  if (error) return invalid(fmt::format("{} is not JSON: {}", what, error.message()));
  if (!value.is_object()) return invalid(fmt::format("{} is not a JSON object", what));
  return std::move(value.get_object());
}

std::string text(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains({key.data(), key.size()});
  if (value == nullptr || !value->is_string()) return {};
  return std::string(std::string_view(value->get_string()));
}

const json::object* child(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains({key.data(), key.size()});
  return value != nullptr ? value->if_object() : nullptr;
}

Result<std::vector<std::string>> texts(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains({key.data(), key.size()});
  if (value == nullptr || value->is_null()) return std::vector<std::string>();
  const json::array* array = value->if_array();
  if (array == nullptr) return invalid(fmt::format("config: {} is not a list", key));
  std::vector<std::string> result;
  for (const json::value& item : *array) {
    if (!item.is_string()) return invalid(fmt::format("config: {} holds more than strings", key));
    result.emplace_back(std::string_view(item.get_string()));
    // Programs get these as C strings.
    if (result.back().contains('\0')) {
      return invalid(fmt::format("config: {} holds a zero byte", key));
    }
  }
  return result;
}

Result<Descriptor> parseDescriptor(const json::value& value, std::string_view what) {
  const json::object* object = value.if_object();
  if (object == nullptr) return invalid(fmt::format("manifest: {} is not an object", what));
  std::optional<Digest> digest = Digest::parse(text(*object, "digest"));
  if (!digest) {
    return invalid(fmt::format("manifest: {} has no sha256 digest (\"{}\")", what,
                               text(*object, "digest").substr(0, 100)));
  }
  const json::value* size = object->if_contains("size");
  const std::int64_t* count = size != nullptr ? size->if_int64() : nullptr;
  if (count == nullptr || *count < 0 || *count > kLayerUnpackedMax.count()) {
    return invalid(fmt::format("manifest: the size of {} is missing or out of range", what));
  }
  return Descriptor{*digest, Bytes(*count), text(*object, "mediaType")};
}

Result<Descriptor> parseLayer(const json::value& value) {
  Result<Descriptor> layer = parseDescriptor(value, "a layer");
  if (!layer) return layer;
  const std::string& type = layer->mediaType;
  const bool tar = type.starts_with("application/vnd.oci.image.layer.v1.tar") ||
                   type.starts_with("application/vnd.docker.image.rootfs.diff.tar");
  if (!tar || type.contains("+encrypted")) {
    return invalid(fmt::format("layer {} is of a type that cannot be unpacked: \"{}\"",
                               layer->digest.text(), type));
  }
  return layer;
}

Result<ManifestDocument> toManifest(const json::object& object) {
  const json::value* config = object.if_contains("config");
  const json::value* layers = object.if_contains("layers");
  if (config == nullptr || layers == nullptr || !layers->is_array()) {
    const json::value* version = object.if_contains("schemaVersion");
    if (version != nullptr && *version == json::value(1)) {
      return invalid("manifest has the obsolete schema 1; push it again with a current tool");
    }
    return invalid("manifest has neither layers nor other manifests");
  }
  Result<Descriptor> configDescriptor = parseDescriptor(*config, "the config");
  if (!configDescriptor) return fail(std::move(configDescriptor.error()));
  if (layers->get_array().size() > kLayersMax) {
    return invalid(fmt::format("has {} layers; at most {} are supported",
                               layers->get_array().size(), kLayersMax));
  }
  Manifest manifest{std::move(*configDescriptor), {}};
  for (const json::value& item : layers->get_array()) {
    Result<Descriptor> layer = parseLayer(item);
    if (!layer) return fail(std::move(layer.error()));
    manifest.layers.push_back(std::move(*layer));
  }
  return ManifestDocument{std::move(manifest), std::nullopt};
}

Result<ManifestDocument> toIndex(const json::array& manifests) {
  std::vector<IndexEntry> index;
  for (const json::value& item : manifests) {
    Result<Descriptor> descriptor = parseDescriptor(item, "an entry of the index");
    if (!descriptor) return fail(std::move(descriptor.error()));
    IndexEntry entry{std::move(*descriptor), {}, {}, {}, {}};
    if (const json::object* platform = child(item.get_object(), "platform")) {
      entry.os = text(*platform, "os");
      entry.architecture = text(*platform, "architecture");
      entry.variant = text(*platform, "variant");
    }
    if (const json::object* annotations = child(item.get_object(), "annotations")) {
      entry.name = text(*annotations, "org.opencontainers.image.ref.name");
    }
    index.push_back(std::move(entry));
  }
  return ManifestDocument{std::nullopt, std::move(index)};
}

}  // namespace

Result<ManifestDocument> parseManifest(std::string_view document) {
  Result<json::object> object = parseObject(document, "manifest");
  if (!object) return fail(std::move(object.error()));
  if (const json::value* manifests = object->if_contains("manifests")) {
    if (object->contains("layers")) return invalid("manifest is both an index and a manifest");
    if (manifests->is_array()) return toIndex(manifests->get_array());
  }
  return toManifest(*object);
}

Result<ConfigDocument> parseConfig(std::string_view document) {
  Result<json::object> object = parseObject(document, "config");
  if (!object) return fail(std::move(object.error()));
  ConfigDocument result;
  result.os = text(*object, "os");
  result.config.architecture = text(*object, "architecture");
  const json::object none;
  const json::object* run = child(*object, "config");
  if (run == nullptr) run = &none;
  Result<std::vector<std::string>> entrypoint = texts(*run, "Entrypoint");
  Result<std::vector<std::string>> command = texts(*run, "Cmd");
  Result<std::vector<std::string>> environment = texts(*run, "Env");
  for (auto* list : {&entrypoint, &command, &environment}) {
    if (!*list) return fail(std::move(list->error()));
  }
  result.config.entrypoint = std::move(*entrypoint);
  result.config.command = std::move(*command);
  result.config.environment = std::move(*environment);
  result.config.workingDirectory = text(*run, "WorkingDir");
  result.config.user = text(*run, "User");
  const json::object* rootfs = child(*object, "rootfs");
  Result<std::vector<std::string>> ids =
      rootfs != nullptr ? texts(*rootfs, "diff_ids") : std::vector<std::string>();
  if (!ids) return fail(std::move(ids.error()));
  for (const std::string& id : *ids) {
    std::optional<Digest> digest = Digest::parse(id);
    if (!digest) return invalid("config: a diff id is no sha256 digest: " + id.substr(0, 100));
    result.diffIds.push_back(*digest);
  }
  return result;
}

std::string machineArchitecture() {
  utsname name{};
  ::uname(&name);
  const std::string machine = name.machine;
  if (machine == "x86_64") return "amd64";
  if (machine == "aarch64") return "arm64";
  return machine;  // riscv64, ppc64le, s390x, loong64 have the same name in Go
}

Result<Descriptor> choosePlatform(const std::vector<IndexEntry>& index,
                                  const std::string& architecture) {
  std::vector<std::string> offered;
  for (const IndexEntry& entry : index) {
    const bool fits = (entry.os.empty() || entry.os == "linux") &&
                      (entry.architecture.empty() || entry.architecture == architecture);
    if (fits) return entry.manifest;
    // Attestations are filed as "unknown/unknown".
    if (entry.os != "unknown") offered.push_back(entry.os + "/" + entry.architecture);
  }
  return invalid(fmt::format(
      "is for {}; this machine is linux/{}",
      offered.empty() ? "no platform" : fmt::format("{}", fmt::join(offered, ", ")), architecture));
}

Result<void> checkPlatform(const ConfigDocument& document, const std::string& architecture) {
  const std::string& is = document.config.architecture;
  const bool linux = document.os.empty() || document.os == "linux";
  if (linux && (is.empty() || is == architecture)) return {};
  return invalid(fmt::format("is for {}/{}; this machine is linux/{}",
                             document.os.empty() ? "linux" : document.os, is, architecture));
}

}  // namespace okibi::images
