// The report as one HTML file that needs nothing else: tables, and charts drawn in SVG.

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "sim/parse.h"
#include "sim/report.h"

namespace okibi::sim {
namespace {

constexpr const char* kColours[] = {"#1565c0", "#c62828", "#2e7d32", "#6a1b9a",
                                    "#ef6c00", "#00838f", "#4e342e", "#ad1457"};
constexpr double kWidth = 720, kHeight = 300, kMargin = 56;

const char* colour(std::size_t index) {
  return kColours[index % std::size(kColours)];
}

std::string escaped(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c == '<') {
      out += "&lt;";
    } else if (c == '&') {
      out += "&amp;";
    } else if (c == '"') {
      out += "&quot;";
    } else {
      out += c;
    }
  }
  return out;
}

std::string text(double x, double y, const char* anchor, std::string_view words) {
  return fmt::format("<text x='{:.1f}' y='{:.1f}' text-anchor='{}'>{}</text>", x, y, anchor,
                     escaped(words));
}

std::string line(double x1, double y1, double x2, double y2, const char* stroke) {
  return fmt::format("<line x1='{:.1f}' y1='{:.1f}' x2='{:.1f}' y2='{:.1f}' stroke='{}'/>", x1, y1,
                     x2, y2, stroke);
}

std::string figure(std::string_view title, double height, const std::string& body) {
  return fmt::format(
      "<figure><figcaption>{}</figcaption><svg viewBox='0 0 {} {}' role='img'>{}</svg></figure>\n",
      escaped(title), kWidth, height, body);
}

// One bar per run, its shares from left to right.
std::string shareBars(const Report& report) {
  std::string body;
  double y = 8;
  for (const Run& run : report.runs) {
    const Tally& t = run.tally;
    double x = 180;
    body += text(x - 8, y + 15, "end", run.policy);
    const std::pair<double, const char*> parts[] = {
        {t.cold, "#c62828"}, {t.woken, "#ef9a00"}, {t.warm, "#2e7d32"}, {t.refused, "#555"}};
    for (const auto& [count, fill] : parts) {
      const double width = t.requests > 0 ? count / t.requests * (kWidth - 200) : 0;
      body += fmt::format("<rect x='{:.1f}' y='{:.1f}' width='{:.1f}' height='20' fill='{}'/>", x,
                          y, width, fill);
      x += width;
    }
    y += 28;
  }
  body += text(180, y + 14, "start", "red: cold, orange: woken, green: warm, grey: refused");
  return figure("What requests met", y + 24, body);
}

// Idle card time against the mean wait: the nearer to the corner the better.
std::string frontier(const Report& report) {
  double most = 1e-9, longest = 1e-9;
  for (const Run& run : report.runs) {
    most = std::max(most, run.tally.in(Use::Idle));
    longest = std::max(longest, toSeconds(run.tally.waits.mean()));
  }
  const double base = kHeight - kMargin;
  std::string body = line(kMargin, base, kWidth - 16, base, "#888") +
                     line(kMargin, 16, kMargin, base, "#888") +
                     text(kWidth / 2, kHeight - 12, "middle",
                          fmt::format("idle instance seconds, up to {:.3g}", most)) +
                     text(kMargin, 12, "start", fmt::format("mean wait, up to {:.3g} s", longest));
  for (std::size_t i = 0; i < report.runs.size(); ++i) {
    const Tally& t = report.runs[i].tally;
    const double x = kMargin + t.in(Use::Idle) / most * (kWidth - kMargin - 160);
    const double y = base - toSeconds(t.waits.mean()) / longest * (base - 24);
    body += fmt::format("<circle cx='{:.1f}' cy='{:.1f}' r='5' fill='{}'/>", x, y, colour(i));
    body += text(x + 8, y + 4, "start", report.runs[i].policy);
  }
  return figure("Idle time against wait", kHeight, body);
}

// The share of requests (up) that waited no longer than (across, logarithmic).
std::string waitCurves(const Report& report) {
  constexpr double kFirst = 1e-3, kLast = 600;
  const double base = kHeight - kMargin, span = std::log(kLast / kFirst);
  const auto xOf = [&](double s) {
    return kMargin + std::log(s / kFirst) / span * (kWidth - kMargin - 170);
  };
  std::string body = line(kMargin, 16, kMargin, base, "#888") + text(kMargin, 12, "start", "100%");
  for (double mark : {0.001, 0.01, 0.1, 1.0, 10.0, 60.0, 600.0}) {
    body += line(xOf(mark), 16, xOf(mark), base, "#ddd");
    body += text(xOf(mark), base + 18, "middle", fmt::format("{} s", mark));
  }
  for (std::size_t i = 0; i < report.runs.size(); ++i) {
    std::string points;
    for (double s = kFirst; s <= kLast; s *= 1.15) {
      const double share = report.runs[i].tally.waits.shareUpTo(fromSeconds(s));
      points += fmt::format("{:.1f},{:.1f} ", xOf(s), base - share * (base - 20));
    }
    body += fmt::format("<polyline points='{}' fill='none' stroke='{}' stroke-width='2'/>", points,
                        colour(i));
    const double y = 30 + 18 * static_cast<double>(i);
    body += fmt::format("<rect x='{}' y='{:.1f}' width='12' height='12' fill='{}'/>", kWidth - 150,
                        y - 10, colour(i));
    body += text(kWidth - 132, y, "start", report.runs[i].policy);
  }
  return figure("Waits", kHeight, body);
}

constexpr const char* kHead =
    "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'><title>okibi simulate</title>\n"
    "<style>body{font:15px/1.5 system-ui,sans-serif;max-width:860px;margin:2em auto;padding:0 1em}"
    "svg{width:100%;height:auto;font:12px system-ui,sans-serif}figure{margin:2em 0}"
    "figcaption{font-weight:600}pre{overflow-x:auto;font-size:12px}</style></head><body>\n";

}  // namespace

std::string toHtml(const Report& report) {
  return kHead +
         fmt::format("<h1>Simulation</h1><p>{}, {}, protocol {}.</p>\n", escaped(report.workload),
                     formatDuration(report.horizon), report.protocol) +
         shareBars(report) + frontier(report) + waitCurves(report) + "<pre>" +
         escaped(toText(report)) + "</pre></body></html>\n";
}

}  // namespace okibi::sim
