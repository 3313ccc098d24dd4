// http_load URL: a closed-loop load on one URL over plain HTTP; prints one JSON object per number
// of connections.
#include "base/result.h"
#include "http/target.h"

#include "http_load.h"
#include <CLI/CLI.hpp>

#include <cstdio>
#include <string>
#include <vector>

namespace {

using zorya::base::Code;
using zorya::base::Error;
using zorya::base::Result;
using zorya::bench::LoadOptions;

struct Arguments {
  std::string url;
  std::vector<int> connection_counts{1, 8};
  double seconds = 3;
  std::string method = "GET";
  std::string body;
};

Result<LoadOptions> options_of(const Arguments& arguments) {
  ZORYA_ASSIGN(const auto target, zorya::http::parse_target(arguments.url));
  if (target.authority.empty()) {
    return Error{Code::kInvalidArgument, "give a whole URL: http://127.0.0.1:3000/path", {}};
  }
  const std::string authority(target.authority);
  const std::size_t colon = authority.find(':');
  LoadOptions options;
  options.address = authority.substr(0, colon);
  if (options.address == "localhost") options.address = "127.0.0.1";
  options.port = static_cast<std::uint16_t>(
      colon == std::string::npos ? 80 : std::atoi(authority.c_str() + colon + 1));
  options.request = arguments.method + " " + std::string(target.path);
  if (!target.query.empty()) options.request += "?" + std::string(target.query);
  options.request += " HTTP/1.1\r\nHost: " + authority + "\r\nUser-Agent: http_load\r\n";
  if (!arguments.body.empty()) {
    options.request += "Content-Type: application/json\r\nContent-Length: " +
                       std::to_string(arguments.body.size()) + "\r\n";
  }
  options.request += "\r\n" + arguments.body;
  options.duration = std::chrono::milliseconds(static_cast<int>(arguments.seconds * 1000));
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  CLI::App app{"A closed-loop load on one URL; latencies as JSON."};
  app.add_option("url", arguments.url, "http://<IPv4 address or localhost>:<port>/<path>")
      ->required();
  app.add_option("-c,--connections", arguments.connection_counts,
                 "how many; several are run in turn");
  app.add_option("-s,--seconds", arguments.seconds,
                 "of each run, after half a second of warming up");
  app.add_option("-X,--method", arguments.method);
  app.add_option("-d,--body", arguments.body);
  CLI11_PARSE(app, argc, argv);
  auto options = options_of(arguments);
  if (!options) {
    std::fprintf(stderr, "%s\n", to_string(options.error()).c_str());
    return 2;
  }
  for (const int count : arguments.connection_counts) {
    options->connection_count = count;
    const auto result = zorya::bench::run_load(*options);
    if (!result) {
      std::fprintf(stderr, "%s\n", to_string(result.error()).c_str());
      return 1;
    }
    std::printf("{\"url\": \"%s\", %s}\n", arguments.url.c_str(),
                to_json_members(*options, *result).c_str());
    std::fflush(stdout);
  }
  return 0;
}
