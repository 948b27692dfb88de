#include "gpu/card_naming.h"

#include <array>
#include <cctype>

#include <fmt/format.h>

#include "base/encoding.h"
#include "model/gpu_spec.h"

namespace okibi::gpu {
namespace {

struct BuiltIn {
  std::string_view pattern, type;
  Bytes minimum;
};

// Only tesla.1 is named by Function Compute (a T4). The others are the products whose memory and
// TFLOPS are those of the type (Function Compute: GPU instances), and H200, which has at least as
// much of everything as hopper.2. The driver reports less than the nominal memory, so the minimum
// is a little below.
constexpr std::array<BuiltIn, 12> kBuiltIn{{
    {"*Tesla T4", "fc.gpu.tesla.1", Bytes::gib(14)},
    {"NVIDIA T4", "fc.gpu.tesla.1", Bytes::gib(14)},
    {"*NVIDIA A10", "fc.gpu.ampere.1", Bytes::gib(22)},
    {"*NVIDIA L20", "fc.gpu.ada.1", Bytes::gib(44)},
    {"*RTX 4090 D*", "fc.gpu.ada.3", Bytes::gib(44)},
    {"*RTX 4090", "fc.gpu.ada.2", Bytes::gib(23)},
    {"*H20-3e*", "fc.gpu.hopper.2", Bytes::gib(138)},
    {"*H20", "fc.gpu.hopper.2", Bytes::gib(138)},
    {"*H200*", "fc.gpu.hopper.2", Bytes::gib(138)},
    {"*H20", "fc.gpu.hopper.1", Bytes::gib(93)},
    {"*H20-*", "fc.gpu.hopper.1", Bytes::gib(93)},
    {"*RTX 5090", "fc.gpu.blackwell.1", Bytes::gib(30)},
}};

constexpr std::string_view kOwn = "okibi.gpu.";
constexpr std::size_t kLongest = 96;

bool isOwnCharacter(char c) {
  return std::isdigit(static_cast<unsigned char>(c)) || (c >= 'a' && c <= 'z') || c == '.' ||
         c == '-';
}

bool isOwnType(std::string_view type) {
  if (!type.starts_with(kOwn) || type.size() == kOwn.size() || type.size() > kLongest) return false;
  for (char c : type.substr(kOwn.size())) {
    if (!isOwnCharacter(c)) return false;
  }
  return true;
}

}  // namespace

bool matches(std::string_view pattern, std::string_view text) {
  // Greedy with one way back: the last '*' takes one character more whenever the rest fails.
  std::size_t p = 0, t = 0, star = std::string_view::npos, mark = 0;
  const auto same = [&] {
    return p < pattern.size() && std::tolower(static_cast<unsigned char>(pattern[p])) ==
                                     std::tolower(static_cast<unsigned char>(text[t]));
  };
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      mark = t;
    } else if (same()) {
      ++p, ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++mark;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

Result<void> checkRules(const std::vector<CardRule>& rules) {
  for (const CardRule& rule : rules) {
    if (rule.pattern.empty()) return fail(ErrorKind::Invalid, "cardTypes: a product name is empty");
    const CardType* known = findCardType(rule.type);
    if ((known != nullptr && known->name == rule.type) || isOwnType(rule.type)) continue;
    return fail(ErrorKind::Invalid,
                fmt::format("cardTypes: '{}': '{}' is neither a card type of Function Compute nor "
                            "'okibi.gpu.' with a name of a–z, 0–9, '.' and '-'",
                            rule.pattern, rule.type));
  }
  return {};
}

std::string ownTypeName(std::string_view productName) {
  std::string name;
  for (char c : toLower(productName)) {
    if (isOwnCharacter(c)) {
      name += c;
    } else if (!name.empty() && name.back() != '-') {
      name += '-';
    }
  }
  if (name.starts_with("nvidia-")) name.erase(0, 7);
  name.resize(std::min(name.size(), kLongest - kOwn.size()));
  while (name.ends_with('-') || name.ends_with('.')) name.pop_back();
  return std::string(kOwn) + (name.empty() ? "card" : name);
}

std::string typeOf(std::string_view productName, Bytes total, Whole whole,
                   const std::vector<CardRule>& own) {
  for (const CardRule& rule : own) {
    if (total >= rule.minimum && matches(rule.pattern, productName)) return rule.type;
  }
  if (whole == Whole::Card) {
    for (const BuiltIn& rule : kBuiltIn) {
      if (total >= rule.minimum && matches(rule.pattern, productName))
        return std::string(rule.type);
    }
  }
  return ownTypeName(productName);
}

}  // namespace okibi::gpu
