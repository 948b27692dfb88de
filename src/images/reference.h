#pragma once
// What a user may name an image by: a registry reference ("host:port/name:tag", "name@sha256:…") or
// a local OCI layout ("oci:/path:ref").

#include <filesystem>
#include <optional>
#include <string>

#include "base/result.h"
#include "images/digest.h"

namespace okibi::images {

struct RegistryReference {
  std::string repository;        // "127.0.0.1:5000/echo", without tag and digest
  std::string tag;               // empty if a digest or nothing was given
  std::optional<Digest> digest;  // "name@sha256:…"
  bool loopback = false;         // plain HTTP is acceptable
  std::string text() const;      // as skopeo takes it after "docker://"
  std::string pinned(const Digest& manifest) const { return repository + "@" + manifest.text(); }
};

struct LayoutReference {
  std::filesystem::path path;
  std::string name;  // org.opencontainers.image.ref.name; empty: the only image of the layout
};

struct ImageReference {
  std::optional<RegistryReference> registry;
  std::optional<LayoutReference> layout;  // exactly one of the two
  // What the store files it under: the default tag written out, so that "a" and "a:latest" are one.
  std::string canonical;
};

// Errors: Invalid, with what is wrong with it.
Result<ImageReference> parseReference(const std::string& text);

}  // namespace okibi::images
