#pragma once
// The laws of docs/architecture.md, checked from outside: it sees only the events that went in and
// the commands that came out, keeps its own books (law_books.h), and trusts nothing of the
// planner's. Each group of laws is in a file of its own (law.h). Law 6 is about the ledger's
// records: ledger/usage_law.h.

#include <memory>
#include <string>
#include <vector>

#include "planner/law.h"
#include "planner/law_books.h"

namespace okibi::planner {

class LawChecker {
 public:
  explicit LawChecker(PlannerConfig config = {});

  // One step of the planner. The views are of its state after the step; used only for what no
  // command tells: which instances are draining or promised, which functions wait in a line.
  void observe(Instant now, const Event& event, const std::vector<Command>& commands,
               const std::vector<InstanceView>& views,
               const std::vector<FunctionView>& functions = {});

  // Law 9, when all is over.
  void expectRest();

  // What was broken, in words; empty: nothing.
  const std::vector<std::string>& violations() const { return books_->violations; }

 private:
  std::unique_ptr<LawBooks> books_;  // the laws know where they are
  std::vector<std::unique_ptr<Law>> laws_;
};

}  // namespace okibi::planner
