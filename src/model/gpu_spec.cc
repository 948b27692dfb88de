#include "model/gpu_spec.h"

#include <algorithm>
#include <array>

namespace okibi {
namespace {

constexpr std::array<CardType, 9> kCardTypes{{
    {"fc.gpu.tesla.1", Bytes::gib(16), 4},
    {"fc.gpu.ampere.1", Bytes::gib(24), 8},
    {"fc.gpu.ada.1", Bytes::gib(48), 8},
    {"fc.gpu.ada.2", Bytes::gib(24), 8},
    {"fc.gpu.ada.3", Bytes::gib(48), 8},
    {"fc.gpu.hopper.1", Bytes::gib(96), 8},
    {"fc.gpu.hopper.2", Bytes::gib(141), 8},
    {"fc.gpu.blackwell.1", Bytes::gib(32), 8},
    {"fc.gpu.xpu.1", Bytes::gib(96), 16},
}};

}  // namespace

std::span<const CardType> cardTypes() {
  return kCardTypes;
}

const CardType* findCardType(std::string_view name) {
  if (name == "g1") name = kCardTypes[0].name;
  for (const CardType& type : kCardTypes) {
    if (type.name == name) return &type;
  }
  return nullptr;
}

Bytes sliceOf(const GpuConfig& gpu, std::span<const Card> cards) {
  Bytes slice = gpu.memory;
  const CardType* type = findCardType(gpu.type);
  if (type == nullptr || gpu.memory != type->memory) return slice;
  for (const Card& card : cards) {
    if (card.type == gpu.type) slice = std::min(slice, card.memory);
  }
  return slice;
}

}  // namespace okibi
