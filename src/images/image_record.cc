#include "images/image_record.h"

#include <optional>

#include <boost/json.hpp>

namespace okibi::images {

namespace json = boost::json;

std::string encodeRecord(const ImageRecord& record) {
  json::array layers;
  for (const StoredLayer& layer : record.layers) {
    layers.push_back(json::object{{"diffId", layer.diffId.text()},
                                  {"blob", layer.blob.text()},
                                  {"size", layer.size.count()}});
  }
  json::array references(record.references.begin(), record.references.end());
  return json::serialize(json::object{{"version", 1},
                                      {"digest", record.digest.text()},
                                      {"config", record.config.text()},
                                      {"layers", layers},
                                      {"references", references},
                                      {"origin", record.origin},
                                      {"pulledMs", record.pulled.time_since_epoch().count()}});
}

namespace {

Digest digestOf(const json::object& object, const char* key) {
  std::optional<Digest> digest = Digest::parse(std::string_view(object.at(key).as_string()));
  if (!digest) throw std::runtime_error(std::string(key) + " is no digest");
  return *digest;
}

ImageRecord decode(const json::object& object) {
  if (object.at("version").as_int64() != 1) throw std::runtime_error("version is not 1");
  ImageRecord record{digestOf(object, "digest"), digestOf(object, "config"), {}, {}, {}, {}};
  for (const json::value& item : object.at("layers").as_array()) {
    const json::object& layer = item.as_object();
    record.layers.push_back(
        {digestOf(layer, "diffId"), digestOf(layer, "blob"), Bytes(layer.at("size").as_int64())});
  }
  for (const json::value& item : object.at("references").as_array()) {
    record.references.emplace(std::string_view(item.as_string()));
  }
  record.origin = std::string(std::string_view(object.at("origin").as_string()));
  record.pulled = WallTime(std::chrono::milliseconds(object.at("pulledMs").as_int64()));
  return record;
}

}  // namespace

Result<ImageRecord> decodeRecord(std::string_view text) {
  try {
    return decode(json::parse({text.data(), text.size()}).as_object());
  } catch (const std::exception& e) {
    return fail(ErrorKind::Invalid, std::string("image record: ") + e.what());
  }
}

}  // namespace okibi::images
