#include "cli/pause.h"

#include "net/loop.h"

namespace okibi::cli {

void pauseFor(Duration time) {
  net::Loop loop(1);
  net::Timer timer(loop);
  timer.schedule(loop.now() + time, [&] { loop.stop(); });
  loop.run();
}

}  // namespace okibi::cli
