#pragma once
// Result<T>: a value or an Error. The only way an expected failure travels between rooms;
// exceptions do not cross a room's public functions (docs/errors.md).

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace okibi {

// What kind of failure it is, as far as a caller can act on it. Each maps to one HTTP status in
// api/.
enum class ErrorKind {
  Invalid,        // the caller's input breaks a rule; message names field, value and allowed range
  Denied,         // signature, key or policy refuses it
  NotFound,       // the named thing does not exist
  AlreadyExists,  // the named thing exists already, or is changing
  Exhausted,      // a quota or limit is used up; message says which, how much is used, of how much
  Unavailable,    // cannot be done now (draining, not yet Active, the start failed)
  TimedOut,       // a deadline passed
  Cancelled,      // the asker went away
  Internal,       // the platform's own fault
};

std::string_view toString(ErrorKind kind);

struct Error {
  ErrorKind kind = ErrorKind::Internal;
  std::string message;
  // Wire code when it is more exact than the kind (e.g. "FunctionNotFound"); empty: derived from
  // kind.
  std::string code;
};

template <typename T>
using Result = std::expected<T, Error>;

// return fail(ErrorKind::Invalid, "cpu: 0.01 is below 0.05");
inline std::unexpected<Error> fail(ErrorKind kind, std::string message, std::string code = {}) {
  return std::unexpected(Error{kind, std::move(message), std::move(code)});
}
inline std::unexpected<Error> fail(Error error) {
  return std::unexpected(std::move(error));
}

// An Error from errno: "what: strerror". Kind is Internal unless told otherwise.
std::unexpected<Error> failErrno(std::string_view what, int error,
                                 ErrorKind kind = ErrorKind::Internal);

// Same error with "context: " put before its message.
Error withContext(Error error, std::string_view context);

}  // namespace okibi
