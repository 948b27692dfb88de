// From the text of a scenario to what is played.

#include <algorithm>
#include <array>
#include <functional>
#include <limits>

#include <fmt/format.h>

#include "sim/parse.h"
#include "sim/scenario.h"

namespace okibi::sim {
namespace {

using Words = std::vector<std::string>;

constexpr int kMost = 1'000'000;
constexpr Duration kDeadline = std::chrono::seconds(60);

template <typename... Args>
std::unexpected<Error> bad(fmt::format_string<Args...> format, Args&&... args) {
  return fail(ErrorKind::Invalid, fmt::format(format, std::forward<Args>(args)...));
}

Result<int> wholeNumber(std::string_view what, std::string_view text, int least) {
  Result<std::int64_t> number = parseInteger(text);
  if (!number) return fail(withContext(number.error(), what));
  if (*number < least || *number > kMost) {
    return bad("{}: {} is outside {} to {}", what, *number, least, kMost);
  }
  return static_cast<int>(*number);
}

// Takes what was read, if it was.
template <typename T, typename Target>
Result<void> into(Result<T> read, Target& target) {
  if (!read) return fail(read.error());
  target = *read;
  return {};
}

class Reader {
 public:
  Result<Scenario> read(std::string_view text) {
    for (const std::string& raw : split(text, '\n')) {
      ++line_;
      Words words;
      for (std::string& word : split(raw.substr(0, raw.find('#')), ' ')) {
        if (!word.empty()) words.push_back(std::move(word));
      }
      if (words.empty()) continue;
      if (Result<void> done = readLine(words); !done) {
        return fail(withContext(done.error(), fmt::format("line {}", line_)));
      }
    }
    if (scenario_.expectations.empty()) return bad("nothing is expected");
    // In the order of the file where times are equal.
    std::multimap<Instant, ScenarioEvent> inOrder;
    for (ScenarioEvent& event : scenario_.events) inOrder.emplace(event.at, std::move(event));
    scenario_.events.clear();
    for (auto& [at, event] : inOrder) scenario_.events.push_back(std::move(event));
    scenario_.config.hostMemory = scenario_.fleet.hostMemory;
    return std::move(scenario_);
  }

 private:
  Result<void> readLine(const Words& words) {
    if (words.size() > 2 && words[1] == "=" && words[0] != "expect") return readSetting(words);
    if (words[0] == "policy") return readPolicy(words);
    if (words[0] == "function") return readFunction(words);
    if (words[0] == "expect") return readExpectation(words, 1, std::nullopt);
    if (words[0] == "at" && words.size() > 2) return readEvent(words);
    return bad("'{}' is not a setting, policy, function, at TIME or expect", words[0]);
  }

  Result<void> readSetting(const Words& words) {
    std::string value = words[2];
    for (std::size_t i = 3; i < words.size(); ++i) value += " " + words[i];
    if (words[0] == "service") return into(parseDuration(value), scenario_.service);
    return scenario_.fleet.set(words[0] == "start" ? "cold_start" : words[0], value);
  }

  // Key and value of "KEY=VALUE".
  static Result<std::pair<std::string, std::string>> pairOf(const std::string& word) {
    const std::size_t equals = word.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == word.size()) {
      return bad("'{}' is not KEY=VALUE", word);
    }
    return std::pair(word.substr(0, equals), word.substr(equals + 1));
  }
  static Result<void> readPairs(
      const Words& words, std::size_t from,
      const std::function<Result<void>(const std::string&, const std::string&)>& take) {
    for (std::size_t i = from; i < words.size(); ++i) {
      auto pair = pairOf(words[i]);
      if (!pair) return fail(pair.error());
      if (Result<void> taken = take(pair->first, pair->second); !taken) {
        return fail(withContext(taken.error(), pair->first));
      }
    }
    return {};
  }

  Result<void> readPolicy(const Words& words) {
    return readPairs(words, 1, [this](const std::string& key, const std::string& value) {
      return setPolicy(key, value);
    });
  }
  Result<void> setPolicy(const std::string& key, const std::string& value) {
    planner::PlannerConfig& config = scenario_.config;
    if (key == "scale-out") {
      if (value != "per-request" && value != "expected-wait") {
        return bad("'{}' is not per-request or expected-wait", value);
      }
      config.scaleOut =
          value == "per-request" ? planner::ScaleOut::PerRequest : planner::ScaleOut::ExpectedWait;
      return {};
    }
    if (key == "keep-alive") {
      if (value != "fixed" && value != "learned") return bad("'{}' is not fixed or learned", value);
      config.keepAlive =
          value == "fixed" ? planner::KeepAlivePolicy::Fixed : planner::KeepAlivePolicy::Learned;
      return {};
    }
    if (key == "refuse-early") {
      if (value != "on" && value != "off") return bad("'{}' is not on or off", value);
      config.refuseEarly = value == "on";
      return {};
    }
    if (key == "yield") return into(parseDuration(value), config.yieldAfter);
    const std::map<std::string, std::pair<int*, int>> numbers{
        {"margin", {&config.waitMarginPercent, -100}},
        {"turns", {&config.cardTurns, 0}},
        {"cards", {&config.cardQuota, 0}},
        {"instances", {&config.instanceQuota, 0}},
        {"burst", {&config.startBurst, 0}},
        {"growth", {&config.startGrowth, 0}},
        {"failures", {&config.startFailuresInRow, 1}}};
    if (key == "queue") return into(wholeNumber(key, value, 1), config.queuePerFunction);
    const auto found = numbers.find(key);
    if (found == numbers.end()) return bad("there is no such policy");
    return into(wholeNumber("value", value, found->second.second), *found->second.first);
  }

