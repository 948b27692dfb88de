#pragma once
// Ids as types: an InstanceId cannot be passed where an InvocationId is meant. Numbers are internal
// to one daemon run; what the outside sees are names ("c-…", "1-…") kept beside them.

#include <compare>
#include <cstdint>
#include <functional>

namespace okibi {

template <typename Tag>
class Id {
 public:
  constexpr Id() = default;
  constexpr explicit Id(std::uint64_t value) : value_(value) {}
  constexpr std::uint64_t value() const { return value_; }
  constexpr bool valid() const { return value_ != 0; }
  constexpr auto operator<=>(const Id&) const = default;

 private:
  std::uint64_t value_ = 0;  // 0: none
};

using FunctionKey = Id<struct FunctionTag>;  // one deployed revision of a function (spec is fixed)
using InstanceId = Id<struct InstanceTag>;   // one sandbox
using InvocationId = Id<struct InvocationTag>;  // one request
using CardId = Id<struct CardTag>;              // one physical or simulated GPU

}  // namespace okibi

template <typename Tag>
struct std::hash<okibi::Id<Tag>> {
  std::size_t operator()(okibi::Id<Tag> id) const noexcept {
    return std::hash<std::uint64_t>()(id.value());
  }
};
