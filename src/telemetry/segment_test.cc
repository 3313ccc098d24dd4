#include "telemetry/segment.h"

#include "base/random.h"

#include <gtest/gtest.h>

namespace zorya::telemetry {
namespace {

// The example of the X-Ray fact sheet: a subsegment sent alone, with a nested one.
constexpr std::string_view kOrders =
    R"({"id":"53995c3f42cd8ad8","trace_id":"1-6733a0ce-0123456789abcdef01234567",)"
    R"("parent_id":"4c721bf33e3caf8f","type":"subsegment","name":"## orders",)"
    R"("start_time":1730538942.371,"end_time":1730538942.388,)"
    R"("annotations":{"ColdStart":true,"Service":"orders"},)"
    R"("metadata":{"orders":{"orders response":{"statusCode":200}}},"subsegments":[)"
    R"({"id":"a1b2c3d4e5f60718","name":"postgres@db","namespace":"remote",)"
    R"("start_time":1730538942.374,"end_time":1730538942.386,)"
    R"("sql":{"database_type":"PostgreSQL","sanitized_query":"select 1"}}]})";

std::string document(std::string_view id, std::string_view parent, double start) {
  std::string text = R"({"trace_id":"1-6733a0ce-0123456789abcdef01234567","id":")" +
                     std::string(id) + R"(","name":"n","start_time":)" + std::to_string(start) +
                     R"(,"end_time":)" + std::to_string(start + 1);
  if (!parent.empty()) text += R"(,"parent_id":")" + std::string(parent) + '"';
  return text + "}";
}

Segment parsed(const std::string& text) {
  auto segment = parse_segment(text);
  EXPECT_TRUE(segment) << text;
  return std::move(segment).value();
}

TEST(Segment, AllThatIsShownIsRead) {
  const auto segment = parse_segment(kOrders);
  ASSERT_TRUE(segment) << to_string(segment.error());
  EXPECT_EQ(segment->name, "## orders");
  EXPECT_TRUE(segment->is_subsegment);
  EXPECT_EQ(segment->parent_id, "4c721bf33e3caf8f");
  EXPECT_EQ(segment->end - segment->start, std::chrono::milliseconds(17));
  EXPECT_EQ(segment->annotations.at("ColdStart"), "true");
  EXPECT_EQ(segment->annotations.at("Service"), "\"orders\"");
  ASSERT_EQ(segment->children.size(), 1u);
  EXPECT_EQ(segment->children[0].name, "postgres@db");
  EXPECT_EQ(segment->children[0].name_space, "remote");
  EXPECT_EQ(segment->children[0].parent_id, segment->id);
  EXPECT_EQ(segment->children[0].trace_id, segment->trace_id);
}

TEST(Segment, HttpAndFlagsAreRead) {
  const auto segment = parse_segment(
      R"({"trace_id":"1-6733a0ce-0123456789abcdef01234567","id":"53995c3f42cd8ad8","name":"a",)"
      R"("start_time":1,"in_progress":true,"fault":true,"throttle":true,"error":false,)"
      R"("origin":"AWS::Lambda",)"
      R"("http":{"request":{"method":"GET","url":"http://h/x"},"response":{"status":502}}})");
  ASSERT_TRUE(segment);
  EXPECT_TRUE(segment->in_progress);
  EXPECT_EQ(segment->start, segment->end);
  EXPECT_TRUE(segment->fault);
  EXPECT_TRUE(segment->throttle);
  EXPECT_FALSE(segment->error);
  EXPECT_EQ(segment->origin, "AWS::Lambda");
  EXPECT_EQ(segment->http_method, "GET");
  EXPECT_EQ(segment->http_url, "http://h/x");
  EXPECT_EQ(segment->http_status, 502);
}

TEST(Segment, WhatIsNoDocumentIsRefusedWithAReason) {
  const std::string good = document("53995c3f42cd8ad8", "", 5);
  ASSERT_TRUE(parse_segment(good));
  const auto with = [&](std::string_view from, std::string_view to) {
    std::string text = good;
    text.replace(text.find(from), from.size(), to);
    return text;
  };
  for (const std::string& text :
       {std::string(), std::string("null"), std::string("[]"), std::string("{}"), good + "x",
        with("1-6733a0ce", "2-6733a0ce"), with("53995c3f42cd8ad8", "53995c3f42cd8ad"),
        with("53995c3f42cd8ad8", "53995c3f42cd8adg"), with(R"("name":"n",)", ""),
        with("5.000000", "-1"), with("5.000000", "1e300"), with("5.000000", "\"5\""),
        with(R"("end_time")", R"("end")"), with("}", R"(,"subsegments":{}})"),
        with("}", R"(,"subsegments":[1]})"), with("}", R"(,"type":"subsegment"})"),
        with("}", R"(,"parent_id":"zz"})")}) {
    const auto refused = parse_segment(text);
    ASSERT_FALSE(refused) << text;
    EXPECT_EQ(refused.error().code, base::Code::kInvalidArgument);
  }
}

TEST(Segment, NestingCountAndSizeAreBounded) {
  EXPECT_FALSE(parse_segment(std::string(100000, '[')));
  EXPECT_FALSE(parse_segment(std::string(70000, ' ')));
  std::string many = document("53995c3f42cd8ad8", "", 5);
  many.pop_back();
  many += R"(,"subsegments":[)";
  for (int i = 0; i < 3000; ++i) {
    many += R"({"id":"53995c3f42cd8ad9","name":"n","start_time":1,"end_time":2},)";
  }
  many.back() = ']';
  many += '}';
  EXPECT_FALSE(parse_segment(many, many.size()));
}

TEST(Segment, NoPrefixOrFlippedByteOfADocumentHurts) {
  const std::string good(kOrders);
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(parse_segment(good.substr(0, size)));
  }
  for (int round = 0; round < 20000; ++round) {
    std::string bad = good;
    const std::uint64_t random = base::random_u64();
    bad[random % bad.size()] = static_cast<char>(random >> 32);
    bad[(random >> 16) % bad.size()] = static_cast<char>(random >> 48);
    [[maybe_unused]] const auto result = parse_segment(bad);
  }
}

