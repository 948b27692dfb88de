#include "base/result.h"

#include <cstring>

namespace okibi {

std::string_view toString(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::Invalid:
      return "Invalid";
    case ErrorKind::Denied:
      return "Denied";
    case ErrorKind::NotFound:
      return "NotFound";
    case ErrorKind::AlreadyExists:
      return "AlreadyExists";
    case ErrorKind::Exhausted:
      return "Exhausted";
    case ErrorKind::Unavailable:
      return "Unavailable";
    case ErrorKind::TimedOut:
      return "TimedOut";
    case ErrorKind::Cancelled:
      return "Cancelled";
    case ErrorKind::Internal:
      return "Internal";
  }
  return "Internal";
}

std::unexpected<Error> failErrno(std::string_view what, int error, ErrorKind kind) {
  std::string message(what);
  message += ": ";
  message += std::strerror(error);
  return fail(kind, std::move(message));
}

Error withContext(Error error, std::string_view context) {
  error.message = std::string(context) + ": " + error.message;
  return error;
}

}  // namespace okibi
