#include "settings.h"

#include <cstdlib>

#include <unistd.h>

namespace echo {
namespace {

int number(const char* name, int fallback) {
  const char* text = getenv(name);
  return text != nullptr && *text != '\0' ? atoi(text) : fallback;
}

bool flag(const char* name) {
  return number(name, 0) != 0;
}

}  // namespace

Settings readSettings() {
  Settings settings;
  settings.port = number("FC_CUSTOM_LISTEN_PORT", settings.port);
  settings.loopbackOnly = flag("ECHO_LISTEN_LOOPBACK");
  settings.neverListen = flag("ECHO_NEVER_LISTEN");
  settings.listenDelayMs = number("ECHO_LISTEN_DELAY_MS", settings.listenDelayMs);
  settings.exitAtStart = number("ECHO_EXIT_AT_START", settings.exitAtStart);
  settings.initializeStatus = number("ECHO_INIT_FAIL", settings.initializeStatus);
  settings.initializeSleepMs = number("ECHO_INIT_SLEEP_MS", settings.initializeSleepMs);
  settings.preStopSleepMs = number("ECHO_PRESTOP_SLEEP_MS", settings.preStopSleepMs);
  settings.ignoreTerminate = flag("ECHO_IGNORE_TERM");
  settings.quiet = flag("ECHO_QUIET");
  return settings;
}

void printLine(const std::string& line) {
  const std::string text = line + "\n";
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t wrote = write(STDOUT_FILENO, text.data() + done, text.size() - done);
    if (wrote <= 0) return;
    done += static_cast<size_t>(wrote);
  }
}

}  // namespace echo
