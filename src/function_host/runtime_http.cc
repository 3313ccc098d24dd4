#include "function_host/runtime_http.h"

#include <algorithm>
#include <charconv>
#include <cstdint>

namespace zorya::function_host {
namespace {

constexpr std::size_t kHeadBytesMax = 1280U << 10;
constexpr std::size_t kBodyBytesMax = 256u << 20;  // thrown away beyond kResponseBytesMax, to here
constexpr std::size_t kChunkLineBytesMax = 1024;

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

std::string lower_case(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), lower);
  return result;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

template <int kBase>
bool parse_number(std::string_view text, std::size_t& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, kBase);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

const char* reason(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 202:
      return "Accepted";
    case 400:
      return "Bad Request";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 413:
      return "Request Entity Too Large";
    default:
      return "Internal Server Error";
  }
}

}  // namespace

std::string_view RuntimeRequest::header(std::string_view lower_name) const {
  for (const auto& [name, value] : headers) {
    if (name == lower_name) return value;
  }
  return {};
}

RuntimeRequestReader::State RuntimeRequestReader::next(RuntimeRequest& out) {
  if (!in_body_) {
    if (const State state = read_head(); state != State::kRequest) return state;
  }
  const State state = chunked_ ? read_chunked_body() : read_sized_body();
  if (state != State::kRequest) return state;
  in_body_ = false;
  if (request_.too_large) request_.body.clear();
  out = std::move(request_);
  request_ = {};
  return State::kRequest;
}

bool RuntimeRequestReader::take_continue() { return std::exchange(continue_wanted_, false); }

RuntimeRequestReader::State RuntimeRequestReader::read_head() {
  // From where the last look ended: a head that drips in must not be read again for each drop.
  const std::size_t end = buffer_.find("\r\n\r\n", scanned_ > 3 ? scanned_ - 3 : 0);
  if (end == std::string::npos) {
    scanned_ = buffer_.size();
    return buffer_.size() > kHeadBytesMax ? State::kBad : State::kNeedMore;
  }
  if (end > kHeadBytesMax) return State::kBad;
  const std::string head = buffer_.substr(0, end);
  buffer_.erase(0, end + 4);
  scanned_ = 0;
  request_ = {};
  std::size_t line_end = std::min(head.find("\r\n"), head.size());
  const std::string_view line(head.data(), line_end);
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == std::string_view::npos || last <= first + 1) return State::kBad;
  const std::string_view version = line.substr(last + 1);
  if (!version.starts_with("HTTP/1.")) return State::kBad;
  request_.method = line.substr(0, first);
  request_.path = line.substr(first + 1, last - first - 1);
  request_.keep_alive = version != "HTTP/1.0";
  for (std::size_t at = line_end + 2; at < head.size(); at = line_end + 2) {
    line_end = std::min(head.find("\r\n", at), head.size());
    const std::string_view field(head.data() + at, line_end - at);
    const std::size_t colon = field.find(':');
    if (colon == std::string_view::npos || colon == 0) return State::kBad;
    request_.headers.emplace_back(lower_case(field.substr(0, colon)),
                                  trim(field.substr(colon + 1)));
  }
  const std::string connection = lower_case(request_.header("connection"));
  if (connection == "close") request_.keep_alive = false;
  if (connection == "keep-alive") request_.keep_alive = true;
  left_ = chunk_end_ = body_bytes_ = 0;
  in_trailer_ = false;
  const std::string coding = lower_case(request_.header("transfer-encoding"));
  const std::string_view length = request_.header("content-length");
  chunked_ = coding == "chunked";
  if ((!coding.empty() && !chunked_) || (chunked_ && !length.empty())) return State::kBad;
  if (!length.empty() && (!parse_number<10>(length, left_) || left_ > kBodyBytesMax)) {
    return State::kBad;
  }
  if (left_ > kResponseBytesMax) request_.too_large = true;
  continue_wanted_ = lower_case(request_.header("expect")) == "100-continue";
  in_body_ = true;
  return State::kRequest;
}

void RuntimeRequestReader::keep(std::string_view bytes) {
  body_bytes_ += bytes.size();
  if (body_bytes_ > kResponseBytesMax) request_.too_large = true;
  if (!request_.too_large) request_.body.append(bytes);
}

RuntimeRequestReader::State RuntimeRequestReader::read_sized_body() {
  const std::size_t count = std::min(left_, buffer_.size());
  keep(std::string_view(buffer_).substr(0, count));
  buffer_.erase(0, count);
  left_ -= count;
  return left_ == 0 ? State::kRequest : State::kNeedMore;
}

RuntimeRequestReader::State RuntimeRequestReader::read_chunked_body() {
  std::size_t at = 0;
  const auto leave = [&](State state) {
    buffer_.erase(0, at);
    return state;
  };
  for (;;) {
    if (left_ > 0) {
      const std::size_t count = std::min(left_, buffer_.size() - at);
      const std::size_t data = left_ > chunk_end_ ? std::min(count, left_ - chunk_end_) : 0;
      keep(std::string_view(buffer_).substr(at, data));
      at += count;
      left_ -= count;
      if (left_ > 0 || body_bytes_ > kBodyBytesMax) {
        return leave(body_bytes_ > kBodyBytesMax ? State::kBad : State::kNeedMore);
      }
    }
    const std::size_t line_end = buffer_.find("\r\n", at);
    if (line_end == std::string::npos) {
      const bool too_long = buffer_.size() - at > kChunkLineBytesMax;
      return leave(too_long ? State::kBad : State::kNeedMore);
    }
    std::string_view line(buffer_.data() + at, line_end - at);
    at = line_end + 2;
    if (in_trailer_) {
      if (line.empty()) return leave(State::kRequest);
      request_.headers.emplace_back("", "");  // counted, not read: trailers say nothing here
      if (request_.headers.size() > 256) return leave(State::kBad);
      continue;
    }
    line = trim(line.substr(0, line.find(';')));
    std::size_t size = 0;
    if (!parse_number<16>(line, size) || size > kBodyBytesMax) return leave(State::kBad);
    if (size == 0) {
      in_trailer_ = true;
    } else {
      left_ = size + 2;
      chunk_end_ = 2;
    }
  }
}

std::string runtime_response(int status, std::string_view content_type, std::string_view headers,
                             std::string_view body) {
  std::string response;
  response.reserve(160 + headers.size() + body.size());
  response.append("HTTP/1.1 ").append(std::to_string(status)).append(" ").append(reason(status));
  response.append("\r\nContent-Type: ").append(content_type);
  response.append("\r\nContent-Length: ").append(std::to_string(body.size())).append("\r\n");
  response.append(headers).append("\r\n").append(body);
  return response;
}

}  // namespace zorya::function_host
