#pragma once
// A thin, typed wrapper over SQLite: a connection, prepared statements, transactions, migrations.
// One thread per Database. No exceptions; no SQLite types beyond this header's two handles.

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "base/units.h"
#include "net/fd.h"

struct sqlite3;
struct sqlite3_stmt;

namespace okibi::store {

// One step of the schema's history; version n is reached by running migration n. Never edited once
// released, only followed by another.
struct Migration {
  int version;
  std::string_view sql;
};

class Database {
 public:
  // Opens or makes the file (mode 0600): WAL, synchronous=NORMAL, foreign keys on, 5 s busy
  // timeout. Errors: Invalid (not a database, or damaged: says so and names the file), Exhausted,
  // Internal.
  static Result<Database> open(const std::filesystem::path& file);

  // Brings the schema up to the last of `migrations` (versions 1, 2, …), each in its own
  // transaction. Invalid: the file was written by a newer program; nothing is changed.
  Result<void> migrate(std::span<const Migration> migrations);
  Result<int> schemaVersion();

  // Statements without parameters and rows.
  Result<void> execute(std::string_view sql);
  int changes() const;  // rows the last statement changed

  // Any thread, also beside a statement: until everything that was committed before has reached the
  // disk. Without it a commit survives this process, but no loss of power. A disk that fails at
  // this ends the process: what it has kept nobody knows.
  void sync() const;

  sqlite3* handle() const { return handle_.get(); }

 private:
  struct Close {
    void operator()(sqlite3* handle) const;
  };
  explicit Database(sqlite3* handle) : handle_(handle) {}
  std::unique_ptr<sqlite3, Close> handle_;
  // SQLite's write-ahead log, where commits go: one file for as long as the database is open, on
  // which SQLite holds no locks.
  net::UniqueFd log_;
};

// Bytes that are not text.
struct Blob {
  std::string_view bytes;
};

// A prepared statement, used many times: bind, then step until it says no more, columns in between.
//     statement.bind(account, name);
//     auto row = statement.step();
class Statement {
 public:
  static Result<Statement> prepare(Database& database, std::string_view sql);

  // Binds all parameters in order, after resetting the statement.
  template <typename... Values>
  void bind(const Values&... values) {
    reset();
    int index = 0;
    (bindOne(++index, values), ...);
  }

  // True: a row is there; false: done (and reset). A constraint that is broken is AlreadyExists
  // (unique) or NotFound (foreign key); a full disk Exhausted; else Internal.
  Result<bool> step();
  // For statements without rows: step to the end and reset.
  Result<void> run();
  void reset();

  std::int64_t integer(int column) const;
  std::string text(int column) const;
  bool isNull(int column) const;

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  Statement(sqlite3* database, sqlite3_stmt* statement)
      : database_(database), statement_(statement) {}

  void bindOne(int index, std::int64_t value);
  void bindOne(int index, std::string_view value);
  void bindOne(int index, Blob value);
  void bindOne(int index, std::nullopt_t);
  void bindOne(int index, const std::string& value) { bindOne(index, std::string_view(value)); }
  void bindOne(int index, const char* value) { bindOne(index, std::string_view(value)); }
  void bindOne(int index, int value) { bindOne(index, static_cast<std::int64_t>(value)); }
  void bindOne(int index, std::uint64_t value) { bindOne(index, static_cast<std::int64_t>(value)); }
  void bindOne(int index, WallTime value) { bindOne(index, value.time_since_epoch().count()); }
  void bindOne(int index, const std::optional<std::string>& value);
  void bindOne(int index, std::optional<WallTime> value) {
    value ? bindOne(index, *value) : bindOne(index, std::nullopt);
  }

  sqlite3* database_ = nullptr;
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

// BEGIN IMMEDIATE … COMMIT; rolls back unless commit() succeeded.
class Transaction {
 public:
  static Result<Transaction> begin(Database& database);
  Transaction(Transaction&& other) noexcept : database_(std::exchange(other.database_, nullptr)) {}
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();
  Result<void> commit();

 private:
  explicit Transaction(Database& database) : database_(&database) {}
  Database* database_;
};

}  // namespace okibi::store
