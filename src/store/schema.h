#pragma once
// The schema's history. Migrations are never edited once released, only followed by others.

#include <span>

#include "store/database.h"

namespace okibi::store {

std::span<const Migration> migrations();

}  // namespace okibi::store
