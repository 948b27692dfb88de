#include "store/database.h"

#include <array>
#include <fstream>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/schema.h"
#include "store/sqlite_state_store.h"
#include "store/state_directory.h"
#include "store/test_directory.h"

namespace okibi::store {
namespace {

Database open(const std::filesystem::path& file) {
  auto database = Database::open(file);
  EXPECT_TRUE(database) << database.error().message;
  return std::move(*database);
}

std::int64_t number(Database& database, std::string_view sql) {
  auto statement = Statement::prepare(database, sql);
  EXPECT_TRUE(statement) << statement.error().message;
  EXPECT_TRUE(statement->step().value_or(false));
  return statement->integer(0);
}

TEST(Database, IsPrivateAndDurable) {
  TestDirectory directory;
  Database database = open(directory / "a.db");
  EXPECT_EQ(number(database, "PRAGMA synchronous"), 1);
  EXPECT_EQ(number(database, "PRAGMA foreign_keys"), 1);
  auto mode = Statement::prepare(database, "PRAGMA journal_mode");
  ASSERT_TRUE(mode->step().value());
  EXPECT_EQ(mode->text(0), "wal");
  struct stat status{};
  ASSERT_EQ(::stat((directory / "a.db").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST(Database, StatementsBindAndReadEveryType) {
  TestDirectory directory;
  Database database = open(directory / "a.db");
  ASSERT_TRUE(database.execute("CREATE TABLE t (a, b, c, d, e)"));
  auto insert = Statement::prepare(database, "INSERT INTO t VALUES (?, ?, ?, ?, ?)");
  insert->bind(std::int64_t{-7}, std::string("x\0y", 3), Blob{std::string_view("\0\xff", 2)},
               std::optional<std::string>(), std::optional<std::string>("some"));
  ASSERT_TRUE(insert->run());
  auto select = Statement::prepare(database, "SELECT a, b, c, d, e FROM t");
  ASSERT_TRUE(select->step().value());
  EXPECT_EQ(select->integer(0), -7);
  EXPECT_EQ(select->text(1), std::string("x\0y", 3));
  EXPECT_EQ(select->text(2), std::string("\0\xff", 2));
  EXPECT_TRUE(select->isNull(3));
  EXPECT_EQ(select->text(4), "some");
  EXPECT_FALSE(select->step().value());
}

TEST(Database, ADefaultStringViewIsAnEmptyTextAndNotNull) {
  TestDirectory directory;
  Database database = open(directory / "a.db");
  ASSERT_TRUE(database.execute("CREATE TABLE t (a TEXT NOT NULL, b BLOB NOT NULL)"));
  auto insert = Statement::prepare(database, "INSERT INTO t VALUES (?, ?)");
  insert->bind(std::string_view(), Blob{});
  const auto inserted = insert->run();
  ASSERT_TRUE(inserted) << inserted.error().message;
  EXPECT_EQ(number(database, "SELECT count(*) FROM t WHERE a = '' AND b = x''"), 1);
}

TEST(Database, ATransactionThatIsNotCommittedIsUndone) {
  TestDirectory directory;
  Database database = open(directory / "a.db");
  ASSERT_TRUE(database.execute("CREATE TABLE t (a)"));
  {
    auto transaction = Transaction::begin(database);
    ASSERT_TRUE(transaction);
    ASSERT_TRUE(database.execute("INSERT INTO t VALUES (1)"));
  }
  EXPECT_EQ(number(database, "SELECT count(*) FROM t"), 0);
  auto transaction = Transaction::begin(database);
  ASSERT_TRUE(database.execute("INSERT INTO t VALUES (1)"));
  ASSERT_TRUE(transaction->commit());
  EXPECT_EQ(number(database, "SELECT count(*) FROM t"), 1);
}

TEST(Database, BrokenConstraintsHaveTheirKinds) {
  TestDirectory directory;
  Database database = open(directory / "a.db");
  ASSERT_TRUE(database.execute(
      "CREATE TABLE p (a PRIMARY KEY); CREATE TABLE c (a REFERENCES p); INSERT INTO p VALUES (1)"));
  EXPECT_EQ(database.execute("INSERT INTO p VALUES (1)").error().kind, ErrorKind::AlreadyExists);
  EXPECT_EQ(database.execute("INSERT INTO c VALUES (2)").error().kind, ErrorKind::NotFound);
  EXPECT_EQ(database.execute("SELEC").error().kind, ErrorKind::Internal);
}

TEST(Database, AFullDiskIsExhaustedAndNothingChanges) {
  TestDirectory directory;
  Database database = open(directory / "a.db");
  ASSERT_TRUE(database.execute("CREATE TABLE t (a); INSERT INTO t VALUES (1)"));
  ASSERT_TRUE(database.execute("PRAGMA max_page_count = 3"));
  auto insert = Statement::prepare(database, "INSERT INTO t VALUES (?)");
  insert->bind(std::string(100'000, 'x'));
  const auto failed = insert->run();
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().kind, ErrorKind::Exhausted);
  EXPECT_NE(failed.error().message.find("a.db"), std::string::npos);
  EXPECT_EQ(number(database, "SELECT count(*) FROM t"), 1);
}

// What sync() relies on: commits go to one and the same file, whatever becomes of its content.
TEST(Database, ItsLogStaysOneFile) {
  TestDirectory directory;
  const auto file = directory / "a.db";
  Database database = open(file);
  const auto inode = [&] {
    struct stat status{};
    EXPECT_EQ(::stat((file.string() + "-wal").c_str(), &status), 0);
    return std::pair(status.st_ino, status.st_size);
  };
  const auto first = inode();
  ASSERT_TRUE(database.execute("CREATE TABLE t (a)"));
  EXPECT_GT(inode().second, 0) << "the commit is there";
  database.sync();
  for (const char* mode : {"PASSIVE", "RESTART", "TRUNCATE"}) {
    EXPECT_EQ(number(database, fmt::format("PRAGMA wal_checkpoint({})", mode)), 0);
    for (int i = 0; i < 3000; ++i) {  // beyond the size at which SQLite starts over
      ASSERT_TRUE(database.execute("INSERT INTO t VALUES (hex(randomblob(500)))"));
    }
    database.sync();
    EXPECT_EQ(inode().first, first.first) << mode;
  }
}

TEST(Database, AForeignOrDamagedFileIsRefusedByName) {
  TestDirectory directory;
  {
    std::ofstream out(directory / "text.db");
    out << std::string(8192, 'x');
  }
  const auto foreign = Database::open(directory / "text.db");
  ASSERT_FALSE(foreign);
  EXPECT_EQ(foreign.error().kind, ErrorKind::Invalid);
  EXPECT_NE(foreign.error().message.find("text.db"), std::string::npos);

  const auto file = directory / "hurt.db";
  {
    Database database = open(file);
    ASSERT_TRUE(database.execute("CREATE TABLE t (a)"));
    for (int i = 0; i < 50; ++i) {
      ASSERT_TRUE(database.execute("INSERT INTO t VALUES (hex(randomblob(500)))"));
    }
  }
  {
    std::fstream out(file, std::ios::in | std::ios::out | std::ios::binary);
    out.seekp(4096);
    out << std::string(6000, '\x5a');
  }
  const auto damaged = Database::open(file);
  ASSERT_FALSE(damaged);
  EXPECT_EQ(damaged.error().kind, ErrorKind::Invalid) << damaged.error().message;
  EXPECT_NE(damaged.error().message.find("hurt.db"), std::string::npos);
  EXPECT_FALSE(Database::open(directory / "no" / "such.db"));
}

constexpr std::array kHistory{Migration{1, "CREATE TABLE a (x); INSERT INTO a VALUES (1);"},
                              Migration{2, "ALTER TABLE a ADD COLUMN y DEFAULT 5;"},
                              Migration{3, "CREATE TABLE b (z);"}};

TEST(Migrations, GoFromEveryVersionToTheNewest) {
  for (std::size_t from = 0; from <= kHistory.size(); ++from) {
    TestDirectory directory;
    {
      Database database = open(directory / "a.db");
      ASSERT_TRUE(database.migrate(std::span(kHistory).first(from)));
      EXPECT_EQ(database.schemaVersion().value(), static_cast<int>(from));
    }
    Database database = open(directory / "a.db");
    ASSERT_TRUE(database.migrate(kHistory));
    EXPECT_EQ(database.schemaVersion().value(), 3);
    EXPECT_EQ(number(database, "SELECT y FROM a"), 5);
    ASSERT_TRUE(database.migrate(kHistory)) << "again changes nothing";
    EXPECT_EQ(number(database, "SELECT count(*) FROM a"), 1);
  }
}

TEST(Migrations, AFailingOneLeavesTheVersionBefore) {
  TestDirectory directory;
  Database database = open(directory / "a.db");
  constexpr std::array kBad{kHistory[0], Migration{2, "CREATE TABLE half (x); NONSENSE;"}};
  const auto failed = database.migrate(kBad);
  ASSERT_FALSE(failed);
  EXPECT_NE(failed.error().message.find("schema 2"), std::string::npos);
  EXPECT_EQ(database.schemaVersion().value(), 1);
  EXPECT_EQ(number(database, "SELECT count(*) FROM sqlite_schema WHERE name = 'half'"), 0);
}

TEST(Migrations, ANewerDatabaseIsRefusedAndNotChanged) {
  TestDirectory directory;
  {
    Database database = open(directory / "a.db");
    ASSERT_TRUE(database.execute("PRAGMA user_version = 1000"));
  }
  const auto store = openStateStore(directory / "a.db");
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().kind, ErrorKind::Invalid);
  EXPECT_NE(store.error().message.find("newer"), std::string::npos);
  Database database = open(directory / "a.db");
  EXPECT_EQ(number(database, "SELECT count(*) FROM sqlite_schema"), 0);
}

TEST(Migrations, VersionsCountFromOneWithoutGaps) {
  int expected = 1;
  for (const Migration& migration : migrations()) EXPECT_EQ(migration.version, expected++);
}

TEST(StateDirectory, IsHeldByOneProcessAtATime) {
  TestDirectory directory;
  const auto path = directory / "state";
  {
    auto first = StateDirectory::acquire(path);
    ASSERT_TRUE(first) << first.error().message;
    struct stat status{};
    ASSERT_EQ(::stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0700u);
    const auto second = StateDirectory::acquire(path);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().kind, ErrorKind::Unavailable);
    EXPECT_NE(second.error().message.find(std::to_string(::getpid())), std::string::npos);
    const StateDirectory moved = std::move(*first);
    EXPECT_FALSE(StateDirectory::acquire(path));
  }
  EXPECT_TRUE(StateDirectory::acquire(path)) << "free again";
}

TEST(StateDirectory, WhatIsNoDirectoryIsRefused) {
  TestDirectory directory;
  std::ofstream(directory / "file") << "x";
  EXPECT_EQ(StateDirectory::acquire(directory / "file").error().kind, ErrorKind::Invalid);
  EXPECT_EQ(StateDirectory::acquire("/proc/okibi").error().kind, ErrorKind::Invalid);
}

}  // namespace
}  // namespace okibi::store
