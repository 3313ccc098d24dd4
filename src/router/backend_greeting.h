#pragma once

#include "pgwire/frame.h"
#include "pgwire/messages.h"
#include "router/error_map.h"

#include <optional>
#include <string>

namespace zorya::router {

/// Reads what a backend answers to our login, until it is ready for queries or refuses: a handler
/// for pgwire::FrameCutter, which it stops then.
class BackendGreeting {
 public:
  static bool wants(char /*type*/) { return true; }
  static bool begin(char /*type*/) { return false; }
  void pass(std::string_view /*run*/) {}
  bool take(const pgwire::Frame& frame);

  /// Set when the backend is ready.
  [[nodiscard]] std::optional<pgwire::TransactionStatus> status() const { return status_; }
  [[nodiscard]] pgwire::BackendKey key() const { return key_; }
  /// ParameterStatus and notices, as they came: the relay has rules for them.
  [[nodiscard]] const std::string& rest() const { return rest_; }

  /// The server is starting or recovering: the same login will work in a moment.
  [[nodiscard]] bool is_starting() const { return starting_; }
  /// What the client is to be told if the backend refused, and why, for the log.
  [[nodiscard]] const pgwire::ErrorReport& error() const { return error_; }
  [[nodiscard]] const std::string& reason() const { return reason_; }

 private:
  bool refused(const pgwire::Frame& frame);

  std::optional<pgwire::TransactionStatus> status_;
  pgwire::BackendKey key_;
  std::string rest_;
  bool starting_ = false;
  pgwire::ErrorReport error_ = server_unavailable("FATAL");
  std::string reason_ = "its answer is malformed";
};

}  // namespace zorya::router
