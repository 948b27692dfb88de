#pragma once

#include <string>

namespace echo {

// How this server should behave or misbehave, read once from the environment at start, so that one
// image serves every test: a slow start, a failing initializer, a port that never opens.
struct Settings {
  int port = 9000;               // FC_CUSTOM_LISTEN_PORT
  bool loopbackOnly = false;     // ECHO_LISTEN_LOOPBACK
  bool neverListen = false;      // ECHO_NEVER_LISTEN
  int listenDelayMs = 0;         // ECHO_LISTEN_DELAY_MS
  int exitAtStart = -1;          // ECHO_EXIT_AT_START: exit status, -1 for "keep running"
  int initializeStatus = 200;    // ECHO_INIT_FAIL
  int initializeSleepMs = 0;     // ECHO_INIT_SLEEP_MS
  int preStopSleepMs = 0;        // ECHO_PRESTOP_SLEEP_MS
  bool ignoreTerminate = false;  // ECHO_IGNORE_TERM
  bool quiet = false;            // ECHO_QUIET: no lines per request, for benches
};

Settings readSettings();

// Writes one line to standard output in a single write(2), so that lines never interleave.
void printLine(const std::string& line);

}  // namespace echo
