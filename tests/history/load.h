#pragma once

#include "base/result.h"

#include "history.h"

#include <cstdint>
#include <string>

namespace zorya::history {

struct LoadOptions {
  std::string connection;  // libpq's connection string
  std::string table;       // (k bigint primary key, list text); empty at the start
  std::string isolation = "repeatable read";
  std::uint32_t client_count = 16;
  std::uint32_t transaction_count = 1000;  // of all clients together, refused ones included
  std::uint64_t seed = 1;
};

/// Runs clients against the table and returns what they did and saw. An error if a client met
/// anything but a commit, a refusal to be repeated (class 40), a duplicate or a lost connection.
base::Result<History> run_load(const LoadOptions& options);

}  // namespace zorya::history
