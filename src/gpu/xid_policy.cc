#include "gpu/xid_policy.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace okibi::gpu {
namespace {

using enum seams::Consequence;

constexpr std::array<XidRule, 20> kRules{{
    {13, EndInstance, "a kernel raised an exception (out of range, illegal instruction)"},
    {31, EndInstance, "a kernel touched memory that is not its own"},
    {43, EndInstance, "the application's channel was stopped after its fault"},
    // Also the trace of a process that was killed while it computed: nothing is left to end.
    {45, EndInstance, "an application's work was removed after an error or its end"},
    {48, TakeCardOut, "a double-bit error in memory that cannot be corrected"},
    {61, TakeCardOut, "the card's internal microcontroller stopped at a breakpoint"},
    {62, TakeCardOut, "the card's internal microcontroller halted"},
    {63, TakeCardOut, "a memory row was retired or is to be remapped: the card needs a reset"},
    {64, TakeCardOut, "a memory row could not be retired or remapped"},
    {68, EndInstance, "the video processor raised an exception"},
    {69, EndInstance, "a class error in the graphics engine"},
    {74, TakeCardOut, "an NVLink failed"},
    {79, TakeCardOut, "the card has fallen off the bus"},
    {92, Report, "many corrected single-bit errors"},
    {94, TakeCardOut, "a memory error that was contained to one application"},
    {95, TakeCardOut, "a memory error that was not contained"},
    {109, EndInstance, "a context switch did not end in time"},
    {119, TakeCardOut, "the card's system processor (GSP) did not answer"},
    {120, TakeCardOut, "the card's system processor (GSP) failed"},
    {140, TakeCardOut, "a memory error that was not recovered"},
}};

const XidRule* find(std::uint64_t xid) {
  const auto found = std::ranges::lower_bound(kRules, xid, {}, &XidRule::code);
  return found != kRules.end() && found->code == xid ? &*found : nullptr;
}

}  // namespace

std::span<const XidRule> xidRules() {
  return kRules;
}

seams::Consequence consequenceOf(std::uint64_t xid) {
  const XidRule* rule = find(xid);
  return rule == nullptr ? Report : rule->consequence;
}

std::string describeXid(std::uint64_t xid) {
  const XidRule* rule = find(xid);
  return rule == nullptr ? fmt::format("Xid {}", xid) : fmt::format("Xid {}: {}", xid, rule->words);
}

}  // namespace okibi::gpu
