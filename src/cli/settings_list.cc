#include "cli/settings_list.h"

#include <algorithm>
#include <functional>

#include <fmt/format.h>

#include "base/limits.h"
#include "cli/numbers.h"
#include "model/gpu_spec.h"
#include "sim/parse.h"

namespace okibi::cli {

namespace {

template <typename T>
Result<std::vector<T>> readList(std::string_view option, const std::string& text,
                                const std::function<Result<T>(const std::string&)>& read) {
  std::vector<T> list;
  for (const std::string& item : sim::split(text, ',')) {
    Result<T> value = read(item);
    if (!value) return fail(withContext(value.error(), option));
    if (std::ranges::find(list, *value) == list.end()) list.push_back(*value);
  }
  return list;
}

std::function<Result<int>(const std::string&)> wholeNumber(int low, int high) {
  return [low, high](const std::string& text) -> Result<int> {
    const Result<std::int64_t> value = sim::parseInteger(text);
    if (value && *value >= low && *value <= high) return static_cast<int>(*value);
    return fail(ErrorKind::Invalid,
                fmt::format("'{}' is not a whole number in {}–{}", text, low, high));
  };
}

Result<Duration> idleTime(const std::string& text) {
  const Result<Duration> time = sim::parseDuration(text);
  const bool whole = time && *time % std::chrono::seconds(1) == Duration::zero();
  if (whole && *time >= limits::kIdleTimeoutMin && *time <= limits::kIdleTimeoutMax) return *time;
  return fail(ErrorKind::Invalid,
              fmt::format("'{}' is not a whole number of seconds in {}–{}", text,
                          limits::kIdleTimeoutMin.count(), limits::kIdleTimeoutMax.count()));
}

// A plain number is gigabytes, as a slice is whole ones.
Result<Bytes> sliceSize(const std::string& text) {
  const bool plain = std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
  const Result<Bytes> size = parseSize(plain ? text + "G" : text);
  if (size && size->wholeMib() % 1024 == 0 && *size >= Bytes::gib(1)) return *size;
  return fail(ErrorKind::Invalid, fmt::format("'{}' is not a whole number of GB in 1–1024", text));
}

template <typename T>
std::vector<T> orElse(const std::vector<T>& list, T current) {
  return list.empty() ? std::vector<T>{current} : list;
}

Result<void> checkFit(const SettingsLists& lists, const sim::Recording& recording) {
  if (!lists.slice.empty() && recording.terms.gpuType.empty()) {
    return fail(ErrorKind::Invalid, "--slice: the function has no gpuConfig");
  }
  const CardType* type = findCardType(recording.terms.gpuType);
  for (const Bytes slice : lists.slice) {
    if (type == nullptr || slice <= type->memory) continue;
    return fail(ErrorKind::Invalid,
                fmt::format("--slice: {} GB is not in 1–{}, the memory of a card of {}",
                            slice.wholeGib(), type->memory.wholeGib(), type->name));
  }
  for (const int minimum : lists.minimum) {
    if (minimum > recording.mostInstances) {
      return fail(ErrorKind::Invalid,
                  fmt::format("--min: {} is not in 0–{}, the instances that quota and cap allow",
                              minimum, recording.mostInstances));
    }
  }
  return {};
}

}  // namespace

Result<SettingsLists> readSettingsLists(const std::string& concurrency, const std::string& idle,
                                        const std::string& slice, const std::string& minimum) {
  SettingsLists lists;
  auto concurrences = readList<int>("--concurrency", concurrency,
                                    wholeNumber(limits::kConcurrencyMin, limits::kConcurrencyMax));
  if (!concurrences) return fail(concurrences.error());
  auto idles = readList<Duration>("--idle", idle, idleTime);
  if (!idles) return fail(idles.error());
  auto slices = readList<Bytes>("--slice", slice, sliceSize);
  if (!slices) return fail(slices.error());
  auto minimums = readList<int>("--min", minimum, wholeNumber(0, 10'000));
  if (!minimums) return fail(minimums.error());
  return SettingsLists{.concurrency = std::move(*concurrences),
                       .minimum = std::move(*minimums),
                       .idle = std::move(*idles),
                       .slice = std::move(*slices)};
}

Result<std::vector<sim::WhatIfSetting>> settingsOf(const SettingsLists& lists,
                                                   const sim::WhatIfSetting& current,
                                                   const sim::Recording& recording) {
  if (auto fits = checkFit(lists, recording); !fits) return fail(fits.error());
  std::vector<sim::WhatIfSetting> settings;
  for (const int concurrency : orElse(lists.concurrency, current.concurrency)) {
    for (const Duration idle : orElse(lists.idle, current.idle)) {
      for (const Bytes slice : orElse(lists.slice, current.slice)) {
        for (const int minimum : orElse(lists.minimum, current.minimum)) {
          settings.push_back({concurrency, idle, slice, minimum, current.keepAlive});
        }
      }
    }
  }
  if (settings.size() <= kMostSettings) return settings;
  return fail(ErrorKind::Invalid, fmt::format("{} settings are asked for; at most {} are tried",
                                              settings.size(), kMostSettings));
}

}  // namespace okibi::cli
