// Arbitrary bytes as bodies of functions and triggers. Nothing may crash; what is refused is
// refused as the caller's mistake, with words; what is taken must come back the same after it was
// written.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "api/function_json.h"
#include "api/trigger_json.h"

namespace {

using namespace okibi;

void require(bool condition) {
  if (!condition) std::abort();
}

template <typename T>
bool taken(const Result<T>& result) {
  if (result) return true;
  require(result.error().kind == ErrorKind::Invalid && !result.error().message.empty());
  return false;
}

void asFunction(std::string_view text) {
  auto spec = api::readNewFunction(text);
  if (!taken(spec)) return;
  // The password is never written, and what is read without one is refused.
  if (spec->container.registryAuth) return;
  Function function;
  function.ref = {"1", spec->name};
  function.spec = *spec;
  const auto again =
      api::readNewFunction(api::functionJson(function, {"local"}, api::FunctionView::Full));
  // A hook without handler and command is off: its timeout is not written.
  if (again && spec->initializer.enabled() && spec->preStop.enabled()) {
    require(again->name == spec->name && again->initializer == spec->initializer);
  }
  taken(api::readFunctionUpdate(text, *spec));
}

void asTrigger(std::string_view text) {
  auto trigger = api::readNewTrigger(text);
  if (!taken(trigger)) return;
  require(!api::triggerJson(*trigger, "arn", {}).empty());
  taken(api::readTriggerUpdate(text, *trigger));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  asFunction(text);
  asTrigger(text);
  return 0;
}
