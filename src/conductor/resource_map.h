#pragma once
// ResourceMap: the resources of model/resource.h in memory, by kind, owner and name; part of the
// Catalog. A change is stored before it is visible. Pointers are valid until the resource is put
// again or removed. Loop thread only.

#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "base/result.h"
#include "model/resource.h"
#include "seams/state_store.h"

namespace okibi::conductor {

class ResourceMap {
 public:
  explicit ResourceMap(seams::StateStore& store) : store_(store) {}

  Result<void> load();

  template <typename T>
  const T* find(const FunctionRef& owner, std::string_view name = {}) const {
    const auto found = entries_.find({kindOf<T>(), owner, std::string(name)});
    return found == entries_.end() ? nullptr : &std::get<T>(found->second);
  }

  // Of one owner, by name.
  template <typename T>
  std::vector<std::pair<std::string, const T*>> of(const FunctionRef& owner) const {
    std::vector<std::pair<std::string, const T*>> list;
    for (auto at = entries_.lower_bound({kindOf<T>(), owner, {}});
         at != entries_.end() && isOf<T>(at->first) && std::get<1>(at->first) == owner; ++at) {
      list.emplace_back(std::get<2>(at->first), &std::get<T>(at->second));
    }
    return list;
  }

  // Of everybody, by owner and name.
  template <typename T>
  std::vector<std::pair<ResourceId, const T*>> all() const {
    std::vector<std::pair<ResourceId, const T*>> list;
    for (auto at = entries_.lower_bound({kindOf<T>(), {}, {}});
         at != entries_.end() && isOf<T>(at->first); ++at) {
      list.emplace_back(ResourceId{std::get<1>(at->first), std::get<2>(at->first)},
                        &std::get<T>(at->second));
    }
    return list;
  }

  // Inserts or replaces.
  Result<void> put(ResourceId id, Resource value);
  // Nothing happens when there is none.
  template <typename T>
  Result<void> remove(const ResourceId& id) {
    return remove(id, kindOf<T>());
  }
  // Its function was removed from the store, and these with it.
  void forget(const FunctionRef& owner);

 private:
  using Key = std::tuple<std::size_t, FunctionRef, std::string>;

  template <typename T, std::size_t Index = 0>
  static constexpr std::size_t kindOf() {
    if constexpr (std::is_same_v<T, std::variant_alternative_t<Index, Resource>>) {
      return Index;
    } else {
      return kindOf<T, Index + 1>();
    }
  }
  template <typename T>
  static bool isOf(const Key& key) {
    return std::get<0>(key) == kindOf<T>();
  }
  Result<void> remove(const ResourceId& id, std::size_t kind);

  seams::StateStore& store_;
  std::map<Key, Resource> entries_;
};

}  // namespace okibi::conductor