TEST(Trace, SubsegmentsHangBelowTheirParentsAcrossDocuments) {
  const auto roots = assemble_trace({parsed(document("bbbbbbbbbbbbbbbb", "aaaaaaaaaaaaaaaa", 3)),
                                     parsed(document("cccccccccccccccc", "aaaaaaaaaaaaaaaa", 2)),
                                     parsed(document("aaaaaaaaaaaaaaaa", "", 1)),
                                     parsed(document("dddddddddddddddd", "bbbbbbbbbbbbbbbb", 4))});
  ASSERT_EQ(roots.size(), 1u);
  EXPECT_EQ(roots[0].id, "aaaaaaaaaaaaaaaa");
  ASSERT_EQ(roots[0].children.size(), 2u);
  EXPECT_EQ(roots[0].children[0].id, "cccccccccccccccc");
  EXPECT_EQ(roots[0].children[1].id, "bbbbbbbbbbbbbbbb");
  ASSERT_EQ(roots[0].children[1].children.size(), 1u);
}

TEST(Trace, ADocumentMayHangBelowANestedSubsegment) {
  const auto roots = assemble_trace(
      {parsed(document("bbbbbbbbbbbbbbbb", "a1b2c3d4e5f60718", 3)), parsed(std::string(kOrders))});
  ASSERT_EQ(roots.size(), 1u);
  ASSERT_EQ(roots[0].children[0].children.size(), 1u);
  EXPECT_EQ(roots[0].children[0].children[0].id, "bbbbbbbbbbbbbbbb");
}

TEST(Trace, OrphansAndCirclesBecomeRoots) {
  const auto orphan = assemble_trace({parsed(document("bbbbbbbbbbbbbbbb", "aaaaaaaaaaaaaaaa", 3))});
  ASSERT_EQ(orphan.size(), 1u);
  const auto circle = assemble_trace({parsed(document("aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb", 1)),
                                      parsed(document("bbbbbbbbbbbbbbbb", "cccccccccccccccc", 2)),
                                      parsed(document("cccccccccccccccc", "aaaaaaaaaaaaaaaa", 3)),
                                      parsed(document("dddddddddddddddd", "dddddddddddddddd", 4))});
  ASSERT_EQ(circle.size(), 2u);
}

TEST(Trace, AChainOfDocumentsIsCutNotFollowedForEver) {
  std::vector<Segment> chain;
  char id[17] = "0000000000000000";
  std::string parent;
  for (int i = 0; i < 2000; ++i) {
    std::snprintf(id, sizeof id, "%016x", i + 1);
    chain.push_back(parsed(document(id, parent, i)));
    parent = id;
  }
  std::size_t depth_max = 0;
  std::size_t count = 0;
  std::vector<std::pair<const Segment*, std::size_t>> open;
  const auto roots = assemble_trace(std::move(chain));
  for (const Segment& root : roots) open.emplace_back(&root, 1);
  while (!open.empty()) {
    const auto [segment, depth] = open.back();
    open.pop_back();
    ++count;
    depth_max = std::max(depth_max, depth);
    for (const Segment& child : segment->children) open.emplace_back(&child, depth + 1);
  }
  EXPECT_EQ(count, 2000u);
  EXPECT_LE(depth_max, 65u);
}

}  // namespace
}  // namespace zorya::telemetry
