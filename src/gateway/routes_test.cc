#include "gateway/routes.h"

#include <gtest/gtest.h>

namespace zorya::gateway {
namespace {

using template_engine::RestApi;
using template_engine::Route;

RestApi api_of(std::vector<std::string> lines) {
  RestApi api;
  api.logical_id = "ServerlessRestApi";
  api.id = "abcdefghij";
  for (const std::string& line : lines) {
    const std::size_t space = line.find(' ');
    api.routes.push_back(Route{line.substr(0, space), line.substr(space + 1), line});
  }
  return api;
}

/// "METHOD /resource name=value", of the match.
std::string found(const RouteTable& table, std::string_view method, std::string_view path) {
  const auto match = table.match(method, path);
  if (!match) return "none";
  std::string text = match->route->method + " " + std::string(match->resource);
  for (const PathParameter& parameter : match->parameters) {
    text += " " + parameter.name + "=" + std::string(parameter.value);
  }
  return text;
}

TEST(Routes, StaticBeatsParameterBeatsGreedy) {
  const RouteTable table({api_of({"GET /pets", "GET /pets/dog/1", "GET /pets/dog/{id}",
                                  "GET /pets/{kind}", "GET /pets/{proxy+}", "ANY /{proxy+}"})});
  EXPECT_EQ(found(table, "GET", "/pets"), "GET /pets");
  EXPECT_EQ(found(table, "GET", "/pets/dog/1"), "GET /pets/dog/1");
  EXPECT_EQ(found(table, "GET", "/pets/dog/2"), "GET /pets/dog/{id} id=2");
  EXPECT_EQ(found(table, "GET", "/pets/cat"), "GET /pets/{kind} kind=cat");
  EXPECT_EQ(found(table, "GET", "/pets/cat/3"), "GET /pets/{proxy+} proxy=cat/3");
  EXPECT_EQ(found(table, "GET", "/pets/dog/1/2"), "GET /pets/{proxy+} proxy=dog/1/2");
  EXPECT_EQ(found(table, "PUT", "/other/x/y"), "ANY /{proxy+} proxy=other/x/y");
}

TEST(Routes, ABranchThatLeadsNowhereIsLeftAgain) {
  const RouteTable table({api_of({"GET /a/{x}/c", "GET /{y}/b/d"})});
  EXPECT_EQ(found(table, "GET", "/a/b/c"), "GET /a/{x}/c x=b");
  EXPECT_EQ(found(table, "GET", "/a/b/d"), "GET /{y}/b/d y=a");
  EXPECT_EQ(found(table, "GET", "/a/b"), "none");
}

TEST(Routes, TheResourceIsFoundBeforeItsMethod) {
  const RouteTable table({api_of({"GET /todos", "ANY /{proxy+}", "ANY /any", "POST /any"})});
  EXPECT_EQ(found(table, "DELETE", "/todos"), "none") << "not the greedy one's";
  EXPECT_EQ(found(table, "HEAD", "/todos"), "none") << "HEAD is not GET";
  EXPECT_EQ(found(table, "POST", "/any"), "POST /any");
  EXPECT_EQ(found(table, "PUT", "/any"), "ANY /any");
  EXPECT_EQ(found(table, "HEAD", "/any"), "ANY /any");
  EXPECT_EQ(found(table, "TRACE", "/any"), "none") << "ANY is seven methods";
  EXPECT_EQ(found(table, "get", "/todos"), "none") << "methods have case";
}

TEST(Routes, GreedyNeedsASegment) {
  const RouteTable table({api_of({"ANY /{proxy+}", "GET /x/{rest+}"})});
  EXPECT_EQ(found(table, "GET", "/"), "none");
  EXPECT_EQ(found(table, "GET", "//"), "none");
  EXPECT_EQ(found(table, "GET", "/x/"), "ANY /{proxy+} proxy=x");
  EXPECT_EQ(found(table, "GET", "/a//b/"), "ANY /{proxy+} proxy=a//b");
  EXPECT_EQ(found(table, "GET", "/x//b"), "GET /x/{rest+} rest=/b");
}

TEST(Routes, TrailingSlashesDoNotMatterAndPathsKeepThem) {
  const RouteTable table({api_of({"GET /", "GET /todos", "GET /todos/{id}"})});
  EXPECT_EQ(found(table, "GET", "/"), "GET /");
  EXPECT_EQ(found(table, "GET", "/todos/"), "GET /todos");
  EXPECT_EQ(found(table, "GET", "/todos/5/"), "GET /todos/{id} id=5");
  EXPECT_EQ(table.match("GET", "/todos/5/")->path, "/todos/5/");
  EXPECT_EQ(found(table, "GET", "/todos//5"), "none") << "an empty segment is no parameter";
}

TEST(Routes, ValuesStayEncodedAndStaticSegmentsAreComparedDecoded) {
  const RouteTable table({api_of({"GET /todos/{id}"})});
  EXPECT_EQ(found(table, "GET", "/todos/a%2Fb%20c"), "GET /todos/{id} id=a%2Fb%20c");
  EXPECT_EQ(found(table, "GET", "/t%6fdos/1"), "GET /todos/{id} id=1");
  EXPECT_EQ(found(table, "GET", "/Todos/1"), "none");
}

TEST(Routes, AStageInThePathIsTheExecuteApiForm) {
  const RouteTable table({api_of({"GET /", "GET /todos", "ANY /{proxy+}"})});
  const auto staged = table.match("GET", "/Prod/todos");
  ASSERT_TRUE(staged);
  EXPECT_TRUE(staged->stage_in_path);
  EXPECT_EQ(staged->path, "/todos");
  EXPECT_EQ(staged->resource, "/todos");
  const auto mapped = table.match("GET", "/todos");
  ASSERT_TRUE(mapped);
  EXPECT_FALSE(mapped->stage_in_path);
  EXPECT_EQ(mapped->path, "/todos");
  EXPECT_EQ(table.match("GET", "/Prod")->path, "/");
  EXPECT_EQ(table.match("GET", "/Prod/")->path, "/");
  EXPECT_EQ(table.match("GET", "/Prod//todos")->path, "/todos") << "doubled behind the stage";
  EXPECT_EQ(table.match("GET", "//todos")->path, "/todos");
  EXPECT_FALSE(table.match("GET", "/prod/todos")->stage_in_path);
}

TEST(Routes, SeveralApisAreAskedInTurn) {
  RestApi second = api_of({"GET /b"});
  second.id = "secondapi0";
  second.stage = "beta";
  const RouteTable table({api_of({"GET /a"}), second});
  EXPECT_EQ(table.match("GET", "/a")->api->id, "abcdefghij");
  EXPECT_EQ(table.match("GET", "/b")->api->id, "secondapi0");
  EXPECT_TRUE(table.match("GET", "/beta/b")->stage_in_path);
  EXPECT_FALSE(table.match("GET", "/Prod/b"));
}

TEST(Routes, ResourceIdsAreStableAndDiffer) {
  const RouteTable one({api_of({"GET /a", "GET /b"})});
  const RouteTable two({api_of({"GET /b", "POST /a", "GET /a"})});
  EXPECT_EQ(one.match("GET", "/a")->resource_id, two.match("GET", "/a")->resource_id);
  EXPECT_NE(one.match("GET", "/a")->resource_id, one.match("GET", "/b")->resource_id);
  EXPECT_EQ(one.match("GET", "/a")->resource_id.size(), 6u);
}

TEST(Routes, NoApiHasNoRoute) { EXPECT_FALSE(RouteTable({}).match("GET", "/")); }

}  // namespace
}  // namespace zorya::gateway