  Result<void> readFunction(const Words& words) {
    if (words.size() < 2 || words[1].contains('=')) return bad("a function needs a name");
    if (names_.contains(words[1])) return bad("function '{}' is there already", words[1]);
    ScenarioFunction function;
    function.plan.name = words[1];
    function.plan.account = "a";
    function.plan.freezeAfter = std::nullopt;
    Result<void> read =
        readPairs(words, 2, [&function](const std::string& key, const std::string& value) {
          return setFunction(function, key, value);
        });
    if (!read) return read;
    names_[words[1]] = scenario_.functions.size();
    function.plan.key = FunctionKey(scenario_.functions.size() + 1);
    scenario_.functions.push_back(std::move(function));
    return {};
  }
  static Result<void> setFunction(ScenarioFunction& function, const std::string& key,
                                  const std::string& value) {
    planner::FunctionPlan& plan = function.plan;
    if (key == "account") {
      plan.account = value;
      return {};
    }
    if (key == "gpu") {
      const std::size_t colon = value.find(':');
      if (colon == std::string::npos) return bad("'{}' is not TYPE:SIZE", value);
      plan.gpu = GpuConfig{value.substr(0, colon), Bytes()};
      return into(parseBytes(value.substr(colon + 1)), plan.gpu->memory);
    }
    if (key == "conc") {
      if (Result<void> read = into(wholeNumber("value", value, 1), plan.concurrency); !read) {
        return read;
      }
      if (plan.concurrency <= limits::kConcurrencyMax) return {};
      return bad("{} is outside 1 to {}", value, limits::kConcurrencyMax);
    }
    if (key == "weight") return into(wholeNumber("value", value, 1), plan.weight);
    if (key == "idle") return into(parseDuration(value), plan.idleTimeout);
    if (key == "park") return into(parseDuration(value), plan.parkAfter);
    if (key == "start") return into(parseDuration(value), function.start);
    if (key == "service") return into(parseDuration(value), function.service);
    return bad("functions have account, gpu, conc, idle, park, weight, start, service");
  }

  Result<void> readEvent(const Words& words) {
    Result<Duration> at = parseDuration(words[1]);
    if (!at) return fail(at.error());
    if (words[2] == "expect") return readExpectation(words, 3, Instant(*at));
    ScenarioEvent event;
    event.at = Instant(*at);
    event.line = line_;
    const std::string& verb = words[2];
    if (verb == "drain" && words.size() == 3) {
      event.kind = ScenarioEvent::Kind::Drain;
      scenario_.events.push_back(event);
      return {};
    }
    if (words.size() < 4) return bad("'{}' needs more", verb);
    if (verb == "runtime") return readRuntime(event, words[3]);
    if (verb == "quota") return readQuota(event, words);
    if (verb == "lose" || verb == "add") return readCard(event, words);
    const auto name = names_.find(words[3]);
    if (name == names_.end()) return bad("there is no function '{}'", words[3]);
    event.function = name->second;
    if (verb == "arrive") return readArrivals(event, words);
    return readAct(event, words);
  }

