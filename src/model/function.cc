#include "model/function.h"

namespace okibi {

std::string_view toString(FunctionState state) {
  switch (state) {
    case FunctionState::Pending:
      return "Pending";
    case FunctionState::Active:
      return "Active";
    case FunctionState::Failed:
      return "Failed";
  }
  return "Failed";
}

std::string_view toString(UpdateStatus status) {
  switch (status) {
    case UpdateStatus::Successful:
      return "Successful";
    case UpdateStatus::InProgress:
      return "InProgress";
    case UpdateStatus::Failed:
      return "Failed";
  }
  return "Failed";
}

}  // namespace okibi
