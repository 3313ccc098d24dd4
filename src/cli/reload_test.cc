#include "base/random.h"
#include "cli/reloader.h"
#include "cli/watcher.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <atomic>
#include <fstream>
#include <future>

namespace zorya::cli {
namespace {

namespace fs = std::filesystem;

class Sources {
 public:
  Sources() : root_(fs::temp_directory_path() / ("zorya-watch-" + base::random_alphanumeric(12))) {
    fs::create_directories(root_ / "code/deep");
    write("template.yaml", "1");
    write("code/app.py", "1");
  }
  ~Sources() { fs::remove_all(root_); }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(root_ / name) << text;
  }
  [[nodiscard]] Watched watched() const {
    return {root_ / "template.yaml", {root_ / "code"}, root_ / "code/data"};
  }
  [[nodiscard]] const fs::path& root() const { return root_; }

 private:
  fs::path root_;
};

TEST(Watcher, SeesEachKindOfChangeBeforeTheWriterGoesOn) {
  Sources sources;
  auto watcher = Watcher::create();
  ASSERT_TRUE(watcher);
  ASSERT_TRUE(watcher->watch(sources.watched()));
  EXPECT_FALSE(watcher->drain());
  sources.write("code/app.py", "2");
  EXPECT_TRUE(watcher->drain());
  EXPECT_FALSE(watcher->drain());
  sources.write("template.yaml", "2");
  EXPECT_TRUE(watcher->drain());
  fs::rename(sources.root() / "code/app.py", sources.root() / "code/main.py");
  EXPECT_TRUE(watcher->drain());
  fs::remove(sources.root() / "code/main.py");
  EXPECT_TRUE(watcher->drain());
  sources.write("code/deep/x", "1");
  EXPECT_TRUE(watcher->drain());
  fs::permissions(sources.root() / "code/deep/x", fs::perms::owner_exec, fs::perm_options::add);
  EXPECT_TRUE(watcher->drain());
}

TEST(Watcher, FollowsFoldersThatAreMadeLater) {
  Sources sources;
  auto watcher = Watcher::create();
  ASSERT_TRUE(watcher);
  ASSERT_TRUE(watcher->watch(sources.watched()));
  fs::create_directories(sources.root() / "code/new");
  EXPECT_TRUE(watcher->drain());
  sources.write("code/new/file", "1");
  EXPECT_TRUE(watcher->drain());
}

TEST(Watcher, IgnoresNeighboursEditorsAndTheDataFolder) {
  Sources sources;
  fs::create_directories(sources.root() / "code/data");
  auto watcher = Watcher::create();
  ASSERT_TRUE(watcher);
  ASSERT_TRUE(watcher->watch(sources.watched()));
  sources.write("README.md", "beside the template");
  sources.write("code/.app.py.swp", "x");
  sources.write("code/data/state.json", "x");
  EXPECT_FALSE(watcher->drain());
}

TEST(Watcher, TheSignatureChangesWithContentNamesAndModesAndNothingElse) {
  Sources sources;
  const fs::path code = sources.root() / "code";
  const auto signature = [&] { return tree_signature(code, code / "data"); };
  const auto first = signature();
  EXPECT_EQ(signature(), first);
  sources.write("code/app.pyc", "x");
  fs::create_directories(code / "data");
  EXPECT_EQ(signature(), first);
  sources.write("code/app.py", "longer");
  const auto second = signature();
  EXPECT_NE(second, first);
  fs::permissions(code / "app.py", fs::perms::owner_exec, fs::perm_options::add);
  const auto third = signature();
  EXPECT_NE(third, second);
  fs::rename(code / "app.py", code / "b.py");
  EXPECT_NE(signature(), third);
}

base::Result<void> ask(Reloader& reloader) {
  std::promise<base::Result<void>> answer;
  reloader.before_request([&](base::Result<void> result) { answer.set_value(std::move(result)); });
  auto future = answer.get_future();
  if (future.wait_for(std::chrono::seconds(20)) != std::future_status::ready) std::abort();
  return future.get();
}

TEST(Reloader, ARequestAfterAChangeWaitsForThePublish) {
  Sources sources;
  std::atomic<int> publishes{0};
  auto reloader = Reloader::create([&] {
    ++publishes;
    return Reloader::Published{{}, sources.watched()};
  });
  ASSERT_TRUE(reloader);
  ASSERT_TRUE((*reloader)->start({{}, sources.watched()}));
  EXPECT_TRUE(ask(**reloader));
  EXPECT_EQ(publishes, 0);
  sources.write("code/app.py", "2");
  EXPECT_TRUE(ask(**reloader));
  EXPECT_GE(publishes, 1);
}

TEST(Reloader, AFailureIsToldUntilItIsMended) {
  Sources sources;
  std::atomic<bool> is_broken{true};
  auto reloader = Reloader::create([&] {
    Reloader::Published published{{}, sources.watched()};
    if (is_broken)
      published.outcome = base::Error{base::Code::kInvalidArgument, "no such handler", {}};
    return published;
  });
  ASSERT_TRUE(reloader);
  ASSERT_TRUE((*reloader)->start({{}, sources.watched()}));
  sources.write("code/app.py", "broken");
  EXPECT_EQ(ask(**reloader).error().message, "no such handler");
  EXPECT_EQ(ask(**reloader).error().message, "no such handler");
  is_broken = false;
  sources.write("code/app.py", "mended");
  EXPECT_TRUE(ask(**reloader));
}

TEST(Reloader, RequestsBeforeTheFirstPublishWaitForIt) {
  Sources sources;
  auto reloader = Reloader::create([&] { return Reloader::Published{{}, sources.watched()}; });
  ASSERT_TRUE(reloader);
  std::promise<base::Result<void>> answer;
  auto future = answer.get_future();
  (*reloader)->before_request(
      [&](base::Result<void> result) { answer.set_value(std::move(result)); });
  EXPECT_NE(future.wait_for(std::chrono::milliseconds(20)), std::future_status::ready);
  ASSERT_TRUE((*reloader)->start({{}, sources.watched()}));
  EXPECT_TRUE(future.get());
}

TEST(Reloader, WhoWaitsWhenItEndsIsTold) {
  Sources sources;
  auto reloader = Reloader::create([&] { return Reloader::Published{{}, sources.watched()}; });
  ASSERT_TRUE(reloader);
  base::Result<void> told;
  (*reloader)->before_request([&](base::Result<void> result) { told = std::move(result); });
  reloader->reset();
  ASSERT_FALSE(told);
  EXPECT_EQ(told.error().code, base::Code::kUnavailable);
}

TEST(Reloader, RequestsGoOnWhileItsOwnerStopsTheGateway) {
  Sources sources;
  auto reloader = Reloader::create([&] { return Reloader::Published{{}, sources.watched()}; });
  ASSERT_TRUE(reloader);
  ASSERT_TRUE((*reloader)->start({{}, sources.watched()}));
  (*reloader)->stop();
  (*reloader)->stop();
  int told = 0;
  (*reloader)->before_request([&](const base::Result<void>& result) { told += result ? 1 : 10; });
  EXPECT_EQ(told, 1);
}

}  // namespace
}  // namespace zorya::cli
