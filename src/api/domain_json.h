#pragma once
// CustomDomain as JSON (Function Compute: API). Inside api only.

#include <string>
#include <string_view>

#include <boost/json.hpp>

#include "base/result.h"
#include "base/units.h"
#include "conductor/domain_table.h"

namespace okibi::api {

// `current` with what the body names changed: for Create an empty one. Invalid with every complaint
// by path. A certificate is checked when the body has one; its key may be left out if it stays.
Result<CustomDomain> readDomain(const boost::json::object& body, CustomDomain current,
                                WallTime now);

// The private key is never shown.
boost::json::object domainJson(const conductor::Domain& domain);

}  // namespace okibi::api
