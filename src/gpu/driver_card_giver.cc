#include "gpu/driver_card_giver.h"

#include <algorithm>
#include <fstream>

#include <fmt/format.h>

#include "base/log.h"
#include "gpu/budget_file.h"
#include "gpu/driver_files.h"
#include "gpu/text_file.h"
#include "shim/front_writer.h"

namespace okibi::gpu {
namespace {

namespace fs = std::filesystem;

Result<void> writeWhole(const fs::path& file, std::string_view bytes) {
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  out.close();
  if (!out) return fail(ErrorKind::Unavailable, file.string() + ": cannot be written");
  return {};
}

// The host's file that stands at one of the library directory's names.
std::string hostFileOf(const seams::DeviceEdits& edits, std::string_view stem) {
  const std::string prefix = fmt::format("{}/{}.", kLibraryDirectory, stem);
  for (const seams::HostMount& mount : edits.mounts) {
    if (mount.path.starts_with(prefix)) return mount.hostPath;
  }
  return {};
}

Result<void> writeFront(shim::Library library, const std::string& hostFile, std::string_view soname,
                        std::string_view realPath, const fs::path& out) {
  if (hostFile.empty())
    return fail(ErrorKind::Unavailable, fmt::format("{}: is not there", soname));
  auto exports = shim::readExports(hostFile);
  if (!exports) return fail(ErrorKind::Unavailable, hostFile + ": " + exports.error());
  shim::FrontPlan plan;
  plan.library = library;
  plan.exports = std::move(*exports);
  plan.exports.soname = soname;
  plan.shimPath = kShimPath;
  plan.realPath = realPath;
  plan.budgetPath = kBudgetPath;
  return writeWhole(out, shim::buildFront(plan));
}

}  // namespace

Result<DriverCardGiver> DriverCardGiver::create(GiverOptions options,
                                                const std::vector<seams::CardFacts>& cards) {
  DriverCardGiver giver(std::move(options));
  if (auto made = giver.makeDirectory(); !made) return fail(made.error());
  const CdiRegistry registry = CdiRegistry::load(giver.options_.cdiDirectories);
  for (const std::string& problem : registry.problems()) {
    log::warning("CDI file not used", "reason=\"{}\"", problem);
  }
  const Result<CdiSpec> driver = describeDriver(giver.options_.root, cards);
  for (const seams::CardFacts& facts : cards) {
    auto edits = giver.prepare(registry, driver, facts);
    if (!edits) {
      log::error("card cannot be given", "uuid={} reason=\"{}\"", facts.card.uuid,
                 edits.error().message);
    }
    giver.cards_.emplace(facts.card.id, std::move(edits));
  }
  return giver;
}

// A copy, because the driver's directory lists every card of the host; what it says of one does not
// change while the driver is loaded.
Result<DriverProc> DriverCardGiver::makeProc(const seams::CardFacts& facts) const {
  const DriverProc proc{options_.directory / "params",
                        options_.directory / "proc" / facts.card.uuid};
  std::error_code error;
  fs::create_directories(proc.cards, error);
  const fs::path from = options_.root / "proc/driver/nvidia/gpus" / facts.pciAddress;
  if (!error && !facts.pciAddress.empty() && fs::is_directory(from, error)) {
    const fs::path to = fs::path(proc.cards) / facts.pciAddress;
    fs::create_directory(to, error);
    for (fs::directory_iterator it(from, error), end; !error && it != end; it.increment(error)) {
      const auto text = readText(it->path());
      if (!text) continue;  // one that only some may read
      if (auto written = writeWhole(to / it->path().filename(), *text); !written) {
        return fail(written.error());
      }
    }
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    return fail(ErrorKind::Unavailable, fmt::format("{}: {}", proc.cards, error.message()));
  }
  return proc;
}

Result<void> DriverCardGiver::makeDirectory() const {
  std::error_code error;
  fs::remove_all(options_.directory, error);
  fs::create_directories(options_.directory / "budgets", error);
  if (!error) fs::permissions(options_.directory, fs::perms::owner_all, error);
  if (error) {
    return fail(ErrorKind::Unavailable,
                fmt::format("{}: {}", options_.directory.string(), error.message()));
  }
  const auto params = readText(options_.root / "proc/driver/nvidia/params");
  return writeWhole(options_.directory / "params", withoutNodeMaking(params.value_or("")));
}

Result<seams::DeviceEdits> DriverCardGiver::prepare(const CdiRegistry& registry,
                                                    const Result<CdiSpec>& driver,
                                                    const seams::CardFacts& facts) const {
  auto device = nvidiaDevice(registry, facts);
  if (!device) {
    if (!driver) return fail(withContext(driver.error(), "no CDI file describes it, and"));
    device = CdiDevice{facts.card.uuid, driver->common, driver->devices.at(facts.card.uuid)};
  }
  auto proc = makeProc(facts);
  if (!proc) return fail(proc.error());
  auto plain = nvidiaEdits(*device, facts, *proc, std::nullopt);
  if (!plain || !options_.shim) return plain;
  auto fronts = makeFronts(*plain);
  if (!fronts) return fail(withContext(fronts.error(), "the shim cannot stand there"));
  return nvidiaEdits(*device, facts, *proc, *fronts);
}

Result<ShimFiles> DriverCardGiver::makeFronts(const seams::DeviceEdits& plain) const {
  const ShimFiles files{*options_.shim, options_.directory / "libcuda.so.1",
                        options_.directory / "libnvidia-ml.so.1"};
  if (!fs::exists(files.library)) {
    return fail(ErrorKind::Unavailable, files.library + " is not there");
  }
  auto cuda = writeFront(shim::Library::Cuda, hostFileOf(plain, "libcuda.so"), "libcuda.so.1",
                         kRealCudaPath, files.cudaFront);
  if (!cuda) return fail(cuda.error());
  auto nvml = writeFront(shim::Library::Nvml, hostFileOf(plain, "libnvidia-ml.so"),
                         "libnvidia-ml.so.1", kRealNvmlPath, files.nvmlFront);
  if (!nvml) return fail(nvml.error());
  return files;
}

fs::path DriverCardGiver::budgetOf(const std::string& instance) const {
  return options_.directory / "budgets" / instance;
}

Result<seams::DeviceEdits> DriverCardGiver::give(CardId card, const std::string& instance,
                                                 Bytes slice) {
  const auto found = cards_.find(card);
  if (found == cards_.end()) return fail(ErrorKind::NotFound, "no such card");
  const Result<seams::DeviceEdits>& edits = found->second;
  if (!edits || !options_.shim) return edits;
  const std::string file = budgetOf(instance);
  BudgetSettings settings;
  // The container has one card, so its order says enough.
  settings.cards.push_back({slice, ""});
  settings.perContext = options_.perContext;
  auto budget = BudgetFile::create(file, settings);
  if (!budget) return fail(withContext(budget.error(), "the instance's GPU budget"));
  return withBudget(*edits, file);
}

void DriverCardGiver::takeBack(const std::string& instance) {
  std::error_code ignored;
  fs::remove(budgetOf(instance), ignored);
}

}  // namespace okibi::gpu
