#include "conductor/domain_routes.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include <fmt/format.h>
#include <re2/re2.h>

#include "base/limits.h"

namespace okibi::conductor {
namespace {

constexpr int kMostCaptures = 20;

// What a replacement is made of: texts, and captures between them.
struct Piece {
  std::string text;
  int capture = -1;  // after `text`; -1: none
};

struct Rule {
  std::unique_ptr<RE2> pattern;
  std::vector<Piece> pieces;
};

std::unexpected<Error> bad(const std::string& place, std::string what) {
  return fail(ErrorKind::Invalid, place + ": " + std::move(what), "InvalidArgument");
}

bool isTargetText(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > ' ' && c < '\x7f' && c != '#'; });
}

// "/a/*" as a regular expression: '*' captures, '^' in front is the beginning, all else is itself.
std::string fromWildcard(std::string_view match) {
  std::string out;
  if (match.starts_with('^')) {
    out = "^";
    match.remove_prefix(1);
  }
  while (!match.empty()) {
    const std::size_t star = std::min(match.find('*'), match.size());
    out += RE2::QuoteMeta(re2::StringPiece(match.data(), star));
    match.remove_prefix(star);
    if (match.empty()) break;
    out += "(.*)";
    match.remove_prefix(1);
  }
  return out;
}

std::string fromEqual(std::string_view match) {
  return "^" + RE2::QuoteMeta(re2::StringPiece(match.data(), match.size())) + "$";
}

Result<std::vector<Piece>> readReplacement(std::string_view text, int captures,
                                           const std::string& place) {
  std::vector<Piece> out(1);
  while (!text.empty()) {
    const bool capture = text.size() > 1 && text[0] == '$' && text[1] >= '0' && text[1] <= '9';
    if (!capture) {
      out.back().text += text[0];
      text.remove_prefix(1);
      continue;
    }
    int number = 0;
    const auto read = std::from_chars(text.data() + 1,
                                      text.data() + std::min<std::size_t>(3, text.size()), number);
    if (number > captures) {
      return bad(place, fmt::format("${} is not among the {} captures of match", number, captures));
    }
    out.back().capture = number;
    out.emplace_back();
    text.remove_prefix(static_cast<std::size_t>(read.ptr - text.data()));
  }
  return out;
}

Result<Rule> compileRule(const RewriteRule& from, const std::string& pattern,
                         const std::string& place) {
  if (from.match.empty() || from.match.size() > limits::kRewriteText) {
    return bad(place + ".match", fmt::format("has {} characters, allowed 1–{}", from.match.size(),
                                             limits::kRewriteText));
  }
  if (from.replacement.size() > limits::kRewriteText) {
    return bad(place + ".replacement", fmt::format("has {} characters, allowed 1–{}",
                                                   from.replacement.size(), limits::kRewriteText));
  }
  if (!from.replacement.starts_with('/') && !from.replacement.starts_with('$')) {
    return bad(place + ".replacement", "must begin with '/' or a capture like $1");
  }
  if (!isTargetText(from.replacement)) {
    return bad(place + ".replacement", "holds what no path may hold (spaces, '#', non-ASCII)");
  }
  RE2::Options options(RE2::Latin1);
  options.set_log_errors(false);
  options.set_max_mem(limits::kRegexMemory.count());
  Rule rule;
  rule.pattern = std::make_unique<RE2>(pattern, options);
  if (!rule.pattern->ok()) {
    return bad(place + ".match", fmt::format("'{}' is no regular expression of RE2's: {}",
                                             from.match, rule.pattern->error()));
  }
  const int captures = rule.pattern->NumberOfCapturingGroups();
  if (captures > kMostCaptures) {
    return bad(place + ".match",
               fmt::format("has {} captures, allowed {}", captures, kMostCaptures));
  }
  auto pieces = readReplacement(from.replacement, captures, place + ".replacement");
  if (!pieces) return fail(pieces.error());
  rule.pieces = std::move(*pieces);
  return rule;
}

using Translate = std::string (*)(std::string_view);

Result<void> compileRules(const std::vector<RewriteRule>& from, Translate translate,
                          const std::string& place, std::vector<Rule>& out) {
  if (from.size() > limits::kRewriteRulesPerRoute) {
    return bad(place,
               fmt::format("has {} rules, allowed {}", from.size(), limits::kRewriteRulesPerRoute));
  }
  for (std::size_t i = 0; i < from.size(); ++i) {
    auto rule = compileRule(from[i], translate(from[i].match), fmt::format("{}[{}]", place, i));
    if (!rule) return fail(rule.error());
    out.push_back(std::move(*rule));
  }
  return {};
}

