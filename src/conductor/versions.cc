// Versions and aliases: frozen configurations, names for them, and who may be called.

#include <algorithm>

#include <fmt/format.h>

#include "base/log.h"
#include "conductor/clock.h"
#include "conductor/conductor.h"

namespace okibi::conductor {
namespace {

std::unexpected<Error> noSuchVersion(const FunctionRef& ref, std::string_view version) {
  return fail(ErrorKind::NotFound,
              fmt::format("version '{}' of function '{}' does not exist", version, ref.name),
              "VersionNotFound");
}

std::unexpected<Error> noSuchAlias(const FunctionRef& ref, std::string_view alias) {
  return fail(ErrorKind::NotFound,
              fmt::format("alias '{}' of function '{}' does not exist", alias, ref.name),
              "AliasNotFound");
}

bool isNumber(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

}  // namespace

Result<void> Conductor::checkQualifier(const FunctionRef& ref, std::string_view qualifier) const {
  if (auto found = catalog_.get(ref); !found) return fail(found.error());
  if (qualifier.empty() || qualifier == kLatest) return {};
  const ResourceMap& resources = catalog_.resources();
  if (isNumber(qualifier)) {
    if (resources.find<Version>(ref, qualifier) == nullptr) return noSuchVersion(ref, qualifier);
  } else if (resources.find<Alias>(ref, qualifier) == nullptr) {
    return noSuchAlias(ref, qualifier);
  }
  return {};
}

Result<std::vector<std::string>> Conductor::versionsOf(const FunctionRef& ref,
                                                       std::string_view qualifier) const {
  if (auto exists = checkQualifier(ref, qualifier); !exists) return fail(exists.error());
  const auto* alias = catalog_.resources().find<Alias>(ref, qualifier);
  if (alias == nullptr) {
    return std::vector<std::string>{std::string(qualifier.empty() ? kLatest : qualifier)};
  }
  std::vector<std::string> versions{alias->versionId};
  for (const auto& [version, weight] : alias->additional) versions.push_back(version);
  return versions;
}

Result<std::string> Conductor::chooseVersion(const FunctionRef& ref, std::string_view qualifier) {
  if (auto exists = checkQualifier(ref, qualifier); !exists) return fail(exists.error());
  if (qualifier.empty()) return std::string(kLatest);
  if (qualifier == kLatest || isNumber(qualifier)) return std::string(qualifier);
  const Alias& alias = *catalog_.resources().find<Alias>(ref, qualifier);
  if (alias.additional.empty()) return alias.versionId;
  const auto [split, isNew] = splits_.try_emplace({ref, std::string(qualifier)}, alias);
  return split->second.next();
}

Result<std::string> Conductor::publish(const FunctionRef& ref, std::string description) {
  auto found = catalog_.get(ref);
  if (!found) return fail(found.error());
  const Function& function = **found;
  if (!function.active || function.lastUpdate == UpdateStatus::InProgress) {
    return fail(ErrorKind::AlreadyExists,
                fmt::format("function '{}' is {}; a version is made of a configuration that is "
                            "Active and not being updated",
                            ref.name, function.active ? "being updated" : toString(function.state)),
                "ConcurrentUpdateError");
  }
  ResourceMap& resources = catalog_.resources();
  VersionCounter counter;
  if (const auto* known = resources.find<VersionCounter>(ref)) counter = *known;
  // The number is taken before it is used: a crash in between wastes one, and none is used twice.
  ++counter.last;
  if (auto stored = resources.put({ref, {}}, counter); !stored) return fail(stored.error());
  const std::string id = std::to_string(counter.last);
  Version version{*function.active, function.imageDigest, std::move(description), wallNow()};
  if (auto stored = resources.put({ref, id}, std::move(version)); !stored) {
    return fail(stored.error());
  }
  openVersion(ref, id);
  return id;
}

Result<void> Conductor::removeVersion(const FunctionRef& ref, const std::string& id) {
  if (auto found = catalog_.get(ref); !found) return fail(found.error());
  ResourceMap& resources = catalog_.resources();
  if (resources.find<Version>(ref, id) == nullptr) return noSuchVersion(ref, id);
  for (const auto& [name, alias] : resources.of<Alias>(ref)) {
    if (alias->versionId != id && !alias->additional.contains(id)) continue;
    return fail(ErrorKind::Invalid,
                fmt::format("versionId: version {} is used by alias '{}'; change or delete the "
                            "alias first",
                            id, name),
                "InvalidArgument");
  }
  if (auto removed = resources.remove<AsyncConfig>({ref, id}); !removed) return removed;
  if (auto removed = resources.remove<Version>({ref, id}); !removed) return removed;
  close({ref, id}, std::nullopt);
  return {};
}

Result<void> Conductor::putAlias(const FunctionRef& ref, const std::string& name, Alias alias) {
  // A name for a name would have no traffic of its own to split.
  const auto check = [&](const std::string& version) -> Result<void> {
    if (version != kLatest && !isNumber(version)) return noSuchVersion(ref, version);
    return checkQualifier(ref, version);
  };
  for (const auto& [version, weight] : alias.additional) {
    if (auto exists = check(version); !exists) return exists;
  }
  if (auto exists = check(alias.versionId); !exists) return exists;
  if (auto put = catalog_.resources().put({ref, name}, std::move(alias)); !put) return put;
  splits_.erase({ref, name});
  return {};
}

Result<void> Conductor::removeAlias(const FunctionRef& ref, const std::string& name) {
  if (auto found = catalog_.get(ref); !found) return fail(found.error());
  if (catalog_.resources().find<Alias>(ref, name) == nullptr) return noSuchAlias(ref, name);
  // What was configured for the name would come back with another alias of this name.
  ResourceMap& resources = catalog_.resources();
  const auto* kept = resources.find<MinimumConfig>(ref, name);
  if (kept != nullptr && !kept->scaling && kept->minimum > 0 && !restrictionError(ref)) {
    return fail(ErrorKind::AlreadyExists,
                fmt::format("alias '{}' of function '{}' keeps {} instances; delete its provision "
                            "config first, or disable invocation of the function",
                            name, ref.name, kept->minimum),
                "ProvisionConfigExist");
  }
  if (auto removed = resources.remove<MinimumConfig>({ref, name}); !removed) return removed;
  if (auto removed = resources.remove<AsyncConfig>({ref, name}); !removed) return removed;
  if (auto removed = resources.remove<Alias>({ref, name}); !removed) return removed;
  splits_.erase({ref, name});
  targets_.forget({ref, name});
  applyMinimums();
  return {};
}

Result<void> Conductor::restrict(const FunctionRef& ref, InvocationRestriction restriction,
                                 Ongoing ongoing) {
  if (auto found = catalog_.get(ref); !found) return fail(found.error());
  restriction.modified = wallNow();
  const bool disabled = restriction.disabled;
  if (auto put = catalog_.resources().put({ref, {}}, std::move(restriction)); !put) return put;
  if (!disabled) {
    openAll(ref);
    return {};
  }
  std::vector<Target> targets;
  for (const auto& [target, key] : current_) {
    if (target.function == ref) targets.push_back(target);
  }
  for (const Target& target : targets) close(target, restrictionError(ref));
  if (ongoing == Ongoing::Finish) return {};
  for (const auto& [id, instance] : instances_) {
    // What runs is killed; its end comes back as onExit and aborts the requests on it.
    if (instance->revision->ref == ref) loop_.spawn(runtime_.stop(id, Duration::zero()));
  }
  return {};
}

std::optional<Error> Conductor::restrictionError(const FunctionRef& ref) const {
  const auto* restriction = catalog_.resources().find<InvocationRestriction>(ref);
  if (restriction == nullptr || !restriction->disabled) return std::nullopt;
  return Error{ErrorKind::Denied,
               fmt::format("invocation of function '{}' is disabled{}{}", ref.name,
                           restriction->reason.empty() ? "" : ": ", restriction->reason),
               "AccessDenied"};
}

void Conductor::openAll(const FunctionRef& ref) {
  const Function* function = catalog_.find(ref);
  if (function == nullptr) return;
  if (function->active) {
    if (auto image = images_.find(function->imageDigest)) activate(*function, std::move(*image));
  }
  // What was being prepared when the daemon ended, and images that have vanished, are pulled anew.
  const bool missing = function->active && !current_.contains({ref, std::string(kLatest)});
  if (function->lastUpdate == UpdateStatus::InProgress || (missing && !restrictionError(ref))) {
    loop_.spawn(deploy(ref, function->revision));
  }
  for (const auto& [id, version] : catalog_.resources().of<Version>(ref)) openVersion(ref, id);
}

void Conductor::openVersion(const FunctionRef& ref, const std::string& id) {
  const Version* version = catalog_.resources().find<Version>(ref, id);
  if (version == nullptr) return;
  if (auto image = images_.find(version->imageDigest)) {
    open({ref, id}, version->spec, 0, std::move(*image));
  } else {
    loop_.spawn(fetchVersion(ref, id));
  }
}

// The image of a version has vanished from this machine. Only the very same one will do.
net::Task<void> Conductor::fetchVersion(FunctionRef ref, std::string id) {
  const Version* version = catalog_.resources().find<Version>(ref, id);
  if (version == nullptr) co_return;
  const std::string digest = version->imageDigest;
  auto image = co_await images_.pull(version->spec.container.image,
                                     version->spec.container.registryAuth, [](const auto&) {});
  version = catalog_.resources().find<Version>(ref, id);
  if (version == nullptr || version->imageDigest != digest) co_return;
  if (image && image->digest == digest)
    co_return open({ref, id}, version->spec, 0, std::move(*image));
  log::warning("version without image", "function={} version={} error=\"{}\"", ref.name, id,
               image ? "its tag names another image now" : image.error().message);
}

}  // namespace okibi::conductor
