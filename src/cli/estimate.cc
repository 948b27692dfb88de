#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/commands.h"
#include "cli/files.h"
#include "cli/numbers.h"
#include "cli/table.h"
#include "ledger/price_book.h"
#include "model/gpu_spec.h"

namespace okibi::cli {

namespace {

double amount(Money money) {
  return static_cast<double>(money.micros()) / 1e6;
}

Result<ledger::PriceBook> readPrices(const std::string& file) {
  if (file.empty()) return ledger::PriceBook{};
  Result<std::string> text = readFile(file, Bytes::mib(1));
  if (!text) return fail(text.error());
  Result<ledger::PriceBook> book = ledger::parsePriceBook(*text);
  if (!book) return fail(withContext(book.error(), file));
  return book;
}

// The rule that a deployment is held to, so that no price is told for what cannot run.
Result<void> checkSlice(Bytes slice, const std::string& type) {
  const CardType* known = type.empty() ? nullptr : findCardType(type);
  if (!type.empty() && known == nullptr) {
    std::vector<std::string_view> names;
    for (const CardType& one : cardTypes()) names.push_back(one.name);
    return fail(ErrorKind::Invalid,
                fmt::format("--gpu-type: '{}' is not one of {}", type, fmt::join(names, ", ")));
  }
  Bytes largest;
  for (const CardType& one : cardTypes()) {
    if (known == nullptr || &one == known) largest = std::max(largest, one.memory);
  }
  if (slice.wholeMib() % 1024 == 0 && slice >= Bytes::gib(1) && slice <= largest) return {};
  return fail(
      ErrorKind::Invalid,
      fmt::format("--gpu: {} is not a whole number of GB in 1–{} GB, a slice of one card",
                  formatMegabytes(static_cast<double>(slice.wholeMib())), largest.wholeGib()));
}

Result<ledger::EstimateInput> readInput(const EstimateOptions& options) {
  Result<std::int64_t> calls = parseCount(options.callsPerDay);
  if (!calls) return fail(withContext(calls.error(), "--calls-per-day"));
  Result<Duration> seconds = parseSeconds(options.seconds);
  if (!seconds) return fail(withContext(seconds.error(), "--seconds"));
  Result<Bytes> gpu = parseSize(options.gpu);
  if (!gpu) return fail(withContext(gpu.error(), "--gpu"));
  if (Result<void> fits = checkSlice(*gpu, options.gpuType); !fits) return fail(fits.error());
  return ledger::EstimateInput{
      .callsPerDay = *calls, .perCall = *seconds, .gpuType = options.gpuType, .gpuMemory = *gpu};
}

void describe(const ledger::EstimateInput& input, const ledger::Estimate& e,
              const std::string& currency) {
  auto line = [](std::string_view name, const std::string& value) {
    printLine(fmt::format("{:<22}{}", name, value));
  };
  line("load", fmt::format("{} calls of {} a day on {}",
                           formatCount(static_cast<double>(input.callsPerDay)),
                           formatMilliseconds(toMilliseconds(input.perCall)),
                           formatMegabytes(static_cast<double>(input.gpuMemory.wholeMib()))));
  line("GPU time",
       fmt::format("{} GB·s a day", formatCount(static_cast<double>(e.gpuMbMs) / 1024 / 1000)));
  line("cost", formatMoney(amount(e.perDay), currency) + " a day");
  line("always-on instead",
       fmt::format("{} a day ({} card{})", formatMoney(amount(e.alwaysOnPerDay), currency),
                   e.alwaysOnCards, e.alwaysOnCards == 1 ? "" : "s"));
  line("utilization", formatPercent(e.utilization));
  line("saving", formatPercent(e.saving));
}

}  // namespace

Outcome<void> showEstimate(Format format, const EstimateOptions& options) {
  Result<ledger::PriceBook> prices = readPrices(options.pricesFile);
  if (!prices) return std::unexpected(localFailure(prices.error()));
  Result<ledger::EstimateInput> input = readInput(options);
  if (!input) return std::unexpected(localFailure(input.error()));
  Result<ledger::Estimate> e = ledger::estimate(*prices, *input);
  if (!e) return std::unexpected(localFailure(e.error()));
  if (format == Format::JsonText) {
    printJson(JsonObject{{"currency", prices->currency},
                         {"perDay", amount(e->perDay)},
                         {"alwaysOnPerDay", amount(e->alwaysOnPerDay)},
                         {"alwaysOnCards", e->alwaysOnCards},
                         {"utilization", e->utilization},
                         {"saving", e->saving},
                         {"gpuGBSeconds", static_cast<double>(e->gpuMbMs) / 1024 / 1000}});
  } else {
    describe(*input, *e, prices->currency);
  }
  return {};
}

}  // namespace okibi::cli
