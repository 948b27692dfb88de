#include "gpu/cdi_spec.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <initializer_list>

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

namespace okibi::gpu {
namespace {

// Thrown and caught in this file only.
struct Fault {
  std::string message;
};

constexpr std::array<std::string_view, 8> kVersions{"0.3.0", "0.4.0", "0.5.0", "0.6.0",
                                                    "0.7.0", "0.8.0", "1.0.0", "1.1.0"};

// Where a value stands in the file, and the version that decides what may stand there.
struct Place {
  std::string at;
  std::size_t version = 0;  // index in kVersions

  Place inside(std::string_view name) const {
    return {at.empty() ? std::string(name) : fmt::format("{}.{}", at, name), version};
  }
  Place item(std::size_t index) const { return {fmt::format("{}[{}]", at, index), version}; }
  [[noreturn]] void wrong(std::string_view what) const {
    throw Fault{fmt::format("{}: {}", at.empty() ? "the file" : at, what)};
  }
};

struct Field {
  std::string_view name;
  std::string_view since = kVersions[0];
};

std::size_t indexOf(std::string_view version) {
  return static_cast<std::size_t>(std::ranges::find(kVersions, version) - kVersions.begin());
}

// Every key is known to the declared version and comes once.
void needMap(const YAML::Node& node, const Place& place, std::initializer_list<Field> fields) {
  if (!node.IsMap()) place.wrong("is not an object");
  std::vector<std::string> seen;
  for (const auto& entry : node) {
    const auto key = entry.first.as<std::string>();
    const auto found = std::ranges::find(fields, key, &Field::name);
    if (found == fields.end()) place.inside(key).wrong("is not a field that is known");
    if (indexOf(found->since) > place.version) {
      place.inside(key).wrong(fmt::format("needs cdiVersion {} or newer", found->since));
    }
    if (std::ranges::find(seen, key) != seen.end()) place.inside(key).wrong("comes twice");
    seen.push_back(key);
  }
}

std::string text(const YAML::Node& parent, std::string_view name, const Place& place) {
  const YAML::Node node = parent[std::string(name)];
  if (!node) return {};
  if (!node.IsScalar()) place.inside(name).wrong("is not a string");
  auto value = node.as<std::string>();
  if (value.find('\0') != std::string::npos) place.inside(name).wrong("holds a NUL character");
  return value;
}

std::string needText(const YAML::Node& parent, std::string_view name, const Place& place) {
  std::string value = text(parent, name, place);
  if (value.empty()) place.inside(name).wrong("is required");
  return value;
}

std::string needPath(const YAML::Node& parent, std::string_view name, const Place& place) {
  std::string value = needText(parent, name, place);
  if (!value.starts_with('/')) place.inside(name).wrong("is not an absolute path");
  for (std::size_t at = 0; at != std::string::npos; at = value.find('/', at + 1)) {
    const std::string_view part = std::string_view(value).substr(at);
    if (part == "/.." || part.starts_with("/../")) place.inside(name).wrong("holds '..'");
  }
  return value;
}

template <typename Read>
void each(const YAML::Node& parent, std::string_view name, const Place& place, Read read) {
  const YAML::Node list = parent[std::string(name)];
  if (!list || list.IsNull()) return;
  const Place here = place.inside(name);
  if (!list.IsSequence()) here.wrong("is not a list");
  for (std::size_t i = 0; i < list.size(); ++i) read(list[i], here.item(i));
}

std::vector<std::string> texts(const YAML::Node& parent, std::string_view name,
                               const Place& place) {
  std::vector<std::string> out;
  each(parent, name, place, [&](const YAML::Node& node, const Place& here) {
    if (!node.IsScalar()) here.wrong("is not a string");
    out.push_back(node.as<std::string>());
  });
  return out;
}

std::uint32_t number(const YAML::Node& node, const Place& place) {
  try {
    return node.as<std::uint32_t>();
  } catch (const YAML::Exception&) {
    place.wrong("is not a number from 0 to 4294967295");
  }
}

CdiDeviceNode readNode(const YAML::Node& node, const Place& place) {
  needMap(node, place,
          {{"path"},
           {"hostPath", "0.5.0"},
           {"type"},
           {"major"},
           {"minor"},
           {"fileMode"},
           {"permissions"},
           {"uid"},
           {"gid"}});
  CdiDeviceNode out;
  out.path = needPath(node, "path", place);
  out.hostPath = node["hostPath"] ? needPath(node, "hostPath", place) : out.path;
  out.permissions = text(node, "permissions", place);
  if (out.permissions.find_first_not_of("rwm") != std::string::npos) {
    place.inside("permissions").wrong("is not of the letters r, w and m");
  }
  const std::string type = text(node, "type", place);
  if (!type.empty() && type != "c" && type != "u" && type != "b" && type != "p") {
    place.inside("type").wrong("is not one of b, c, u, p");
  }
  for (std::string_view name : {"major", "minor", "fileMode", "uid", "gid"}) {
    if (const YAML::Node value = node[std::string(name)]) number(value, place.inside(name));
  }
  return out;
}

CdiMount readMount(const YAML::Node& node, const Place& place) {
  needMap(node, place, {{"hostPath"}, {"containerPath"}, {"options"}, {"type", "0.4.0"}});
  return {needPath(node, "hostPath", place), needPath(node, "containerPath", place),
          text(node, "type", place), texts(node, "options", place)};
}

CdiHook readHook(const YAML::Node& node, const Place& place) {
  needMap(node, place, {{"hookName"}, {"path"}, {"args"}, {"env"}, {"timeout"}});
  constexpr std::array<std::string_view, 6> kNames{
      "prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"};
  CdiHook hook{needText(node, "hookName", place), needPath(node, "path", place),
               texts(node, "args", place)};
  if (std::ranges::find(kNames, hook.name) == kNames.end()) {
    place.inside("hookName").wrong("is not a hook of the OCI runtime specification");
  }
  texts(node, "env", place);
  return hook;
}

CdiEdits readEdits(const YAML::Node& parent, const Place& outer) {
  const YAML::Node node = parent["containerEdits"];
  if (!node || node.IsNull()) return {};
  const Place place = outer.inside("containerEdits");
  needMap(node, place,
          {{"env"},
           {"deviceNodes"},
           {"mounts"},
           {"hooks"},
           {"additionalGids", "0.7.0"},
           {"intelRdt", "0.7.0"},
           {"netDevices", "1.1.0"}});
  for (std::string_view name : {"intelRdt", "netDevices"}) {
    if (node[std::string(name)]) place.inside(name).wrong("is not offered");
  }
  CdiEdits edits;
  each(node, "env", place, [&](const YAML::Node& one, const Place& here) {
    const auto entry = one.as<std::string>();
    const std::size_t equals = entry.find('=');
    if (equals == 0 || equals == std::string::npos) here.wrong("is not NAME=value");
    edits.environment.emplace_back(entry.substr(0, equals), entry.substr(equals + 1));
  });
  each(node, "deviceNodes", place, [&](const YAML::Node& one, const Place& here) {
    edits.nodes.push_back(readNode(one, here));
  });
  each(node, "mounts", place, [&](const YAML::Node& one, const Place& here) {
    edits.mounts.push_back(readMount(one, here));
  });
  each(node, "hooks", place, [&](const YAML::Node& one, const Place& here) {
    edits.hooks.push_back(readHook(one, here));
  });
  each(node, "additionalGids", place, [&](const YAML::Node& one, const Place& here) {
    edits.groups.push_back(number(one, here));
  });
  return edits;
}

bool isName(std::string_view name, std::string_view also) {
  const auto plain = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; };
  if (name.empty() || !plain(name.front()) || !plain(name.back())) return false;
  return std::ranges::all_of(
      name, [&](char c) { return plain(c) || also.find(c) != std::string_view::npos; });
}

void checkKind(const std::string& kind, const Place& place) {
  const std::size_t slash = kind.find('/');
  const std::string_view vendor = std::string_view(kind).substr(0, slash);
  const std::string_view name =
      slash == std::string::npos ? std::string_view() : std::string_view(kind).substr(slash + 1);
  if (!isName(vendor, "-_.") || !isName(name, "-_.")) place.wrong("is not vendor/class");
}

CdiSpec readSpec(const YAML::Node& root) {
  Place place;
  if (!root.IsMap()) place.wrong("is not an object");
  CdiSpec spec;
  spec.version = needText(root, "cdiVersion", place);
  place.version = indexOf(spec.version);
  if (place.version == kVersions.size()) {
    place.inside("cdiVersion")
        .wrong(fmt::format("'{}' is not one of {} to {}", spec.version, kVersions.front(),
                           kVersions.back()));
  }
  needMap(root, place,
          {{"cdiVersion"}, {"kind"}, {"annotations", "0.6.0"}, {"devices"}, {"containerEdits"}});
  spec.kind = needText(root, "kind", place);
  checkKind(spec.kind, place.inside("kind"));
  spec.common = readEdits(root, place);
  each(root, "devices", place, [&](const YAML::Node& node, const Place& here) {
    needMap(node, here, {{"name"}, {"annotations", "0.6.0"}, {"containerEdits"}});
    const std::string name = needText(node, "name", here);
    if (!isName(name, "-_.:")) here.inside("name").wrong("is not a device's name");
    if (!spec.devices.emplace(name, readEdits(node, here)).second) {
      here.inside("name").wrong(fmt::format("'{}' comes twice", name));
    }
  });
  if (spec.devices.empty()) place.inside("devices").wrong("is empty");
  return spec;
}

}  // namespace

Result<CdiSpec> parseCdi(const std::string& text) {
  try {
    return readSpec(YAML::Load(text));
  } catch (const Fault& fault) {
    return fail(ErrorKind::Invalid, fault.message);
  } catch (const YAML::Exception& error) {
    return fail(ErrorKind::Invalid, error.what());
  }
}

}  // namespace okibi::gpu
