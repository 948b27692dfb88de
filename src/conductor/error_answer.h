#pragma once
// How an Error looks on the wire: status, code and body {RequestId, Code, Message} (Function
// Compute: API). Shared by gateway and api. Pure.

#include <string>
#include <string_view>

#include "base/result.h"

namespace okibi {

int httpStatus(const Error& error);
// error.code, or the usual code of its kind.
std::string wireCode(const Error& error);
std::string errorBody(std::string_view requestId, const Error& error);
// With the names of version 2.0 beside them: {…, ErrorCode, ErrorMessage}.
std::string errorBodyOf2(std::string_view requestId, const Error& error);

// A JSON string literal with its quotes. Bytes that are not UTF-8 become U+FFFD.
std::string jsonQuote(std::string_view text);

}  // namespace okibi
