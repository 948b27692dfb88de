#include "images/reference.h"

#include <algorithm>
#include <cctype>
#include <string_view>

#include <fmt/format.h>

#include "base/encoding.h"
#include "images/image_limits.h"

namespace okibi::images {

namespace {

std::unexpected<Error> invalid(const std::string& text, std::string_view why) {
  return fail(ErrorKind::Invalid, fmt::format("image \"{}\": {}", text.substr(0, 200), why));
}

bool onlyOf(std::string_view text, std::string_view extra) {
  return std::ranges::all_of(text, [&](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || extra.contains(c);
  });
}

// The part before the first slash is a host if it looks like one, as Docker decides it.
std::string_view hostOf(std::string_view repository) {
  const std::size_t slash = repository.find('/');
  if (slash == std::string_view::npos) return {};
  const std::string_view first = repository.substr(0, slash);
  const bool host = first.contains('.') || first.contains(':') || first == "localhost";
  return host ? first : std::string_view();
}

bool isLoopback(std::string_view host) {
  if (host.starts_with('[')) return host.substr(0, host.find(']') + 1) == "[::1]";
  host = host.substr(0, host.rfind(':'));
  if (host == "localhost" || host.ends_with(".localhost")) return true;
  // A name such as "127.example.com" is not an address.
  return host.starts_with("127.") && std::ranges::count(host, '.') == 3 &&
         host.find_first_not_of("0123456789.") == std::string_view::npos;
}

Result<ImageReference> parseLayout(const std::string& text) {
  std::string rest = text.substr(4);
  LayoutReference layout;
  const std::size_t colon = rest.rfind(':');
  const std::size_t slash = rest.rfind('/');
  if (colon != std::string::npos && (slash == std::string::npos || colon > slash)) {
    layout.name = rest.substr(colon + 1);
    rest.resize(colon);
  }
  if (rest.empty() || rest.front() != '/') {
    return invalid(text, "an OCI layout is named by an absolute path: oci:/path/to/layout:ref");
  }
  layout.path = rest;
  return ImageReference{std::nullopt, std::move(layout), text};
}

}  // namespace

std::string RegistryReference::text() const {
  if (digest) return pinned(*digest);
  return repository + ":" + tag;
}

Result<ImageReference> parseReference(const std::string& text) {
  if (text.empty()) return invalid(text, "is empty");
  if (text.size() > kReferenceLength) return invalid(text, "is too long");
  if (std::ranges::any_of(text, [](unsigned char c) { return c <= ' ' || c == 0x7f; })) {
    return invalid(text, "contains a space or control character");
  }
  if (text.starts_with("oci:")) return parseLayout(text);
  std::string_view rest = text;
  if (rest.starts_with("docker://")) rest.remove_prefix(9);
  RegistryReference registry;
  if (const std::size_t at = rest.find('@'); at != std::string_view::npos) {
    registry.digest = Digest::parse(rest.substr(at + 1));
    if (!registry.digest) return invalid(text, "after '@' there must be sha256: and 64 hex digits");
    rest = rest.substr(0, at);
  }
  const std::size_t colon = rest.rfind(':');
  const std::size_t slash = rest.rfind('/');
  if (colon != std::string_view::npos && (slash == std::string_view::npos || colon > slash)) {
    registry.tag = std::string(rest.substr(colon + 1));
    rest = rest.substr(0, colon);
    if (registry.tag.empty() || registry.tag.size() > 128 || !onlyOf(registry.tag, "_.-")) {
      return invalid(text, "the tag may have letters, digits, '_', '.' and '-' only");
    }
  }
  const std::string_view host = hostOf(rest);
  const std::string_view name = host.empty() ? rest : rest.substr(host.size() + 1);
  const bool lower =
      std::ranges::none_of(name, [](unsigned char c) { return std::isupper(c) != 0; });
  if (name.empty() || !lower || !onlyOf(name, "_.-/") || !onlyOf(host, ".:-[]") ||
      name.front() == '-' || host.starts_with('-')) {
    return invalid(text,
                   "must look like host:port/name:tag or name@sha256:… (names in lower case)");
  }
  registry.repository = std::string(rest);
  registry.loopback = isLoopback(host);
  if (registry.tag.empty() && !registry.digest) registry.tag = "latest";
  std::string canonical = registry.text();
  return ImageReference{std::move(registry), std::nullopt, std::move(canonical)};
}

}  // namespace okibi::images
