#include "store/database.h"

#include <cerrno>

#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"

namespace okibi::store {
namespace {

constexpr int kBusyTimeoutMs = 5000;

ErrorKind kindOf(int extended) {
  switch (extended) {
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
      return ErrorKind::AlreadyExists;
    case SQLITE_CONSTRAINT_FOREIGNKEY:
      return ErrorKind::NotFound;
    default:
      break;
  }
  switch (extended & 0xff) {
    case SQLITE_FULL:
      return ErrorKind::Exhausted;
    case SQLITE_BUSY:
      return ErrorKind::Unavailable;
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
      return ErrorKind::Invalid;
    default:
      return ErrorKind::Internal;
  }
}

std::unexpected<Error> sqliteError(sqlite3* handle) {
  const int code = sqlite3_extended_errcode(handle);
  const char* file = sqlite3_db_filename(handle, "main");
  ErrorKind kind = kindOf(code);
  // A used-up disk quota or a file size limit reaches SQLite as an I/O error.
  const int system = sqlite3_system_errno(handle);
  if ((code & 0xff) == SQLITE_IOERR && (system == ENOSPC || system == EDQUOT || system == EFBIG)) {
    kind = ErrorKind::Exhausted;
  }
  std::string message =
      fmt::format("database {}: {}", file != nullptr ? file : "?", sqlite3_errmsg(handle));
  if (kind == ErrorKind::Exhausted) message += " (make room on the disk; nothing was changed)";
  if (kind == ErrorKind::Invalid) {
    message += " (restore it from a backup, or move it away to begin with an empty one)";
  }
  return fail(kind, std::move(message));
}

Result<std::int64_t> readNumber(Database& database, std::string_view sql) {
  auto statement = Statement::prepare(database, sql);
  if (!statement) return fail(statement.error());
  const auto row = statement->step();
  if (!row) return fail(row.error());
  return *row ? statement->integer(0) : 0;
}

}  // namespace

void Database::Close::operator()(sqlite3* handle) const {
  sqlite3_close_v2(handle);
}

Result<Database> Database::open(const std::filesystem::path& file) {
  sqlite3* handle = nullptr;
  const int flags =
      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  const int opened = sqlite3_open_v2(file.c_str(), &handle, flags, nullptr);
  OKIBI_CHECK(handle != nullptr, "out of memory");
  Database database(handle);
  if (opened != SQLITE_OK) return sqliteError(handle);
  sqlite3_busy_timeout(handle, kBusyTimeoutMs);
  // It holds the secrets of access keys. The -wal and -shm files take their mode from it.
  if (::chmod(file.c_str(), 0600) != 0) return failErrno("chmod " + file.string(), errno);
  for (const std::string_view sql :
       {"PRAGMA journal_mode = WAL", "PRAGMA synchronous = NORMAL", "PRAGMA foreign_keys = ON"}) {
    if (auto ok = database.execute(sql); !ok) return fail(ok.error());
  }
  // Damage shows now, while a human is there, and not at some later write.
  auto check = Statement::prepare(database, "PRAGMA quick_check(1)");
  if (!check) return fail(check.error());
  const auto row = check->step();
  if (!row) return fail(row.error());
  if (const std::string verdict = check->text(0); verdict != "ok") {
    return fail(ErrorKind::Invalid,
                fmt::format("database {} is damaged: {} (restore it from a backup, or move it "
                            "away to begin with an empty one)",
                            file.string(), verdict));
  }
  check->reset();
  const std::string log = file.string() + "-wal";
  database.log_ = net::UniqueFd(::open(log.c_str(), O_RDWR | O_CLOEXEC));
  if (!database.log_) return failErrno("open " + log, errno);
  return database;
}

void Database::sync() const {
  const int synced = ::fdatasync(log_.get());
  OKIBI_CHECK(synced == 0, "the database's log cannot be synced: error {}", errno);
}

Result<int> Database::schemaVersion() {
  const auto version = readNumber(*this, "PRAGMA user_version");
  if (!version) return fail(version.error());
  return static_cast<int>(*version);
}

Result<void> Database::migrate(std::span<const Migration> migrations) {
  const auto version = schemaVersion();
  if (!version) return fail(version.error());
  const int newest = migrations.empty() ? 0 : migrations.back().version;
  if (*version > newest) {
    return fail(ErrorKind::Invalid,
                fmt::format("database {} has schema {}, written by a newer okibi; this one knows "
                            "up to {}. Use the newer program, or another state directory",
                            sqlite3_db_filename(handle(), "main"), *version, newest));
  }
  for (const Migration& migration : migrations) {
    if (migration.version <= *version) continue;
    auto transaction = Transaction::begin(*this);
    if (!transaction) return fail(transaction.error());
    const auto context = fmt::format("migration to schema {}", migration.version);
    if (auto ok = execute(migration.sql); !ok) return fail(withContext(ok.error(), context));
    // The version moves in the same transaction as what it describes.
    if (auto ok = execute(fmt::format("PRAGMA user_version = {}", migration.version)); !ok) {
      return fail(withContext(ok.error(), context));
    }
    if (auto ok = transaction->commit(); !ok) return fail(withContext(ok.error(), context));
  }
  return {};
}

Result<void> Database::execute(std::string_view sql) {
  const int code = sqlite3_exec(handle(), std::string(sql).c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return sqliteError(handle());
  return {};
}

int Database::changes() const {
  return sqlite3_changes(handle());
}

void Statement::Finalize::operator()(sqlite3_stmt* statement) const {
  sqlite3_finalize(statement);
}

Result<Statement> Statement::prepare(Database& database, std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(database.handle(), sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (code != SQLITE_OK) return sqliteError(database.handle());
  return Statement(database.handle(), statement);
}

Result<bool> Statement::step() {
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) {
    sqlite3_reset(statement_.get());
    return false;
  }
  auto error = sqliteError(database_);
  sqlite3_reset(statement_.get());
  return error;
}

Result<void> Statement::run() {
  const auto row = step();
  if (!row) return fail(row.error());
  reset();
  return {};
}

void Statement::reset() {
  sqlite3_reset(statement_.get());
}

std::int64_t Statement::integer(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}

std::string Statement::text(int column) const {
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_.get(), column));
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column));
  return bytes == nullptr ? std::string() : std::string(bytes, size);
}

