#include "store/schema.h"

#include <array>

namespace okibi::store {
namespace {

// Every key begins with the account. Times are milliseconds since 1970, days are days since 1970,
// sizes bytes; specs are JSON (store/function_codec.h).
constexpr std::string_view kVersion1 = R"sql(
CREATE TABLE accounts (
  account TEXT NOT NULL PRIMARY KEY,
  created INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE access_keys (
  account TEXT NOT NULL REFERENCES accounts,
  id      TEXT NOT NULL UNIQUE,
  secret  TEXT NOT NULL,
  created INTEGER NOT NULL,
  PRIMARY KEY (account, id)
) WITHOUT ROWID;

CREATE TABLE functions (
  account                 TEXT NOT NULL REFERENCES accounts,
  name                    TEXT NOT NULL,
  function_id             TEXT NOT NULL,
  state                   TEXT NOT NULL,
  state_reason            TEXT NOT NULL,
  state_reason_code       TEXT NOT NULL,
  last_update             TEXT NOT NULL,
  last_update_reason      TEXT NOT NULL,
  last_update_reason_code TEXT NOT NULL,
  image_digest            TEXT NOT NULL,
  revision                INTEGER NOT NULL,
  spec                    TEXT NOT NULL,
  active_revision         INTEGER NOT NULL,
  active_spec             TEXT,
  created                 INTEGER NOT NULL,
  modified                INTEGER NOT NULL,
  PRIMARY KEY (account, name)
) WITHOUT ROWID;

CREATE TABLE triggers (
  account     TEXT NOT NULL,
  function    TEXT NOT NULL,
  name        TEXT NOT NULL,
  id          TEXT NOT NULL UNIQUE,
  type        TEXT NOT NULL,
  config_text TEXT NOT NULL,
  http        TEXT NOT NULL,
  qualifier   TEXT NOT NULL,
  description TEXT NOT NULL,
  created     INTEGER NOT NULL,
  modified    INTEGER NOT NULL,
  PRIMARY KEY (account, function, name),
  FOREIGN KEY (account, function) REFERENCES functions (account, name) ON DELETE CASCADE
) WITHOUT ROWID;

-- One row: how far the ledger log is in `usage` and `invocations`.
CREATE TABLE fold_state (
  one           INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
  segment       INTEGER NOT NULL,
  offset        INTEGER NOT NULL,
  next_sequence INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO fold_state VALUES (1, 1, 0, 1);

-- Outlives the functions it is about.
CREATE TABLE usage (
  account      TEXT NOT NULL,
  function     TEXT NOT NULL,
  day          INTEGER NOT NULL,
  gpu_type     TEXT NOT NULL,
  gpu_price    INTEGER NOT NULL,
  calls        INTEGER NOT NULL,
  errors       INTEGER NOT NULL,
  cold_calls   INTEGER NOT NULL,
  refused      INTEGER NOT NULL,
  active_ms    INTEGER NOT NULL,
  gpu_ms       INTEGER NOT NULL,
  gpu_mb_ms    INTEGER NOT NULL,
  memory_mb_ms INTEGER NOT NULL,
  cpu_milli_ms INTEGER NOT NULL,
  disk_mb_ms   INTEGER NOT NULL,
  PRIMARY KEY (account, function, day, gpu_type, gpu_price)
) WITHOUT ROWID;

CREATE TABLE invocations (
  account    TEXT NOT NULL,
  function   TEXT NOT NULL,
  cold       INTEGER NOT NULL,
  sequence   INTEGER NOT NULL,
  request_id TEXT NOT NULL,
  received   INTEGER NOT NULL,
  record     BLOB NOT NULL,
  PRIMARY KEY (account, function, cold, sequence)
) WITHOUT ROWID;

CREATE TABLE quotas (
  account TEXT NOT NULL REFERENCES accounts,
  name    TEXT NOT NULL,
  value   INTEGER NOT NULL,
  PRIMARY KEY (account, name)
) WITHOUT ROWID;

CREATE TABLE settings (
  account TEXT NOT NULL,
  key     TEXT NOT NULL,
  value   TEXT NOT NULL,
  PRIMARY KEY (account, key)
) WITHOUT ROWID;
)sql";

// When the first use of a row began; NULL where only the day is known.
constexpr std::string_view kVersion2 = "ALTER TABLE usage ADD COLUMN first_use INTEGER";

// Everything configured around functions, one row each (model/resource.h); `function` is empty for
// what belongs to the account.
constexpr std::string_view kVersion3 = R"sql(
CREATE TABLE resources (
  account  TEXT NOT NULL REFERENCES accounts,
  function TEXT NOT NULL,
  kind     TEXT NOT NULL,
  name     TEXT NOT NULL,
  body     TEXT NOT NULL,
  PRIMARY KEY (account, function, kind, name)
) WITHOUT ROWID;
)sql";

// A trigger's address begins with a label of its own; before, it was the id. What a trigger can do
// besides is nothing for those that are there.
constexpr std::string_view kVersion4 = R"sql(
ALTER TABLE triggers ADD COLUMN label TEXT NOT NULL DEFAULT '';
ALTER TABLE triggers ADD COLUMN timer TEXT NOT NULL DEFAULT
  '{"expression":"","payload":"","enabled":false}';
UPDATE triggers SET label = id, http = json_set(http, '$.bearer', json('[]'), '$.basic', json('[]'),
  '$.jwt', json('null'), '$.cors', json('null'));
CREATE UNIQUE INDEX triggers_by_label ON triggers (label);
)sql";

// Asynchronous invocations that are not over.
constexpr std::string_view kVersion5 = R"sql(
CREATE TABLE async_events (
  request_id  TEXT NOT NULL PRIMARY KEY,
  account     TEXT NOT NULL,
  function    TEXT NOT NULL,
  task_id     TEXT,
  qualifier   TEXT NOT NULL,
  state       TEXT NOT NULL,
  enqueued    INTEGER NOT NULL,
  due         INTEGER NOT NULL,
  expires     INTEGER NOT NULL,
  failures    INTEGER NOT NULL,
  throttles   INTEGER NOT NULL,
  max_retries INTEGER NOT NULL,
  payload     BLOB NOT NULL,
  FOREIGN KEY (account, function) REFERENCES functions (account, name) ON DELETE CASCADE
);
CREATE UNIQUE INDEX async_tasks ON async_events (account, function, task_id);
)sql";

