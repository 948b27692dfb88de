#pragma once
// Verdict: what a finished API invocation is to the ledger and to its caller (Function Compute:
// custom containers). Pure.

#include <string>

#include "conductor/conductor.h"
#include "net/http_client.h"

namespace okibi::gateway {

// Function errors are answers with status 200 whose header says what went wrong.
bool isFunctionError(const Error& error);

struct Verdict {
  conductor::Ending ending;
  net::ResponseHead head;
  std::string text;  // body of a function error
};
Verdict judge(const Result<net::WholeAnswer>& answer, const conductor::Invocation& invocation);

}  // namespace okibi::gateway