  Result<void> readRuntime(ScenarioEvent event, const std::string& word) {
    if (word != "lost" && word != "restored") return bad("'{}' is not lost or restored", word);
    event.kind =
        word == "lost" ? ScenarioEvent::Kind::RuntimeLost : ScenarioEvent::Kind::RuntimeRestored;
    scenario_.events.push_back(event);
    return {};
  }
  Result<void> readQuota(ScenarioEvent event, const Words& words) {
    event.kind = ScenarioEvent::Kind::Quota;
    event.account = words[3];
    Result<void> read = readPairs(words, 4, [&event](const std::string& key, const std::string& v) {
      constexpr std::array kKeys{"cards", "instances", "burst", "growth", "weight"};
      if (std::ranges::find(kKeys, key) == kKeys.end()) return Result<void>(bad("no such quota"));
      return into(wholeNumber("value", v, 0), event.quota[key]);
    });
    if (read) scenario_.events.push_back(event);
    return read;
  }
  Result<void> readCard(ScenarioEvent event, const Words& words) {
    event.kind = words[2] == "lose" ? ScenarioEvent::Kind::Lose : ScenarioEvent::Kind::Add;
    int cards = 0;
    for (const CardGroup& group : scenario_.fleet.cards) cards += group.count;
    if (Result<void> read = into(wholeNumber("card", words[3], 1), event.number); !read)
      return read;
    if (event.number > cards) return bad("card {} is outside 1 to {}", event.number, cards);
    scenario_.events.push_back(event);
    return {};
  }
  static Result<int> times(const std::string& word) {
    if (!word.starts_with('x')) return bad("'{}' is not xN", word);
    return wholeNumber("times", word.substr(1), 1);
  }
  Result<void> readArrivals(ScenarioEvent event, const Words& words) {
    int count = 1;
    std::size_t from = 4;
    if (words.size() > 4 && !words[4].contains('=')) {
      if (Result<void> read = into(times(words[4]), count); !read) return read;
      from = 5;
    }
    event.deadline = kDeadline;
    Duration every{};
    Result<void> read = readPairs(words, from, [&](const std::string& key, const std::string& v) {
      if (key == "every") return into(parseDuration(v), every);
      if (key == "deadline") return into(parseDuration(v), event.deadline);
      if (key == "service") return into(parseDuration(v), event.service);
      return Result<void>(bad("arrivals have every, deadline, service"));
    });
    if (!read) return read;
    for (int i = 0; i < count; ++i, event.at += every) scenario_.events.push_back(event);
    return {};
  }
  Result<void> readAct(ScenarioEvent event, const Words& words) {
    using Kind = ScenarioEvent::Kind;
    const std::map<std::string, std::pair<Kind, std::size_t>> acts{
        {"keep", {Kind::Keep, 5}},     {"weigh", {Kind::Weigh, 5}}, {"cap", {Kind::Cap, 5}},
        {"retire", {Kind::Retire, 4}}, {"crash", {Kind::Crash, 4}}, {"fail", {Kind::Fail, 5}}};
    const auto act = acts.find(words[2]);
    if (act == acts.end()) {
      return bad(
          "'{}' is not arrive, keep, weigh, cap, retire, crash, fail, lose, add, runtime, quota, "
          "drain or expect",
          words[2]);
    }
    event.kind = act->second.first;
    if (words.size() != act->second.second) return bad("'{}' takes other words", words[2]);
    if (event.kind == Kind::Cap && words[4] == "none") {
      event.number = -1;
    } else if (words.size() == 5) {
      const int least = event.kind == Kind::Weigh ? 1 : 0;
      auto number =
          event.kind == Kind::Fail ? times(words[4]) : wholeNumber("number", words[4], least);
      if (!number) return fail(number.error());
      event.number = *number;
    }
    scenario_.events.push_back(event);
    return {};
  }

  Result<void> readExpectation(const Words& words, std::size_t from, std::optional<Instant> at) {
    if (words.size() < from + 3) return bad("expect NAME|all WHAT =|<=|>= VALUE");
    Expectation e;
    e.line = line_;
    if (words[from] != "all") {
      const auto name = names_.find(words[from]);
      if (name == names_.end()) return bad("there is no function '{}'", words[from]);
      e.function = name->second;
    }
    e.what = words[from + 1];
    if (e.what == "refusal") {
      e.test = Expectation::Test::Contains;
      for (std::size_t i = from + 2; i < words.size(); ++i) {
        e.text += (e.text.empty() ? "" : " ") + words[i];
      }
    } else if (Result<void> read = readTest(e, words, from, at.has_value()); !read) {
      return read;
    }
    if (at) {
      ScenarioEvent event;
      event.at = *at;
      event.line = line_;
      event.kind = ScenarioEvent::Kind::Expect;
      event.function = scenario_.expectations.size();
      scenario_.events.push_back(event);
    }
    scenario_.expectations.push_back(std::move(e));
    return {};
  }
  static Result<void> readTest(Expectation& e, const Words& words, std::size_t from, bool timed) {
    constexpr std::array kCounts{"arrived", "served", "warm",  "cold",  "woken", "refused",
                                 "aborted", "starts", "wakes", "ahead", "stops"};
    constexpr std::array kNow{"instances", "parked", "queued"};
    const bool time = e.what == "wait-max" || e.what == "wait-mean";
    const bool known = time || std::ranges::find(kCounts, e.what) != kCounts.end() ||
                       (timed && std::ranges::find(kNow, e.what) != kNow.end());
    if (!known) return bad("'{}' cannot be expected{}", e.what, timed ? "" : " at the end");
    if (words.size() != from + 4) return bad("expect NAME|all WHAT =|<=|>= VALUE");
    const std::string& test = words[from + 2];
    if (test != "=" && test != "<=" && test != ">=") return bad("'{}' is not =, <= or >=", test);
    e.test = test == "="    ? Expectation::Test::Equal
             : test == "<=" ? Expectation::Test::AtMost
                            : Expectation::Test::AtLeast;
    e.text = fmt::format("{} {}", test, words[from + 3]);
    if (!time) return into(wholeNumber("value", words[from + 3], 0), e.value);
    Result<Duration> value = parseDuration(words[from + 3]);
    if (!value) return fail(value.error());
    e.value = toSeconds(*value);
    return {};
  }

  Scenario scenario_;
  int line_ = 0;
  std::map<std::string, std::size_t> names_;
};

}  // namespace

Result<Scenario> Scenario::parse(std::string_view text) {
  return Reader().read(text);
}

}  // namespace okibi::sim
