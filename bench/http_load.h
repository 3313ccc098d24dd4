#pragma once

#include "base/result.h"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace zorya::bench {

/// A closed loop: each connection sends its next request when the answer to its last one is there.
struct LoadOptions {
  std::string address = "127.0.0.1";  // an IPv4 address
  std::uint16_t port = 0;
  std::string request;  // the bytes of one request
  int connection_count = 1;
  std::chrono::milliseconds warm_up{500};
  std::chrono::milliseconds duration{3000};
};

struct LoadResult {
  std::vector<double> latencies_us;  // sorted; answers with a status from 200 to 299
  std::uint64_t other_answer_count = 0;
  std::uint64_t failure_count = 0;  // connections that broke
  double seconds = 0;
};

/// Runs on the caller's thread. kUnavailable if a connection cannot be made.
base::Result<LoadResult> run_load(const LoadOptions& options);

/// "connections", "requests", "per_second", "p50_us" and so on as members of a JSON object, without
/// the braces.
std::string to_json_members(const LoadOptions& options, const LoadResult& result);

}  // namespace zorya::bench
