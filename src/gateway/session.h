#pragma once

#include "gateway/server.h"
#include "http/field.h"

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace zorya::gateway {

/// A body kept in a string that grows with what has come, never by what a Content-Length promises.
struct GrowingBody {
  using value_type = std::string;

  class reader {  // NOLINT(readability-identifier-naming): the name Beast asks for
   public:
    template <bool isRequest, class Fields>
    reader(boost::beast::http::header<isRequest, Fields>& /*header*/, value_type& body)
        : body_(body) {}
    void init(const boost::optional<std::uint64_t>& /*length*/, boost::beast::error_code& error) {
      error = {};
    }
    template <class Buffers>
    std::size_t put(const Buffers& buffers, boost::beast::error_code& error) {
      error = {};
      std::size_t size = 0;
      for (auto it = boost::asio::buffer_sequence_begin(buffers);
           it != boost::asio::buffer_sequence_end(buffers); ++it) {
        const boost::asio::const_buffer part = *it;
        body_.append(static_cast<const char*>(part.data()), part.size());
        size += part.size();
      }
      return size;
    }
    void finish(boost::beast::error_code& error) { error = {}; }

   private:
    value_type& body_;
  };
};

/// One connection: reads a request, has it answered, and goes on with the next. On the server's
/// thread.
class Session : public std::enable_shared_from_this<Session> {
 public:
  using Tcp = boost::asio::ip::tcp;
  using TimePoint = std::chrono::steady_clock::time_point;

  Session(Server& server, std::uint64_t id, Tcp::socket socket, std::string source_ip);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void start();
  void close();
  /// Does what the passed deadline asks for.
  void on_deadline();

  [[nodiscard]] TimePoint deadline() const { return deadline_; }
  [[nodiscard]] std::uint64_t serial() const { return serial_; }
  /// Since when the client owes a request's header; nothing once it is there.
  [[nodiscard]] std::optional<TimePoint> owes_since() const;

  // What a request waited for has come.
  void on_ready(const base::Result<void>& ready);
  void on_result(const function_host::InvokeResult& result);

 private:
  enum class State { kIdle, kHeader, kBody, kBeforeRequest, kInvoke, kWriting, kClosing, kClosed };
  using Parser = boost::beast::http::request_parser<GrowingBody>;

  void enter(State state, std::chrono::milliseconds allowed);
  [[nodiscard]] std::chrono::system_clock::time_point now() const;

  void read();
  void on_read(const boost::system::error_code& error, std::size_t size_bytes);
  void parse();
  bool begin_request();
  bool on_header();
  const Answer* check_header();
  const Answer* check_framing();
  void send_continue();
  bool account_body();
  void forget_body();
  void on_unreadable(const boost::system::error_code& error);

  void on_request();
  void invoke();
  void refuse(const Answer& answer, std::string reason);
  void refuse_and_close(const Answer& answer, std::string reason);
  void respond(Response response);
  [[nodiscard]] std::string make_head(const Response& response, bool has_body) const;
  void on_written(const boost::system::error_code& error);
  void linger();

  Server& server_;
  const std::uint64_t id_;
  Tcp::socket socket_;
  const std::string source_ip_;
  boost::beast::flat_buffer buffer_;
  State state_ = State::kIdle;
  TimePoint deadline_;
  TimePoint owes_since_;
  bool is_reading_ = false;
  bool is_line_read_ = false;  // the parser has taken the request line out of the buffer
  bool close_after_ = false;
  std::size_t drained_size_bytes_ = 0;
  std::size_t body_accounted_size_bytes_ = 0;
  std::uint64_t serial_ = 0;  // of the wait that is on; a late answer bears an older one
  std::optional<Parser> parser_;
  std::vector<http::FieldView> fields_;
  Incoming incoming_;
  std::optional<Exchange> exchange_;
  std::optional<Response> response_;
  std::string head_;
};

}  // namespace zorya::gateway
