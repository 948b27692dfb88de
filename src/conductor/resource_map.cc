#include "conductor/resource_map.h"

namespace okibi::conductor {

Result<void> ResourceMap::load() {
  auto stored = store_.resources();
  if (!stored) return fail(stored.error());
  for (StoredResource& resource : *stored) {
    entries_.emplace(Key{resource.value.index(), resource.id.owner, resource.id.name},
                     std::move(resource.value));
  }
  return {};
}

Result<void> ResourceMap::put(ResourceId id, Resource value) {
  Key key{value.index(), id.owner, id.name};
  StoredResource resource{std::move(id), std::move(value)};
  if (auto stored = store_.putResource(resource); !stored) return stored;
  entries_.insert_or_assign(std::move(key), std::move(resource.value));
  return {};
}

Result<void> ResourceMap::remove(const ResourceId& id, std::size_t kind) {
  const auto found = entries_.find({kind, id.owner, id.name});
  if (found == entries_.end()) return {};
  if (auto removed = store_.removeResource(id, kind); !removed) return removed;
  entries_.erase(found);
  return {};
}

void ResourceMap::forget(const FunctionRef& owner) {
  std::erase_if(entries_, [&](const auto& entry) { return std::get<1>(entry.first) == owner; });
}

}  // namespace okibi::conductor
