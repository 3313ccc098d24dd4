#include "cluster/client.h"

#include <gtest/gtest.h>

#include <set>

namespace zorya::cluster {
namespace {

TEST(ClusterId, IsTwentySixLowerCaseCharactersAndDigits) {
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(is_cluster_id(make_cluster_id()));
  EXPECT_TRUE(is_cluster_id(cluster_id_for("seed", "todos", "Cluster")));
  for (const char* bad : {"", "short", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "../../../../etc/passwd0000",
                          "abcdefghijklmnopqrstuvwxyz0", "abcdefghijklmnopqrstuvwxy\n"}) {
    EXPECT_FALSE(is_cluster_id(bad)) << bad;
  }
}

TEST(ClusterId, IsTheSameForTheSameStackAndLogicalId) {
  // Written out: a change would lose every user's clusters from sight.
  EXPECT_EQ(cluster_id_for("seed", "todos", "TodosCluster"), "gkylijv7ph6lbqdqwjg79br8jd");
}

TEST(ClusterId, DiffersBySeedStackAndLogicalId) {
  const std::set<std::string> ids{cluster_id_for("a", "b", "c"), cluster_id_for("x", "b", "c"),
                                  cluster_id_for("a", "x", "c"), cluster_id_for("a", "b", "x"),
                                  cluster_id_for("ab", "", "c"), cluster_id_for("a", "bc", "")};
  EXPECT_EQ(ids.size(), 6u);
}

TEST(ClusterState, IsNamedInTheServicesWords) {
  EXPECT_EQ(state_name(State::kCreating), "CREATING");
  EXPECT_EQ(state_name(State::kInactive), "INACTIVE");
}

}  // namespace
}  // namespace zorya::cluster
