#pragma once
// From the maker's name of a card to the type that functions ask for: one of Function Compute's
// types, or "okibi.gpu.<name>" where none fits. Pure.

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/units.h"

namespace okibi::gpu {

// `pattern` is matched against the whole product name; '*' stands for any text; case is ignored.
// Only for cards with at least `minimum` of memory.
struct CardRule {
  std::string pattern;
  std::string type;
  Bytes minimum;
};

// The operator's rules (okibi.yaml, cardTypes), which come before the built-in ones. Invalid unless
// each type is one of Function Compute's or "okibi.gpu." and letters, digits, '.' and '-'.
Result<void> checkRules(const std::vector<CardRule>& rules);

// The type of a card. A partition of a card never fits a type of Function Compute, which stand for
// whole cards; `own` rules may still name one.
enum class Whole { Card, Partition };
std::string typeOf(std::string_view productName, Bytes total, Whole whole,
                   const std::vector<CardRule>& own);

// "NVIDIA A100-SXM4-40GB MIG 1g.5gb" → "okibi.gpu.a100-sxm4-40gb-mig-1g.5gb"
std::string ownTypeName(std::string_view productName);

bool matches(std::string_view pattern, std::string_view text);

}  // namespace okibi::gpu
