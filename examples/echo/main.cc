// A small static web server for Okibi's tests and benches: answers, waits, streams, fails and dies
// on demand, and tells what it can see of its container. README.md lists what it understands.
#include "server.h"
#include "settings.h"
#include <signal.h>
#include <unistd.h>

int main() {
  const echo::Settings settings = echo::readSettings();
  signal(SIGPIPE, SIG_IGN);
  if (settings.ignoreTerminate) signal(SIGTERM, SIG_IGN);
  if (settings.exitAtStart >= 0) {
    echo::printLine("echo: ends at start as it was told to, code " +
                    std::to_string(settings.exitAtStart));
    return settings.exitAtStart;
  }
  if (settings.listenDelayMs > 0) usleep(static_cast<useconds_t>(settings.listenDelayMs) * 1000);
  while (settings.neverListen) pause();
  echo::Server server(settings);
  if (!server.listen()) return 1;
  server.run();
}
