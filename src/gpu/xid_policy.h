#pragma once
// What each of the driver's error numbers ("Xid") means for the instance and for the card. Kept as
// data. Source: NVIDIA's Xid catalog (GPU deployment and management documentation).

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "seams/gpu_inventory.h"

namespace okibi::gpu {

struct XidRule {
  std::uint64_t code;
  seams::Consequence consequence;
  std::string_view words;
};

std::span<const XidRule> xidRules();  // in order of code
// An Xid that is not in the table is reported and has no other consequence.
seams::Consequence consequenceOf(std::uint64_t xid);
std::string describeXid(std::uint64_t xid);  // "Xid 79: the card has fallen off the bus"

}  // namespace okibi::gpu
