#pragma once
// both: two tasks at once, done when both are. Cancelling it cancels both and waits for both, so
// they may refer to the frame that awaits them.

#include "net/loop.h"
#include "net/task.h"

namespace okibi::net {

Task<void> both(Loop& loop, Task<void> first, Task<void> second);

}  // namespace okibi::net
