// Sessions in instances, as tables (testing_scenario.h).

#include "planner/testing_scenario.h"

namespace okibi::planner {
namespace {

using testing::check;

TEST(PlannerTable, SessionKeepsItsInstanceAwake) {
  check(R"(
    0    | function f idle=5      |
    0    | arrive 1 f             | start i1 (no instance)
    1    | ready i1               | dispatch 1 i1 cold (no instance)
    2    | end 1                  |
    3    | timer                  | freeze i1
    4    | enter i1               | thaw i1
    40   | arrive 2 f             | dispatch 2 i1 warm
    41   | end 2                  |
    50   | leave i1               |
    51   | timer                  | freeze i1
    55   | timer                  | thaw i1, stop i1 idle timeout
    55.1 | enter i1               |
    56   | gone i1                |
    57   | leave i1               |
  )");
}

TEST(PlannerTable, SessionsOfADrainingInstanceAreEnded) {
  check(R"(
    0    | function f             |
    0    | arrive 1 f             | start i1 (no instance)
    1    | ready i1               | dispatch 1 i1 cold (no instance)
    2    | enter i1               |
    3    | retire f               | end sessions i1
    4    | end 1                  |
    5    | enter i1               |
    6    | leave i1               | stop i1 revision retired
    7    | gone i1                |
  )");
}

TEST(PlannerTable, ShutDownEndsSessions) {
  check(R"(
    0    | function f             |
    0    | arrive 1 f             | start i1 (no instance)
    1    | ready i1               | dispatch 1 i1 cold (no instance)
    2    | enter i1               |
    3    | drain                  |
    4    | end 1                  | end sessions i1
    5    | leave i1               | stop i1 shutdown
    6    | gone i1                |
  )");
}

}  // namespace
}  // namespace okibi::planner
