#pragma once
// Owned: the one owner of an object of a C library, which its own function frees. Any thread.

#include <memory>

namespace okibi {

template <auto Free>
struct Freed {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
template <typename T, auto Free>
using Owned = std::unique_ptr<T, Freed<Free>>;

}  // namespace okibi
