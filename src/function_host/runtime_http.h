#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace zorya::function_host {

/// Largest buffered response of a function: 6 MiB and 100 bytes, as the service has it.
inline constexpr std::size_t kResponseBytesMax = std::size_t{6} * 1024 * 1024 + 100;

/// One request of a runtime to the Runtime API.
struct RuntimeRequest {
  std::string method;
  std::string path;                                          // as sent, query included
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;                                          // empty if too_large
  bool too_large = false;  // the body was over kResponseBytesMax and was thrown away
  bool keep_alive = true;

  [[nodiscard]] std::string_view header(std::string_view lower_name) const;  // empty: absent
};

/// Reads HTTP/1.1 requests from the bytes of one connection, which a hostile function may send.
/// Bounded: 1.25 MiB of head (a runtime may send a trace cause of 1 MiB there), kResponseBytesMax
/// of body kept. Pipelined requests come out one by one.
class RuntimeRequestReader {
 public:
  enum class State { kNeedMore, kRequest, kBad };

  void append(std::string_view bytes) { buffer_.append(bytes); }
  /// kRequest: `out` is filled, call again. kBad: answer 400 and close.
  State next(RuntimeRequest& out);
  /// True once per request that waits for "100 Continue" before it sends its body.
  bool take_continue();
  /// A request has begun to arrive, or has arrived in part.
  [[nodiscard]] bool in_request() const { return in_body_ || !buffer_.empty(); }

 private:
  State read_head();
  State read_sized_body();
  State read_chunked_body();
  void keep(std::string_view bytes);

  std::string buffer_;
  std::size_t scanned_ = 0;  // of buffer_, without finding the end of a head
  RuntimeRequest request_;
  bool in_body_ = false;
  bool chunked_ = false;
  bool in_trailer_ = false;
  bool continue_wanted_ = false;
  std::size_t left_ = 0;        // of a sized body, or of the current chunk with its line end
  std::size_t chunk_end_ = 0;   // bytes of line end still in left_
  std::size_t body_bytes_ = 0;  // seen, kept or not
};

/// A whole response. `headers` are complete lines, each with its CRLF.
std::string runtime_response(int status, std::string_view content_type, std::string_view headers,
                             std::string_view body);

}  // namespace zorya::function_host
