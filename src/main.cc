// The one binary: `okibi serve` is the daemon, everything else a client command.

#include <string_view>

#include "cli/cli.h"
#include "daemon/serve.h"

int main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "serve") return okibi::daemon::serve(argc, argv);
  return okibi::cli::run(argc, argv);
}
