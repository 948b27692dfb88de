#include "cli/commands.h"

namespace okibi::cli {

Outcome<void> showVersion(Format format) {
  if (format == Format::JsonText) {
    printJson(JsonObject{{"version", OKIBI_VERSION}});
  } else {
    printLine("okibi " OKIBI_VERSION);
  }
  return {};
}

}  // namespace okibi::cli
