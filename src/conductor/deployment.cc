// Deployment: from a wanted configuration to a revision that serves. The image is made present
// before anything else, so that no request ever waits for a registry.

#include <algorithm>

#include <fmt/format.h>

#include "base/log.h"
#include "base/random.h"
#include "conductor/clock.h"
#include "conductor/conductor.h"
#include "model/validation.h"

namespace okibi::conductor {
namespace {

planner::FunctionPlan planOf(FunctionKey key, const FunctionRef& ref, const FunctionSpec& spec,
                             const std::vector<Card>& cards) {
  planner::FunctionPlan plan;
  plan.key = key;
  plan.account = ref.account;
  plan.name = ref.name;
  plan.gpu = spec.gpu;
  if (plan.gpu) plan.gpu->memory = sliceOf(*plan.gpu, cards);
  plan.weight = spec.weight.value_or(1);
  plan.concurrency = spec.concurrency;
  plan.idleTimeout = spec.keptIdle();
  if (!spec.onDemand) plan.demand = planner::FunctionPlan::Demand::KeptOnly;
  // Function Compute, custom containers: with one request at a time and no health check, an
  // instance whose request was given up is replaced.
  if (spec.concurrency == 1 && !spec.container.healthCheck) {
    plan.afterAbandon = planner::AfterAbandon::ReplaceInstance;
  }
  return plan;
}

// Whether nothing is asked for but another weight, which concerns no instance.
bool onlyWeighs(const Function& function, const std::string& digest) {
  if (!function.active || function.imageDigest != digest) return false;
  FunctionSpec as = *function.active;
  as.weight = function.spec.weight;
  return as == function.spec && function.active->weight != function.spec.weight;
}

std::string randomId() {
  return fmt::format("{:016x}{:016x}", systemRandomBits(), systemRandomBits());
}

// The folder of "oci:/path/to/layout:ref"; empty: the image comes from a registry.
std::filesystem::path layoutOf(std::string_view reference) {
  constexpr std::string_view kScheme = "oci:";
  if (!reference.starts_with(kScheme)) return {};
  reference.remove_prefix(kScheme.size());
  const std::size_t colon = reference.rfind(':'), slash = reference.rfind('/');
  const bool named =
      colon != std::string_view::npos && (slash == std::string_view::npos || colon > slash);
  return reference.substr(0, named ? colon : reference.size());
}

// By where the path really leads, so that neither ".." nor a link gets out of a root.
bool isBelow(const std::filesystem::path& folder, const std::vector<std::filesystem::path>& roots) {
  std::error_code error;
  const auto real = std::filesystem::weakly_canonical(folder, error);
  if (error) return false;
  return std::ranges::any_of(roots, [&](const std::filesystem::path& root) {
    const auto base = std::filesystem::weakly_canonical(root, error) / "";
    return !error && (real / "").string().starts_with(base.string());
  });
}

}  // namespace

// A function's author names an image; which files of this machine may be read for it is the
// operator's to say.
Result<void> Conductor::checkImageSource(const FunctionSpec& spec) const {
  const std::string& reference = spec.container.image;
  const auto layout = layoutOf(reference);
  if (layout.empty() || isBelow(layout, settings_.layoutRoots) || findImported(reference)) {
    return {};
  }
  return fail(ErrorKind::Invalid,
              fmt::format("customContainerConfig.image: '{}' is neither imported (okibi image "
                          "import) nor below a folder of the configuration key images.layoutRoots",
                          reference),
              "InvalidArgument");
}

// At deployment, and again at each start: what the operator approves may have changed since.
Result<void> Conductor::checkModelDirectories(const std::string& account,
                                              const FunctionSpec& spec) const {
  if (spec.modelDirectories.empty()) return {};
  if (settings_.runtime == "process") {
    return fail(ErrorKind::Invalid,
                "okibi.modelDirectories: are not offered by a daemon with --runtime process, which "
                "cannot make a directory read-only; leave them out",
                "InvalidArgument");
  }
  return validateModelDirectories(spec.modelDirectories,
                                  modelRootNames(settings_.modelRoots, account));
}

Result<seams::PreparedImage> Conductor::findImported(const std::string& reference) const {
  for (seams::PreparedImage& image : images_.list()) {
    if (image.reference == reference) return std::move(image);
  }
  return fail(ErrorKind::NotFound, fmt::format("image '{}' is not imported", reference));
}

net::Task<Result<seams::PreparedImage>> Conductor::makePresent(ContainerConfig container) {
  const auto layout = layoutOf(container.image);
  if (!layout.empty() && !isBelow(layout, settings_.layoutRoots)) {
    co_return findImported(container.image);
  }
  co_return co_await images_.pull(container.image, container.registryAuth, [](const auto&) {});
}

Result<const Function*> Conductor::create(const std::string& account, FunctionSpec spec) {
  if (auto valid = validate(spec, {settings_.cpus, settings_.memory, settings_.cards}); !valid) {
    return fail(valid.error());
  }
  if (auto allowed = checkImageSource(spec); !allowed) return fail(allowed.error());
  if (auto allowed = checkModelDirectories(account, spec); !allowed) return fail(allowed.error());
  const FunctionRef ref{account, spec.name};
  if (catalog_.find(ref) != nullptr) {
    return fail(ErrorKind::AlreadyExists, fmt::format("function '{}' exists already", ref.name),
                "FunctionAlreadyExists");
  }
  Function function;
  function.ref = ref;
  function.functionId = randomId();
  function.spec = std::move(spec);
  function.stateReasonCode = "Creating";
  function.stateReason = "the image is being pulled";
  function.created = function.modified = wallNow();
  if (auto stored = catalog_.put(std::move(function)); !stored) return fail(stored.error());
  loop_.spawn(deploy(ref, 1));
  return catalog_.get(ref);
}

Result<const Function*> Conductor::update(const FunctionRef& ref, FunctionSpec spec) {
  auto found = catalog_.get(ref);
  if (!found) return found;
  if (auto valid = validate(spec, {settings_.cpus, settings_.memory, settings_.cards}); !valid) {
    return fail(valid.error());
  }
  if (auto allowed = checkImageSource(spec); !allowed) return fail(allowed.error());
  if (auto allowed = checkModelDirectories(ref.account, spec); !allowed) {
    return fail(allowed.error());
  }
  Function function = **found;
  ++function.revision;
  function.spec = std::move(spec);
  function.modified = wallNow();
  function.lastUpdate = UpdateStatus::InProgress;
  function.lastUpdateReason = "the image is being pulled";
  function.lastUpdateReasonCode = "ImageOptimizing";
  if (!function.active) function.state = FunctionState::Pending;
  const std::uint64_t revision = function.revision;
  if (auto stored = catalog_.put(std::move(function)); !stored) return fail(stored.error());
  loop_.spawn(deploy(ref, revision));
  return catalog_.get(ref);
}

Result<void> Conductor::remove(const FunctionRef& ref) {
  if (auto found = catalog_.get(ref); !found) return fail(found.error());
  for (const auto& [qualifier, config] : catalog_.resources().of<MinimumConfig>(ref)) {
    if (config->scaling || config->minimum == 0 || restrictionError(ref)) continue;
    return fail(ErrorKind::AlreadyExists,
                fmt::format("function '{}' keeps {} instances for '{}'; delete its provision "
                            "config first, or disable its invocation",
                            ref.name, config->minimum, qualifier),
                "ProvisionConfigExist");
  }
  if (auto removed = catalog_.remove(ref); !removed) return removed;
  logs_.forget(ref);
  std::vector<Target> targets;
  for (const auto& [target, key] : current_) {
    if (target.function == ref) targets.push_back(target);
  }
  for (const Target& target : targets) close(target, std::nullopt);
  applyCap(ref);
  std::erase_if(splits_, [&](const auto& entry) { return entry.first.first == ref; });
  return {};
}

Result<void> Conductor::setTags(const FunctionRef& ref, std::map<std::string, std::string> tags) {
  auto found = catalog_.get(ref);
  if (!found) return fail(found.error());
  Function function = **found;
  if (function.active) function.active->tags = tags;
  function.spec.tags = std::move(tags);
  function.modified = wallNow();
  return catalog_.put(std::move(function));
}

net::Task<void> Conductor::deploy(FunctionRef ref, std::uint64_t revision) {
  const Function* function = catalog_.find(ref);
  if (function == nullptr) co_return;
  auto image = co_await makePresent(function->spec.container);
  function = catalog_.find(ref);
  // Deleted or changed again meanwhile: that change has a deployment of its own.
  if (function == nullptr || function->revision != revision) co_return;
  Function next = *function;
  next.lastUpdateReason.clear();
  next.lastUpdateReasonCode.clear();
  const Target latest{ref, std::string(kLatest)};
  const bool weighs = image && current_.contains(latest) && onlyWeighs(next, image->digest);
  if (image) {
    next.active = next.spec;
    if (!weighs) next.activeRevision = revision;
    next.imageDigest = image->digest;
    next.state = FunctionState::Active;
    next.stateReason.clear();
    next.stateReasonCode.clear();
    next.lastUpdate = UpdateStatus::Successful;
  } else {
    log::warning("deployment failed", "function={} error=\"{}\"", ref.name, image.error().message);
    next.lastUpdate = UpdateStatus::Failed;
    next.lastUpdateReason = image.error().message;
    next.lastUpdateReasonCode = "ImagePullFailed";
    if (!next.active) {
      next.state = FunctionState::Failed;
      next.stateReason = image.error().message;
      next.stateReasonCode = "ImagePullFailed";
    }
  }
  if (auto stored = catalog_.put(std::move(next)); !stored) {
    log::error("state write failed", "function={} error=\"{}\"", ref.name, stored.error().message);
    co_return;
  }
  if (weighs) {
    step(planner::WeightChanged{current_.at(latest), catalog_.find(ref)->spec.weight.value_or(1)});
  } else if (image) {
    activate(*catalog_.find(ref), std::move(*image));
  }
  // Nobody waits for it: should power be lost before, the function is deployed anew.
  co_await loop_.offload([&catalog = catalog_] { catalog.sync(); });
}

void Conductor::activate(const Function& function, seams::PreparedImage image) {
  open({function.ref, std::string(kLatest)}, *function.active, function.activeRevision,
       std::move(image));
}

void Conductor::open(const Target& target, const FunctionSpec& spec, std::uint64_t number,
                     seams::PreparedImage image) {
  if (restrictionError(target.function)) return;
  const FunctionKey key(++lastFunction_);
  auto revision = std::make_shared<Revision>(Revision{key, target.function, spec, number,
                                                      target.version, std::move(image),
                                                      roleUseOf(spec, target.function.account)});
  revisions_.emplace(key, revision);
  std::optional<FunctionKey> replaces;
  if (const auto current = current_.find(target); current != current_.end()) {
    replaces = current->second;
  }
  current_[target] = key;
  step(planner::FunctionAdded{planOf(key, target.function, spec, settings_.cards), replaces});
  if (replaces) forgetRevision(*replaces);
  applyMinimums();
}

void Conductor::close(const Target& target, std::optional<Error> refusal) {
  const auto current = current_.extract(target);
  if (!current) return;
  step(planner::FunctionRetired{current.mapped(), std::move(refusal)});
  forgetRevision(current.mapped());
}

void Conductor::forgetRevision(FunctionKey key) {
  revisions_.erase(key);
  startErrors_.erase(key);
}

}  // namespace okibi::conductor
