#include "cli/failure.h"

#include <boost/json.hpp>

#include "cli/table.h"

namespace okibi::cli {

Failure usageFailure(std::string message) {
  return {.exit = Exit::Usage,
          .code = "Usage",
          .message = std::move(message),
          .requestId = {},
          .remedy = {}};
}

Failure localFailure(const Error& error) {
  Exit exit = Exit::Failed;
  if (error.kind == ErrorKind::Invalid) exit = Exit::Usage;
  if (error.kind == ErrorKind::Denied) exit = Exit::Denied;
  return {.exit = exit,
          .code = error.code.empty() ? std::string(toString(error.kind)) : error.code,
          .message = error.message,
          .requestId = {},
          .remedy = {}};
}

std::string describe(const Failure& failure) {
  std::string text = "okibi: ";
  if (!failure.code.empty()) text += failure.code + ": ";
  text += failure.message;
  if (!failure.requestId.empty()) text += " (request id " + failure.requestId + ")";
  text = printable(text);
  if (!failure.remedy.empty()) text += "\n  " + printable(failure.remedy);
  return text;
}

std::string describeJson(const Failure& failure) {
  boost::json::object error{{"Code", failure.code}, {"Message", failure.message}};
  if (!failure.requestId.empty()) error["RequestId"] = failure.requestId;
  if (!failure.remedy.empty()) error["Remedy"] = failure.remedy;
  return boost::json::serialize(boost::json::object{{"error", std::move(error)}});
}

}  // namespace okibi::cli
