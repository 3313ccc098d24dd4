#pragma once

#include "base/result.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace zorya::telemetry {

/// Version of the file's tables, kept in SQLite's user_version. See docs/formats/telemetry.md.
inline constexpr int kFormatVersion = 1;

/// One prepared statement. Bind from 1, step, read columns from 0. One thread.
class Statement {
 public:
  explicit Statement(sqlite3_stmt* statement) : statement_(statement) {}

  Statement& bind(int index, std::int64_t value);
  Statement& bind(int index, std::string_view value);  // copied

  /// True: a row is there. False: done. The SQLite code is in the database's error.
  base::Result<bool> step();
  /// Steps to the end without looking at rows, and resets.
  base::Result<void> run();
  void reset();

  [[nodiscard]] std::int64_t integer(int column) const;
  [[nodiscard]] std::string text(int column) const;

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

/// One connection to a SQLite file. One thread.
class Database {
 public:
  enum class Mode { kReadOnly, kReadWriteCreate };
  /// Whoever closes last, reader or writer, leaves one file: no -wal and no -shm beside it.
  static base::Result<Database> open(const std::filesystem::path& path, Mode mode);

  base::Result<void> execute(const std::string& sql);
  base::Result<Statement> prepare(std::string_view sql);
  base::Result<std::int64_t> integer(std::string_view sql);  // first column of the first row

  /// Whether the last error says that the file is damaged or no database at all.
  [[nodiscard]] bool is_damaged() const;

 private:
  explicit Database(sqlite3* handle) : handle_(handle) {}
  struct Close {
    void operator()(sqlite3* handle) const;
  };
  std::unique_ptr<sqlite3, Close> handle_;
};

/// Reads a text column into an Error of what SQLite says: full disks are kResourceExhausted, all
/// else kIo.
base::Error database_error(sqlite3* handle, std::string_view what);

}  // namespace zorya::telemetry
