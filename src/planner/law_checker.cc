#include "planner/law_checker.h"

namespace okibi::planner {

LawChecker::LawChecker(PlannerConfig config) : books_(std::make_unique<LawBooks>(config)) {
  laws_.push_back(requestLaws(*books_));
  laws_.push_back(instanceLaws(*books_));
  laws_.push_back(scaleOutLaws(*books_));
  laws_.push_back(aheadLaws(*books_));
  laws_.push_back(capacityLaws(*books_));
  laws_.push_back(limitLaws(*books_));
  laws_.push_back(fairnessLaws(*books_));
  laws_.push_back(shareLaws(*books_));
}

void LawChecker::observe(Instant now, const Event& event, const std::vector<Command>& commands,
                         const std::vector<InstanceView>& views,
                         const std::vector<FunctionView>& functions) {
  books_->begin(now, event, views);
  for (const Command& command : commands) {
    for (const auto& law : laws_) law->before(command);
    books_->see(command);
    for (const auto& law : laws_) law->after(command);
  }
  books_->end(views);
  for (const auto& law : laws_) law->atEnd({event, commands, views, functions});
}

void LawChecker::expectRest() {
  for (const auto& [id, request] : books_->requests) {
    if (request.place == LawBooks::Place::Answered) continue;
    books_->broken(9, "invocation {} never ended", id.value());
  }
  for (const auto& [id, instance] : books_->instances) {
    books_->broken(9, "instance {} is left", id.value());
  }
}

}  // namespace okibi::planner
