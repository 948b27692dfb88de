#pragma once
// The StateStore in one SQLite file. See seams/state_store.h for the contract.

#include <filesystem>
#include <memory>

#include "base/result.h"
#include "seams/state_store.h"

namespace okibi::store {

// Opens or makes the database and brings its schema up to date. Invalid: damaged, or written by a
// newer program; the message names the file and what to do.
Result<std::unique_ptr<seams::StateStore>> openStateStore(const std::filesystem::path& file);

}  // namespace okibi::store
