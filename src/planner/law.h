#pragma once
// One group of the laws of docs/architecture.md, judged by the books. Each is in a file of its own,
// laws_*.cc, and says there what it checks; LawChecker asks all of them.

#include <memory>
#include <vector>

#include "planner/law_books.h"

namespace okibi::planner {

struct LawStep {
  const Event& event;
  const std::vector<Command>& commands;
  const std::vector<InstanceView>& instances;
  const std::vector<FunctionView>& functions;
};

class Law {
 public:
  virtual ~Law() = default;
  // A command, by the books before and after they have seen it.
  virtual void before(const Command&) {}
  virtual void after(const Command&) {}
  // All that the step commanded is in the books.
  virtual void atEnd(const LawStep&) {}
};

// Law 10: of those who wait for cards, nobody is passed over more often, for each that waits.
inline constexpr int kTurnsEach = 8;

// The books outlive them, and take what is broken.
std::unique_ptr<Law> capacityLaws(LawBooks& books);  // 1, 5
std::unique_ptr<Law> requestLaws(LawBooks& books);   // 2, 8
std::unique_ptr<Law> instanceLaws(LawBooks& books);  // 3; of sessions also 2, 9
std::unique_ptr<Law> scaleOutLaws(LawBooks& books);  // 4
std::unique_ptr<Law> aheadLaws(LawBooks& books);     // 4, of what is only expected
std::unique_ptr<Law> limitLaws(LawBooks& books);     // 7
std::unique_ptr<Law> fairnessLaws(LawBooks& books);  // 10
std::unique_ptr<Law> shareLaws(LawBooks& books);     // 10, of weights

}  // namespace okibi::planner