bool Statement::isNull(int column) const {
  return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL;
}

void Statement::bindOne(int index, std::int64_t value) {
  OKIBI_CHECK(sqlite3_bind_int64(statement_.get(), index, value) == SQLITE_OK, "parameter {}",
              index);
}

void Statement::bindOne(int index, std::string_view value) {
  // SQLite reads a null pointer as NULL; a default string_view is an empty text all the same.
  if (value.data() == nullptr) value = "";
  OKIBI_CHECK(sqlite3_bind_text64(statement_.get(), index, value.data(), value.size(),
                                  SQLITE_TRANSIENT, SQLITE_UTF8) == SQLITE_OK,
              "parameter {}", index);
}

void Statement::bindOne(int index, Blob value) {
  if (value.bytes.data() == nullptr) value.bytes = "";
  OKIBI_CHECK(sqlite3_bind_blob64(statement_.get(), index, value.bytes.data(), value.bytes.size(),
                                  SQLITE_TRANSIENT) == SQLITE_OK,
              "parameter {}", index);
}

void Statement::bindOne(int index, std::nullopt_t) {
  OKIBI_CHECK(sqlite3_bind_null(statement_.get(), index) == SQLITE_OK, "parameter {}", index);
}

void Statement::bindOne(int index, const std::optional<std::string>& value) {
  if (value) {
    bindOne(index, std::string_view(*value));
  } else {
    bindOne(index, std::nullopt);
  }
}

Result<Transaction> Transaction::begin(Database& database) {
  if (auto ok = database.execute("BEGIN IMMEDIATE"); !ok) return fail(ok.error());
  return Transaction(database);
}

Transaction::~Transaction() {
  // A full disk may have rolled back already; then there is nothing to undo.
  if (database_ != nullptr && sqlite3_get_autocommit(database_->handle()) == 0) {
    static_cast<void>(database_->execute("ROLLBACK"));
  }
}

Result<void> Transaction::commit() {
  if (auto ok = database_->execute("COMMIT"); !ok) return ok;
  database_ = nullptr;
  return {};
}

}  // namespace okibi::store
