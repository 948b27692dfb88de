#pragma once
// A function's recorded requests, fetched from the daemon for `okibi whatif`.

#include <string>

#include "cli/client.h"
#include "sim/what_if.h"

namespace okibi::cli {

struct FetchedHistory {
  sim::Recording recording;
  sim::WhatIfSetting current;  // as the function is configured
};
// What was received at `since` or later. NotFound codes as the daemon's; Invalid: an answer that
// makes no sense.
Outcome<FetchedHistory> fetchHistory(Client& client, const std::string& name, WallTime since);

}  // namespace okibi::cli
