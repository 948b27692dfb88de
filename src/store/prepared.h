#pragma once
// Prepared: a statement as a member beside the state it is about, prepared at its first use.

#include <optional>
#include <string_view>

#include "base/result.h"
#include "store/database.h"

namespace okibi::store {

class Prepared {
 public:
  explicit Prepared(std::string_view sql) : sql_(sql) {}

  // Binds and runs to the end: for statements without rows.
  template <typename... Values>
  Result<void> run(Database& database, const Values&... values) {
    auto ready = prepare(database);
    if (!ready) return ready;
    statement_->bind(values...);
    return statement_->run();
  }

  // Binds and calls `onRow(const Statement&)` for each row. onRow returns Result<void>; an error
  // ends it.
  template <typename OnRow, typename... Values>
  Result<void> query(Database& database, OnRow onRow, const Values&... values) {
    auto ready = prepare(database);
    if (!ready) return ready;
    statement_->bind(values...);
    for (;;) {
      const auto row = statement_->step();
      if (!row) return fail(row.error());
      if (!*row) return {};
      if (Result<void> taken = onRow(*statement_); !taken) {
        statement_->reset();
        return taken;
      }
    }
  }

 private:
  Result<void> prepare(Database& database) {
    if (statement_) return {};
    auto made = Statement::prepare(database, sql_);
    if (!made) return fail(made.error());
    statement_ = std::move(*made);
    return {};
  }

  std::string_view sql_;
  std::optional<Statement> statement_;
};

}  // namespace okibi::store
