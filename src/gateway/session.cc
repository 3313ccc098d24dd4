#include "gateway/session.h"

#include "base/log.h"
#include "http/request_line.h"
#include "http/target.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/rfc7230.hpp>
#include <boost/beast/http/status.hpp>

#include <array>
#include <utility>

namespace zorya::gateway {
namespace {

namespace asio = boost::asio;
namespace beast_http = boost::beast::http;
using boost::system::error_code;
using http::equals_ignoring_case;
using http::FieldView;

constexpr std::size_t kReadSizeBytes = 4u << 10;
constexpr std::size_t kBodyReadSizeBytes = 64u << 10;
constexpr std::size_t kIdleBufferSizeBytesMax = 64u << 10;
constexpr std::chrono::milliseconds kLingerTime{2000};
constexpr std::size_t kLingerSizeBytesMax = 32u << 20;

std::string_view view_of(boost::beast::string_view text) { return {text.data(), text.size()}; }

std::size_t count_fields(std::span<const FieldView> fields, std::string_view name) {
  std::size_t count = 0;
  for (const FieldView& field : fields) count += equals_ignoring_case(field.name, name) ? 1 : 0;
  return count;
}

}  // namespace

Session::Session(Server& server, std::uint64_t id, Tcp::socket socket, std::string source_ip)
    : server_(server), id_(id), socket_(std::move(socket)), source_ip_(std::move(source_ip)) {}

Session::~Session() = default;

void Session::start() {
  enter(State::kIdle, server_.options().limits.idle_deadline);
  owes_since_ = server_.options().clock->steady_now();
  read();
}

void Session::enter(State state, std::chrono::milliseconds allowed) {
  state_ = state;
  deadline_ = server_.options().clock->steady_now() + allowed;
}

std::chrono::system_clock::time_point Session::now() const {
  return server_.options().clock->now();
}

std::optional<Session::TimePoint> Session::owes_since() const {
  if (state_ == State::kIdle || state_ == State::kHeader) return owes_since_;
  return std::nullopt;
}

void Session::close() {
  if (state_ == State::kClosed) return;
  state_ = State::kClosed;
  ++serial_;
  forget_body();
  error_code ignored;
  socket_.close(ignored);
  const auto self = shared_from_this();  // the server's may be the last one
  server_.remove(id_);
}

void Session::on_deadline() {
  switch (state_) {
    case State::kHeader:
    case State::kBody:
      return refuse_and_close(kRequestTimeout, "the request came too slowly");
    case State::kBeforeRequest:
      return refuse(kBadGateway, "the publish that the request waits for takes too long");
    case State::kInvoke:
      return refuse(kEndpointTimeout, "the function did not answer within the integration limit");
    default:
      return close();
  }
}

// --- reading

void Session::read() {
  if (is_reading_) return;
  is_reading_ = true;
  const std::size_t size = state_ == State::kBody ? kBodyReadSizeBytes : kReadSizeBytes;
  socket_.async_read_some(buffer_.prepare(size),
                          [self = shared_from_this()](const error_code& error, std::size_t count) {
                            self->on_read(error, count);
                          });
}

void Session::on_read(const error_code& error, std::size_t size_bytes) {
  is_reading_ = false;
  if (state_ == State::kClosed) return;
  if (state_ == State::kClosing) {
    drained_size_bytes_ += size_bytes;
    if (error || drained_size_bytes_ > kLingerSizeBytesMax) return close();
    return read();
  }
  if (state_ == State::kWriting) return;  // an answer is on its way; the connection ends after it
  if (error) return close();
  buffer_.commit(size_bytes);
  parse();
}

bool Session::begin_request() {
  // Empty lines before a request are to be ignored; RFC 9112, 2.2.
  while (buffer_.size() >= 2) {
    const auto* bytes = static_cast<const char*>(buffer_.data().data());
    if (bytes[0] != '\r' || bytes[1] != '\n') break;
    buffer_.consume(2);
  }
  if (buffer_.size() == 0) {
    if (buffer_.capacity() > kIdleBufferSizeBytesMax) buffer_.shrink_to_fit();
    read();
    return false;
  }
  const Limits& limits = server_.options().limits;
  is_line_read_ = false;
  parser_.emplace();
  parser_->header_limit(
      static_cast<std::uint32_t>(limits.header_size_bytes_max + limits.target_size_bytes_max + 64));
  parser_->body_limit(limits.request_body_size_bytes_max);
  enter(State::kHeader, limits.header_deadline);
  return true;
}

void Session::parse() {
  while (true) {
    if (state_ == State::kIdle && !begin_request()) return;
    const std::string_view bytes(static_cast<const char*>(buffer_.data().data()), buffer_.size());
    if (state_ == State::kHeader && !is_line_read_ && !http::may_begin_request(bytes)) {
      return refuse_and_close(kBadRequest, "not an HTTP/1.1 request");
    }
    error_code error;
    const std::size_t used = parser_->put(buffer_.data(), error);
    buffer_.consume(used);
    is_line_read_ = is_line_read_ || used > 0;
    if (error && error != beast_http::error::need_more) return on_unreadable(error);
    if (state_ == State::kHeader && parser_->is_header_done() && !on_header()) return;
    if (!account_body()) {
      return refuse_and_close(kServiceUnavailable, "too many request bodies at once");
    }
    if (parser_->is_done()) return on_request();
    if (error == beast_http::error::need_more || buffer_.size() == 0) return read();
  }
}

void Session::on_unreadable(const error_code& error) {
  if (error == beast_http::error::body_limit) {
    return refuse_and_close(kRequestTooLong, "the request is over 10 MB");
  }
  if (error == beast_http::error::header_limit) {
    return refuse_and_close(kHeaderTooLarge, "the header is too large");
  }
  refuse_and_close(kBadRequest, error.message());
}

bool Session::on_header() {
  const auto& message = parser_->get();
  fields_.clear();
  // Now, so that trailers of a chunked body do not become fields of the header.
  for (const auto& field : message) {
    fields_.push_back({view_of(field.name_string()), view_of(field.value())});
  }
  if (const Answer* refused = check_header()) {
    refuse_and_close(*refused, refused == &kBadRequest ? "malformed request header" : "");
    return false;
  }
  enter(State::kBody, server_.options().limits.body_deadline);
  if (!parser_->is_done() && message.version() >= 11 && count_fields(fields_, "Expect") > 0) {
    send_continue();
    return false;
  }
  return true;
}

const Answer* Session::check_header() {
  const auto& message = parser_->get();
  const Limits& limits = server_.options().limits;
  std::size_t size_bytes = 0;
  for (const FieldView& field : fields_) size_bytes += field.name.size() + field.value.size() + 4;
  if (size_bytes > limits.header_size_bytes_max) return &kHeaderTooLarge;
  if (message.target().size() > limits.target_size_bytes_max) return &kUriTooLong;
  const auto target = http::parse_target(view_of(message.target()));
  const std::size_t host_count = count_fields(fields_, "Host");
  if (!target || host_count > 1 || (host_count == 0 && message.version() >= 11)) {
    return &kBadRequest;
  }
  if (const Answer* refused = check_framing()) return refused;
  incoming_ = Incoming{};
  incoming_.method = view_of(message.method_string());
  incoming_.authority =
      target->authority.empty() ? http::find_last(fields_, "Host") : target->authority;
  incoming_.path = target->path;
  incoming_.query = target->query;
  incoming_.fields = fields_;
  incoming_.source_ip = source_ip_;
  incoming_.port = server_.port();
  return nullptr;
}

/// Where the body ends must be beyond doubt: a doubt is how requests are smuggled.
const Answer* Session::check_framing() {
  const std::size_t coding_count = count_fields(fields_, "Transfer-Encoding");
  if (coding_count > 0) {
    if (parser_->get().version() < 11 || count_fields(fields_, "Content-Length") > 0) {
      return &kBadRequest;
    }
    const std::string_view coding = http::find_last(fields_, "Transfer-Encoding");
    if (coding_count > 1 || !equals_ignoring_case(coding, "chunked") || !parser_->chunked()) {
      return &kNotImplemented;
    }
  }
  const std::string_view expect = http::find_last(fields_, "Expect");
  if (expect.data() != nullptr && !equals_ignoring_case(expect, "100-continue")) {
    return &kExpectationFailed;
  }
  return nullptr;
}

void Session::send_continue() {
  static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
  asio::async_write(socket_, asio::buffer(kContinue.data(), kContinue.size()),
                    [self = shared_from_this()](const error_code& error, std::size_t) {
                      if (self->state_ != State::kBody) return;
                      if (error) return self->close();
                      if (self->buffer_.size() > 0) return self->parse();
                      self->read();
                    });
}

bool Session::account_body() {
  const std::size_t size_bytes = parser_->get().body().size();
  const auto grown = static_cast<std::ptrdiff_t>(size_bytes - body_accounted_size_bytes_);
  body_accounted_size_bytes_ = size_bytes;
  return grown == 0 || server_.account_body(grown);
}

void Session::forget_body() {
  server_.account_body(-static_cast<std::ptrdiff_t>(body_accounted_size_bytes_));
  body_accounted_size_bytes_ = 0;
  if (parser_) std::string().swap(parser_->get().body());
}

// --- answering

void Session::on_request() {
  close_after_ = !parser_->get().keep_alive();
  incoming_.body = parser_->get().body();
  exchange_.emplace(server_.settings(), incoming_, now());
  ++serial_;
  const Options& options = server_.options();
  if (!options.before_request) return invoke();
  enter(State::kBeforeRequest, options.limits.before_request_deadline);
  options.before_request(
      [server = server_.weak_from_this(), id = id_, serial = serial_](base::Result<void> ready) {
        Server::resume(server, id, serial,
                       [ready = std::move(ready)](Session& session) { session.on_ready(ready); });
      });
}

void Session::on_ready(const base::Result<void>& ready) {
  if (state_ != State::kBeforeRequest) return;
  ++serial_;
  if (!ready) return refuse(kBadGateway, ready.error().message);
  invoke();
}

void Session::invoke() {
  auto request = exchange_->begin(server_.table(), now());
  forget_body();
  if (!request) return refuse(exchange_->answer(), "");
  enter(State::kInvoke, server_.options().limits.integration_deadline);
  server_.options().host->invoke(std::move(*request), [server = server_.weak_from_this(), id = id_,
                                                       serial = serial_](
                                                          function_host::InvokeResult result) {
    // std::function wants to copy what it holds.
    auto shared = std::make_shared<function_host::InvokeResult>(std::move(result));
    Server::resume(server, id, serial, [shared](Session& session) { session.on_result(*shared); });
  });
}

void Session::on_result(const function_host::InvokeResult& result) {
  if (state_ != State::kInvoke) return;
  respond(exchange_->finish(result));
}

void Session::refuse(const Answer& answer, std::string reason) {
  respond(exchange_->refuse(answer, std::move(reason)));
}

/// For a request that could not be read to its end: nothing behind it can be trusted.
void Session::refuse_and_close(const Answer& answer, std::string reason) {
  close_after_ = true;
  exchange_.emplace(server_.settings(), Incoming{}, now());
  refuse(answer, std::move(reason));
}

void Session::respond(Response response) {
  ++serial_;
  forget_body();
  if (!response.reason.empty()) {
    base::log(
        base::LogLevel::kWarning, "gateway",
        exchange_->describe() + " got " + std::to_string(response.status) + ": " + response.reason);
  }
  const int status = response.status;
  const bool has_body = status != 204 && status != 304 && incoming_.method != "HEAD";
  response_.emplace(std::move(response));
  head_ = make_head(*response_, has_body);
  enter(State::kWriting, server_.options().limits.write_deadline);
  const std::string_view body = has_body ? response_->body() : std::string_view{};
  const std::array<asio::const_buffer, 2> buffers{asio::buffer(head_),
                                                  asio::buffer(body.data(), body.size())};
  asio::async_write(socket_, buffers,
                    [self = shared_from_this()](const error_code& error, std::size_t) {
                      self->on_written(error);
                    });
  // Behind the write, which has most likely left by now.
  telemetry::Sink* telemetry = server_.options().telemetry;
  if (telemetry == nullptr) return;
  if (auto segment = exchange_->segment(*response_, now())) {
    telemetry->segment(std::move(*segment));
  }
}

std::string Session::make_head(const Response& response, bool has_body) const {
  std::string head;
  head.reserve(512);
  const auto known = beast_http::int_to_status(static_cast<unsigned>(response.status));
  boost::beast::string_view reason;  // none for a status that has no name
  if (known != beast_http::status::unknown) reason = beast_http::obsolete_reason(known);
  head.append("HTTP/1.1 ").append(std::to_string(response.status)).append(" ");
  head.append(reason.data(), reason.size()).append("\r\nDate: ").append(server_.date());
  head.append("\r\n").append(response.fields);
  if (has_body || incoming_.method == "HEAD") {
    if (response.status != 204 && response.status != 304) {
      head.append("Content-Length: ").append(std::to_string(response.body().size()));
      head.append("\r\n");
    }
  }
  head.append(close_after_ ? "Connection: close\r\n\r\n" : "Connection: keep-alive\r\n\r\n");
  return head;
}

void Session::on_written(const error_code& error) {
  if (state_ == State::kClosed) return;
  if (error) return close();
  if (close_after_) return linger();
  exchange_.reset();
  response_.reset();
  parser_.reset();
  incoming_ = Incoming{};
  enter(State::kIdle, server_.options().limits.idle_deadline);
  owes_since_ = server_.options().clock->steady_now();
  parse();
}

/// Closing while the client still sends would throw our answer away (a reset overtakes it): say
/// that no more comes, and read on for a while. RFC 9112, 9.6.
void Session::linger() {
  enter(State::kClosing, kLingerTime);
  error_code ignored;
  socket_.shutdown(Tcp::socket::shutdown_send, ignored);
  buffer_.clear();
  read();
}

}  // namespace zorya::gateway
