#include "sim/packing_run.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>

#include <fmt/format.h>

#include "base/random.h"
#include "sim/parse.h"
#include "sim/table_reader.h"

namespace okibi::sim {
namespace {

constexpr double kTypicalShare = 0.95;

// The numbers of the named columns, row by row.
template <typename Row>
Result<void> readRows(const std::string& path, const std::vector<std::string>& columns, Row row) {
  Result<TableReader> table = TableReader::open(path);
  if (!table) return fail(table.error());
  std::vector<std::size_t> indices;
  for (const std::string& column : columns) {
    Result<std::size_t> index = table->column(column);
    if (!index) return fail(index.error());
    indices.push_back(*index);
  }
  std::vector<std::int64_t> values(columns.size());
  while (true) {
    Result<bool> more = table->next();
    if (!more) return fail(more.error());
    if (!*more) return {};
    for (std::size_t i = 0; i < indices.size(); ++i) {
      Result<double> value = table->number(indices[i]);
      if (!value) return fail(value.error());
      values[i] = std::llround(*value);
    }
    row(values, *table);
  }
}

}  // namespace

Result<PackingLists> PackingLists::read(const std::string& nodes, const std::string& pods) {
  PackingLists lists;
  using Values = std::vector<std::int64_t>;
  Result<void> done = readRows(
      nodes, {"cpu_milli", "memory_mib", "gpu"}, [&](const Values& v, const TableReader& table) {
        const auto model = table.findColumn("model");
        lists.nodes.push_back(
            {v[0], v[1],
             std::vector<std::int64_t>(static_cast<std::size_t>(v[2]), planner::kWholeCard),
             model ? std::string(table.field(*model)) : std::string()});
      });
  if (!done) return fail(done.error());
  done = readRows(
      pods, {"cpu_milli", "memory_mib", "num_gpu", "gpu_milli"},
      [&](const Values& v, const TableReader& table) {
        const auto spec = table.findColumn("gpu_spec");
        lists.pods.push_back({v[0], v[1], static_cast<int>(v[2]), v[3],
                              spec ? split(table.field(*spec), '|') : std::vector<std::string>()});
      });
  if (!done) return fail(done.error());
  if (lists.nodes.empty() || lists.pods.empty()) {
    return fail(ErrorKind::Invalid, "there are no nodes or no pods");
  }
  return lists;
}

std::vector<planner::TypicalDemand> typicalOf(const std::vector<planner::PackDemand>& pods,
                                              Shape shape) {
  std::map<std::tuple<std::int64_t, int, std::int64_t, std::int64_t, std::vector<std::string>>,
           std::int64_t>
      counts;
  const bool plain = shape == Shape::Plain;
  for (const planner::PackDemand& pod : pods) {
    ++counts[{pod.cpu, pod.cards, pod.perCard, plain ? 0 : pod.memory,
              plain || pod.cards == 0 ? std::vector<std::string>() : pod.models}];
  }
  std::vector<planner::TypicalDemand> typical;
  for (const auto& [key, count] : counts) {
    const auto& [cpu, cards, perCard, memory, models] = key;
    typical.push_back({cpu, cards, perCard, static_cast<double>(count), models, memory});
  }
  // Equal ones in order of their shape.
  std::ranges::sort(typical, [](const auto& a, const auto& b) {
    return std::tuple(-a.share, a.cpu, a.cards, a.perCard) <
           std::tuple(-b.share, b.cpu, b.cards, b.perCard);
  });
  double sum = 0;
  std::size_t kept = 0;
  const double wanted = plain ? kTypicalShare : 1;
  while (sum < wanted * static_cast<double>(pods.size())) sum += typical[kept++].share;
  typical.resize(kept);
  for (planner::TypicalDemand& demand : typical) demand.share /= sum;
  return typical;
}

PackingResult pack(const PackingLists& lists, planner::PackPolicy policy, std::uint64_t seed) {
  Random random(seed);
  std::vector<const planner::PackDemand*> order;
  for (const planner::PackDemand& pod : lists.pods) order.push_back(&pod);
  for (std::size_t i = order.size(); i > 1; --i) {
    std::swap(order[i - 1],
              order[static_cast<std::size_t>(random.between(0, static_cast<std::int64_t>(i) - 1))]);
  }
  double capacity = 0, asked = 0, placed = 0;
  for (const planner::PackNode& node : lists.nodes) {
    capacity += static_cast<double>(node.freeCards());
  }
  const Shape shape = policy == planner::PackPolicy::Okibi ? Shape::Full : Shape::Plain;
  planner::Packer packer(lists.nodes, typicalOf(lists.pods, shape), policy, seed);
  PackingResult result;
  for (std::size_t i = 0; asked < 1.3 * capacity; ++i) {
    const planner::PackDemand& pod =
        i < order.size() ? *order[i]
                         : lists.pods[static_cast<std::size_t>(random.between(
                               0, static_cast<std::int64_t>(lists.pods.size()) - 1))];
    const bool before = asked < capacity;
    asked += static_cast<double>(pod.cardTotal());
    if (packer.place(pod)) placed += static_cast<double>(pod.cardTotal());
    if (!before || asked < capacity) continue;
    result.alloc100 = 100 * placed / capacity;
    result.frag100 = 100 * packer.fragmentation() / capacity;
  }
  result.alloc130 = 100 * placed / capacity;
  return result;
}

Result<planner::PackPolicy> parsePackPolicy(std::string_view name) {
  if (name == "random") return planner::PackPolicy::Random;
  if (name == "bestfit") return planner::PackPolicy::BestFit;
  if (name == "fgd") return planner::PackPolicy::Fgd;
  if (name == "okibi") return planner::PackPolicy::Okibi;
  return fail(ErrorKind::Invalid, fmt::format("'{}' is not random, bestfit, fgd or okibi", name));
}

}  // namespace okibi::sim