// The new path, if the rule has anything to say about `path`.
std::optional<std::string> apply(const Rule& rule, std::string_view path) {
  std::array<re2::StringPiece, kMostCaptures + 1> found;
  const re2::StringPiece text(path.data(), path.size());
  const int count = rule.pattern->NumberOfCapturingGroups() + 1;
  if (!rule.pattern->Match(text, 0, path.size(), RE2::UNANCHORED, found.data(), count)) {
    return std::nullopt;
  }
  std::string out;
  for (const Piece& piece : rule.pieces) {
    out += piece.text;
    if (piece.capture >= 0) {
      const re2::StringPiece& capture = found.at(static_cast<std::size_t>(piece.capture));
      out.append(capture.data() == nullptr ? "" : capture.data(), capture.size());
    }
  }
  if (!out.starts_with('/')) out.insert(0, "/");
  return out;
}

}  // namespace

struct DomainRoutes::Compiled {
  DomainRoute route;
  std::string prefix;  // "/a/" of "/a/*"; empty: the path itself
  std::vector<Rule> rules;

  bool takes(std::string_view path) const {
    return prefix.empty() ? path == route.path : path.starts_with(prefix);
  }
};

DomainRoutes::DomainRoutes() = default;
DomainRoutes::~DomainRoutes() = default;
DomainRoutes::DomainRoutes(DomainRoutes&&) noexcept = default;
DomainRoutes& DomainRoutes::operator=(DomainRoutes&&) noexcept = default;

Result<DomainRoutes> DomainRoutes::compile(const std::vector<DomainRoute>& routes) {
  if (routes.size() > limits::kRoutesPerDomain) {
    return bad("routeConfig.routes",
               fmt::format("has {} routes, allowed {}", routes.size(), limits::kRoutesPerDomain));
  }
  DomainRoutes out;
  for (std::size_t i = 0; i < routes.size(); ++i) {
    const DomainRoute& route = routes[i];
    const std::string place = fmt::format("routeConfig.routes[{}]", i);
    const auto star = route.path.find('*');
    const bool prefix = star != std::string::npos;
    if (!route.path.starts_with('/') || !isTargetText(route.path) ||
        route.path.find('?') != std::string::npos ||
        (prefix && (star + 1 != route.path.size() || route.path[star - 1] != '/'))) {
      return bad(place + ".path",
                 fmt::format("'{}' must be a path like /a, or /a/* for all below it", route.path));
    }
    for (const Compiled& other : out.routes_) {
      if (other.route.path == route.path) {
        return bad(place + ".path", fmt::format("'{}' is there twice", route.path));
      }
    }
    Compiled compiled;
    compiled.route = route;
    if (prefix) compiled.prefix = route.path.substr(0, star);
    const std::string rules = place + ".rewriteConfig.";
    const Translate asItIs = [](std::string_view match) { return std::string(match); };
    auto ok = compileRules(route.equal, fromEqual, rules + "equalRules", compiled.rules);
    if (ok)
      ok = compileRules(route.wildcard, fromWildcard, rules + "wildcardRules", compiled.rules);
    if (ok) ok = compileRules(route.regex, asItIs, rules + "regexRules", compiled.rules);
    if (!ok) return fail(ok.error());
    out.routes_.push_back(std::move(compiled));
  }
  // Exact paths, then prefixes, the longest first: the first that takes a path is the one.
  std::ranges::sort(out.routes_, [](const Compiled& a, const Compiled& b) {
    if (a.prefix.empty() != b.prefix.empty()) return a.prefix.empty();
    return a.prefix.size() > b.prefix.size();
  });
  return out;
}

DomainRoutes::Way DomainRoutes::follow(std::string_view target) const {
  const std::size_t end = std::min(target.find('?'), target.size());
  const std::string_view path = target.substr(0, end);
  const std::string_view query = target.substr(end);  // with its '?'
  const auto found =
      std::ranges::find_if(routes_, [&](const Compiled& one) { return one.takes(path); });
  if (found == routes_.end()) return {};
  for (const Rule& rule : found->rules) {
    auto rewritten = apply(rule, path);
    if (!rewritten) continue;
    if (rewritten->find('?') == std::string::npos) {
      *rewritten += query;
    } else if (query.size() > 1) {
      *rewritten += '&';
      *rewritten += query.substr(1);
    }
    return {&found->route, std::move(*rewritten)};
  }
  return {&found->route, std::string(target)};
}

}  // namespace okibi::conductor
