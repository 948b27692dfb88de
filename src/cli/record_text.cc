#include "cli/record_text.h"

#include <fmt/format.h>

#include "base/encoding.h"
#include "cli/numbers.h"
#include "cli/table.h"

namespace okibi::cli {

namespace {

std::string phasesText(const Json& phases) {
  std::string out;
  for (std::string_view name : {"schedule", "image", "sandbox", "app", "init"}) {
    out += fmt::format("{}{} {}", out.empty() ? "" : ", ", name,
                       formatMilliseconds(number(phases, std::string(name) + "Ms")));
  }
  return out;
}

std::string startText(const Json& record) {
  std::string reason = printable(text(record, "reason"));
  std::string kind = isTrue(record, "refused")  ? "refused"
                     : isTrue(record, "cold")   ? "cold start"
                     : isTrue(record, "thawed") ? "warm (thawed)"
                                                : "warm";
  return reason.empty() ? kind : kind + ": " + reason;
}

}  // namespace

std::vector<std::string> recordLines(const Json& record) {
  std::vector<std::string> lines{"start        " + startText(record)};
  if (isTrue(record, "refused")) {
    lines.push_back("waited       " + formatMilliseconds(number(record, "totalMs")));
    return lines;
  }
  if (isTrue(record, "cold")) {
    lines.push_back("phases       " + phasesText(member(record, "phases")));
  }
  lines.push_back(fmt::format("duration     {} in the function, {} in all",
                              formatMilliseconds(number(record, "requestMs")),
                              formatMilliseconds(number(record, "totalMs"))));
  lines.push_back("GPU billed   " + formatMilliseconds(number(record, "gpuBilledMs")));
  lines.push_back("cost         " + formatMoney(number(record, "cost"), text(record, "currency")));
  return lines;
}

}  // namespace okibi::cli
