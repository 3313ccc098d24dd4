#include "function_host/runtime_http.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace zorya::function_host {
namespace {

using State = RuntimeRequestReader::State;

TEST(RuntimeHttp, ReadsPipelinedRequestsOneByOne) {
  RuntimeRequestReader reader;
  reader.append(
      "POST /a HTTP/1.1\r\nContent-Length: 3\r\nX-Y:  z \r\n\r\nabcGET /b HTTP/1.1\r\n\r\n");
  RuntimeRequest request;
  ASSERT_EQ(reader.next(request), State::kRequest);
  EXPECT_EQ(request.method, "POST");
  EXPECT_EQ(request.path, "/a");
  EXPECT_EQ(request.body, "abc");
  EXPECT_EQ(request.header("x-y"), "z");
  ASSERT_EQ(reader.next(request), State::kRequest);
  EXPECT_EQ(request.path, "/b");
  EXPECT_TRUE(request.keep_alive);
  EXPECT_EQ(reader.next(request), State::kNeedMore);
}

TEST(RuntimeHttp, ReadsTheSameWhereverTheBytesAreCut) {
  const std::string bytes =
      "POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n6\r\n world\r\n0\r\n"
      "T: v\r\n\r\nGET /d HTTP/1.1\r\nConnection: close\r\n\r\n";
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    RuntimeRequestReader reader;
    RuntimeRequest request;
    std::vector<RuntimeRequest> got;
    for (const auto& part : {bytes.substr(0, cut), bytes.substr(cut)}) {
      reader.append(part);
      while (reader.next(request) == State::kRequest) got.push_back(request);
    }
    ASSERT_EQ(got.size(), 2u) << cut;
    EXPECT_EQ(got[0].body, "hello world") << cut;
    EXPECT_FALSE(got[1].keep_alive);
  }
}

TEST(RuntimeHttp, ThrowsAnOversizedBodyAwayAndGoesOn) {
  RuntimeRequestReader reader;
  RuntimeRequest request;
  reader.append("POST /e HTTP/1.1\r\nContent-Length: " + std::to_string(kResponseBytesMax + 1) +
                "\r\n\r\n");
  reader.append(std::string(kResponseBytesMax + 1, 'x') + "GET /f HTTP/1.1\r\n\r\n");
  ASSERT_EQ(reader.next(request), State::kRequest);
  EXPECT_TRUE(request.too_large);
  EXPECT_TRUE(request.body.empty());
  ASSERT_EQ(reader.next(request), State::kRequest);
  EXPECT_EQ(request.path, "/f");
}

TEST(RuntimeHttp, KeepsABodyOfExactlyTheLimit) {
  RuntimeRequestReader reader;
  RuntimeRequest request;
  reader.append("POST /e HTTP/1.1\r\nContent-Length: " + std::to_string(kResponseBytesMax) +
                "\r\n\r\n" + std::string(kResponseBytesMax, 'x'));
  ASSERT_EQ(reader.next(request), State::kRequest);
  EXPECT_FALSE(request.too_large);
  EXPECT_EQ(request.body.size(), kResponseBytesMax);
}

TEST(RuntimeHttp, RefusesWhatIsNotHttp) {
  for (const char* bytes :
       {"hello\r\n\r\n", "GET  HTTP/1.1\r\n\r\n", "GET / HTTP/2\r\n\r\n",
        "GET / HTTP/1.1\r\nno colon\r\n\r\n", "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"}) {
    RuntimeRequestReader reader;
    RuntimeRequest request;
    reader.append(bytes);
    EXPECT_EQ(reader.next(request), State::kBad) << bytes;
  }
}

TEST(RuntimeHttp, AsksForABodyThatWaits) {
  RuntimeRequestReader reader;
  RuntimeRequest request;
  reader.append("POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n");
  EXPECT_EQ(reader.next(request), State::kNeedMore);
  EXPECT_TRUE(reader.take_continue());
  EXPECT_FALSE(reader.take_continue());
}

TEST(RuntimeHttp, SurvivesRandomBytes) {
  std::mt19937 random(7);
  const std::string alphabet = "GETPOS /:\r\n01f;chunkedTransfer-EncodingContent-LengthHTTP/1.1";
  for (int round = 0; round < 3000; ++round) {
    RuntimeRequestReader reader;
    RuntimeRequest request;
    for (int part = 0; part < 8; ++part) {
      std::string bytes(random() % 40, ' ');
      for (char& c : bytes) c = alphabet[random() % alphabet.size()];
      if (random() % 3 == 0) bytes += "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
      reader.append(bytes);
      State state;
      while ((state = reader.next(request)) == State::kRequest) {
      }
      if (state == State::kBad) break;
    }
  }
}

}  // namespace
}  // namespace zorya::function_host
