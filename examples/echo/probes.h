#pragma once

#include "reply.h"

namespace echo {

// What the process can see and do from inside its container; each answers in JSON and reports a
// refusal as `errno` and `error` instead of failing, because a refusal is often what a test wants.

Reply probeWhoAmI();
Reply probeEnvironment();
Reply probeRead(const Request& request);   // ?path=
Reply probeWrite(const Request& request);  // ?path=, body
Reply probeList(const Request& request);   // ?path=
Reply probeConnect(
    const Request& request);               // ?host=&port=&timeout_ms= or ?unix=PATH or ?unix=@NAME
Reply probeAlloc(const Request& request);  // ?mb=&hold=1
Reply probeFill(const Request& request);   // ?mb=&path=&keep=1
Reply probeFork(const Request& request);   // ?n=&keep=1&setsid=1&ignore_term=1
Reply probeCpu(const Request& request);    // ?ms=

}  // namespace echo
