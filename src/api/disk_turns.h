#pragma once
// DiskTurns: waiting until changes have reached the disk, one wait of a worker for all who ask
// meanwhile: whoever comes while the disk is waited for has the next turn. Loop thread only.

#include <memory>
#include <vector>

#include "conductor/catalog.h"
#include "net/event.h"
#include "net/loop.h"

namespace okibi::api {

class DiskTurns {
 public:
  // Both outlive the loop's run.
  DiskTurns(net::Loop& loop, conductor::Catalog& catalog) : loop_(loop), catalog_(catalog) {}

  // Returns when what was changed before the call survives loss of power.
  net::Task<void> reached();

 private:
  net::Task<void> run();

  net::Loop& loop_;
  conductor::Catalog& catalog_;
  std::vector<std::shared_ptr<net::Event>> waiting_;  // for the next turn; set when it is over
  enum class Running { No, Yes } running_ = Running::No;
};

}  // namespace okibi::api
