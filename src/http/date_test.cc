#include "http/date.h"

#include <gtest/gtest.h>

namespace zorya::http {
namespace {

TEST(Date, TheExampleOfTheRfc) {
  const auto time = std::chrono::system_clock::from_time_t(784111777);
  EXPECT_EQ(http_date(time), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(common_log_date(time), "06/Nov/1994:08:49:37 +0000");
}

}  // namespace
}  // namespace zorya::http
