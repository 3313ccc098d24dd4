#include "base/hash.h"

#include <gtest/gtest.h>

namespace zorya::base {
namespace {

TEST(Hash, AgreesWithThePublishedVectors) {
  EXPECT_EQ(to_hex(fnv1a_128("")), "6c62272e07bb014262b821756295c58d");
  EXPECT_EQ(to_hex(fnv1a_128("a")), "d228cb696f1a8caf78912b704e4a8964");
  EXPECT_EQ(to_hex(fnv1a_128("foobar")), "343e1662793c64bf6f0d3597ba446f18");
}

TEST(Hash, ANulByteCounts) { EXPECT_NE(fnv1a_128(std::string_view("\0", 1)), fnv1a_128("")); }

}  // namespace
}  // namespace zorya::base
