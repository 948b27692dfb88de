#pragma once
// The planner's reasons in words: for answers, `ps`, and "why cold?", "why refused?".

#include <string>

#include "base/result.h"
#include "planner/command.h"
#include "planner/function.h"

namespace okibi::planner {

// What the function waits for: "all cards of fc.gpu.tesla.1 are full", with use and limit.
std::string describe(Shortage shortage, const Function& function);

// Why the function needs another instance now, and what it waited for.
std::string startReason(const Function& function);
// Of a start or wake for a request that is expected, and of the request that finds it there.
enum class Ahead { Started, Woken };
std::string aheadReason(Ahead how);

// Why a slice goes to that card: it fits there best, or room is being made there by `leaving`
// instances (0: it is being given back already).
enum class CardChoice { Fits, IsGivenBack, MadeRoom };
std::string cardReason(const CardBook& card, CardChoice choice, Bytes slice, std::size_t leaving);

// Whom an instance that goes makes room for, as its own account is told: "for function 'f'". What
// other accounts have is not its business.
std::string roomFor(const Function& taker, const Function& from);

// Why a request could not be served when it came: "no instance", "all 2 instances full".
std::string queuedReason(const Request& request);

// The answer to a request whose deadline has passed.
Error deadlineError(const Function& function, const PlannerConfig& config);

// Why it was dispatched late, or refused, though it had a slot.
std::string turnReason(const Request& request);
Error turnError(const CardBook& card, const PlannerConfig& config);

// The answer to a request whose line is too long for its deadline.
Error hopelessError(const Function& function, Duration wait, Duration left);

// disableOndemand, and nothing is kept.
Error keptOnlyError(const Function& function);
Error queueFullError(const Function& function, std::size_t limit);

}  // namespace okibi::planner
