#include "cluster/backup.h"

#include "base/files.h"
#include "base/random.h"
#include "cluster/backup_manifest.h"
#include "cluster/tool_run.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

namespace zorya::cluster {
namespace {

namespace fs = std::filesystem;

class Folder {
 public:
  Folder() : path_(fs::temp_directory_path() / ("zorya-backup-" + base::random_alphanumeric(12))) {
    fs::create_directories(path_);
  }
  ~Folder() { fs::remove_all(path_); }
  [[nodiscard]] const fs::path& path() const { return path_; }
  void write(const std::string& name, std::string_view text) const {
    std::ofstream(path_ / name) << text;
  }

 private:
  fs::path path_;
};

BackupManifest sample() {
  return {.cluster = "abcdefghijklmnopqrstuvwxyz",
          .made_at = "2026-11-26T05:44:01Z",
          .postgresql = "15.14",
          .template_key = "0123456789abcdef",
          .checksum = "feed",
          .size_bytes = 30'932'118,
          .file_count = 412,
          .notes = {{"seed", "s\"1"}}};
}

TEST(BackupManifest, SaysWhatItWasToldToSay) {
  const auto read = parse_manifest(manifest_text(sample()));
  ASSERT_TRUE(read);
  EXPECT_EQ(manifest_text(*read), manifest_text(sample()));
  EXPECT_EQ(read->notes.at("seed"), "s\"1");
  EXPECT_EQ(read->size_bytes, 30'932'118u);
}

TEST(BackupManifest, KeepsTheBytesOfItsFormat) {
  EXPECT_EQ(
      manifest_text(sample()),
      R"({"format":1,"cluster":"abcdefghijklmnopqrstuvwxyz","made_at":"2026-11-26T05:44:01Z",)"
      R"("postgresql":"15.14","template":"0123456789abcdef","checksum":"feed",)"
      R"("size_bytes":30932118,"file_count":412,"notes":{"seed":"s\"1"}})"
      "\n");
}

TEST(BackupManifest, RefusesWhatIsNone) {
  for (const char* text :
       {"", "{", "[]", "null", "{}", R"({"format":"1"})", R"({"format":-1})", R"({"format":1})",
        R"({"format":1,"cluster":"../../etc","template":"a","checksum":"b"})",
        R"({"format":1,"cluster":"abcdefghijklmnopqrstuvwxyz","template":"a/b","checksum":"b"})",
        R"({"format":1,"cluster":"abcdefghijklmnopqrstuvwxyz","template":"a","checksum":7})"}) {
    const auto read = parse_manifest(text);
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().code, base::Code::kInvalidArgument) << text;
  }
  const auto later = parse_manifest(R"({"format":2})");
  ASSERT_FALSE(later);
  EXPECT_EQ(later.error().code, base::Code::kFailedPrecondition);
}

TEST(BackupManifest, AFolderThatIsNoBackupIsToldWhatItIs) {
  const Folder folder;
  const auto said = [&] { return read_manifest(folder.path()).error().message; };
  EXPECT_NE(read_manifest(folder.path() / "absent").error().message.find("is no folder"),
            std::string::npos);
  EXPECT_NE(said().find("is no backup: it has no zorya_backup.json"), std::string::npos);
  folder.write("PG_VERSION", "15\n");
  EXPECT_NE(said().find("not of zorya's"), std::string::npos);
  folder.write("zorya_backup.json", manifest_text(sample()));
  EXPECT_TRUE(read_manifest(folder.path()));
  folder.write(std::string(kIncompleteMark), "");
  EXPECT_NE(said().find("did not come to its end"), std::string::npos);
}

TEST(BackupManifest, ReadsTheChecksumThatEndsTheListOfFiles) {
  const Folder folder;
  folder.write("backup_manifest", "{ \"Files\": [],\n\"Manifest-Checksum\": \"ab12\"}\n");
  EXPECT_EQ(checksum_of_list(folder.path()).value_or(""), "ab12");
  folder.write("backup_manifest", "{ \"Files\": [],\n\"Manifest-Checksum\": \"ab");
  EXPECT_FALSE(checksum_of_list(folder.path()));
}

TEST(Backup, ReadsTheProgressThatPostgresqlTells) {
  CopyProgress progress;
  EXPECT_TRUE(parse_backup_progress("   4109/30211 kB (13%), 0/1 tablespace", &progress));
  EXPECT_EQ(progress.done_bytes, 4109u * 1024);
  EXPECT_EQ(progress.total_bytes, 30211u * 1024);
  for (const char* line : {"", "waiting for checkpoint", "/ kB (", "1 kB (2%)", "1/x kB (1%)",
                           "99999999999999999999/1 kB (1%)", "1/18446744073709551615 kB (1%)"}) {
    EXPECT_FALSE(parse_backup_progress(line, &progress)) << line;
  }
}

TEST(Backup, ATreeWithALinkIsRefused) {
  const Folder folder;
  fs::create_directory(folder.path() / "inner");
  folder.write("inner/file", "12345");
  const auto size = measure_tree(folder.path());
  ASSERT_TRUE(size);
  EXPECT_EQ(size->size_bytes, 5u);
  EXPECT_EQ(size->file_count, 1u);
  ASSERT_EQ(::symlink("/etc/passwd", (folder.path() / "inner" / "link").c_str()), 0);
  const auto refused = measure_tree(folder.path());
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("inner/link"), std::string::npos);
}

base::ChildSpec shell(const std::string& script) {
  base::ChildSpec spec;
  spec.argv = {"/bin/sh", "-c", script};
  return spec;
}

TEST(ToolRun, TellsLinesAndLastWords) {
  auto launcher = base::Launcher::create();
  ASSERT_TRUE(launcher);
  std::vector<std::string> lines;
  const ToolWatch watch{.on_line = [&](const std::string& line) { lines.push_back(line); }};
  EXPECT_TRUE(run_tool(**launcher, shell("echo one; echo two >&2"), watch));
  EXPECT_EQ(lines, (std::vector<std::string>{"one", "two"}));
  const auto failed = run_tool(**launcher, shell("echo ' 1/2 kB (50%)'; echo no room; exit 3"), {});
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().message, "sh: exit code 3: no room");
}

TEST(ToolRun, EndsAProgramWithAllThatItStarted) {
  auto launcher = base::Launcher::create();
  ASSERT_TRUE(launcher);
  const ToolWatch watch{.on_tick = [](pid_t) { return false; }};
  const auto stopped = run_tool(**launcher, shell("sleep 100 & sleep 100"), watch);
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, base::Code::kUnavailable);
}

}  // namespace
}  // namespace zorya::cluster
