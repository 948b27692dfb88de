#pragma once
// What an instance exec asks for (Function Compute: instance exec): GET
// …/functions/{fn}/instances/{id}/exec with `command` (repeated), `stdin`, `stdout`, `stderr`,
// `tty`, `qualifier`, and how long it may be silent. Inside api.

#include <string>
#include <string_view>
#include <vector>

#include "api/call.h"
#include "base/limits.h"
#include "base/units.h"
#include "net/http.h"
#include "seams/instance_runtime.h"

namespace okibi::api {

// Our own clients' subprotocol: their text messages are not for the program but about it,
//   {"columns": 132, "rows": 43}   the terminal has this size now
//   {"stdin": "closed"}            there is no more input
// Without it all that comes is the program's input.
inline constexpr std::string_view kExecProtocol = "okibi.exec.v1";

// What goes to the program; frames to the client begin with one of these bytes.
enum class ExecStream : char { Stdout = 1, Stderr = 2 };

struct ExecOrder {
  seams::Program program;
  bool in = true, out = true, err = true;
  std::string qualifier;
  Duration idle = limits::kSessionIdleMax;
};
// Invalid, naming the parameter.
Result<ExecOrder> readExecOrder(const QueryPairs& query);

// Whether it is one; `path` without the version's prefix, decoded.
bool isExec(const net::RequestHead& head, const std::vector<std::string>& path);

}  // namespace okibi::api
