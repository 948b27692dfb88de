#pragma once
// Triggers from and to Function Compute's JSON (Function Compute: API). triggerConfig is JSON text
// inside JSON; it is kept as the client sent it, and what is wrong in it is refused by its path.

#include <string>
#include <string_view>

#include "base/result.h"
#include "conductor/trigger_address.h"
#include "model/trigger.h"

namespace okibi::api {

// Name, type, qualifier, description and configuration; function, id and times are the caller's.
Result<Trigger> readNewTrigger(std::string_view text);
Result<Trigger> readTriggerUpdate(std::string_view text, const Trigger& current);

// `arn`: of its function.
std::string triggerJson(const Trigger& trigger, std::string_view arn,
                        const conductor::TriggerAddresses& addresses);

}  // namespace okibi::api