// What clients write and read back, and does not act.
constexpr std::string_view kVersion6 = R"sql(
ALTER TABLE triggers ADD COLUMN invocation_role TEXT NOT NULL DEFAULT '';
ALTER TABLE triggers ADD COLUMN source_arn TEXT NOT NULL DEFAULT '';
)sql";

// Time of kept instances that rested.
constexpr std::string_view kVersion7 = R"sql(
ALTER TABLE usage ADD COLUMN idle_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage ADD COLUMN idle_gpu_mb_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage ADD COLUMN idle_memory_mb_ms INTEGER NOT NULL DEFAULT 0;
)sql";

// Asynchronous invocations through HTTP triggers.
constexpr std::string_view kVersion8 =
    "ALTER TABLE async_events ADD COLUMN http INTEGER NOT NULL DEFAULT 0";

// Every request of a function, as it can be played again; `sequence` counts within the function.
constexpr std::string_view kVersion9 = R"sql(
CREATE TABLE history (
  account     TEXT NOT NULL,
  function    TEXT NOT NULL,
  sequence    INTEGER NOT NULL,
  received    INTEGER NOT NULL,
  waited_us   INTEGER NOT NULL,
  service_us  INTEGER NOT NULL,
  start_us    INTEGER NOT NULL,
  init_us     INTEGER NOT NULL,
  start       INTEGER NOT NULL,
  fate        INTEGER NOT NULL,
  concurrency INTEGER NOT NULL,
  slice_mb    INTEGER NOT NULL,
  PRIMARY KEY (account, function, sequence)
) WITHOUT ROWID;
)sql";

// Instances that have ended. Those of all an account's functions are listed by time.
constexpr std::string_view kVersion10 = R"sql(
CREATE TABLE ended_instances (
  account  TEXT NOT NULL,
  function TEXT NOT NULL,
  ended    INTEGER NOT NULL,
  name     TEXT NOT NULL,
  version  TEXT NOT NULL,
  gpu_type TEXT NOT NULL,
  slice_mb INTEGER NOT NULL,
  created  INTEGER NOT NULL,
  reason   TEXT NOT NULL,
  PRIMARY KEY (account, function, ended, name)
) WITHOUT ROWID;
CREATE INDEX ended_instances_by_time ON ended_instances (account, ended);
)sql";

constexpr std::array kMigrations{Migration{1, kVersion1}, Migration{2, kVersion2},
                                 Migration{3, kVersion3}, Migration{4, kVersion4},
                                 Migration{5, kVersion5}, Migration{6, kVersion6},
                                 Migration{7, kVersion7}, Migration{8, kVersion8},
                                 Migration{9, kVersion9}, Migration{10, kVersion10}};

}  // namespace

std::span<const Migration> migrations() {
  return kMigrations;
}

}  // namespace okibi::store
