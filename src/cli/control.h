#pragma once

#include "base/result.h"

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace zorya::cli {

/// An invoke's payload of 6 MB, escaped in JSON, and what is around it.
inline constexpr std::size_t kMaxControlBytes = 40u << 20;

/// The door for other verbs into a running instance: control.sock (0600) in the data folder. One
/// request and one answer per connection, each one line of JSON; lines that tell how far it is may
/// come before the answer. At most kMaxControlConnections at once; more are closed. A thread per
/// connection.
class ControlServer {
 public:
  /// Sends a line before the answer. False if who asked is gone, or reads nothing for ten seconds.
  using Say = std::function<bool(const std::string& line)>;
  /// `handler` may block; it runs on a connection's thread.
  using Handler = std::function<std::string(const std::string& request, const Say& say)>;
  static base::Result<std::unique_ptr<ControlServer>> start(
      const std::filesystem::path& data_folder, Handler handler);
  /// Closes all, waits for handlers that run, removes the socket.
  virtual ~ControlServer() = default;
};

/// Sends one line and waits for the answer. kUnavailable if nothing listens there.
base::Result<std::string> ask_instance(const std::filesystem::path& data_folder,
                                       std::string_view request, std::chrono::milliseconds timeout);

/// The same for a request that takes long: `is_answer` is shown each line and says which one ends
/// it. `timeout` is the longest silence.
base::Result<std::string> follow_instance(
    const std::filesystem::path& data_folder, std::string_view request,
    std::chrono::milliseconds timeout,
    const std::function<bool(const std::string& line)>& is_answer);

/// Whether an instance listens there.
bool is_instance_listening(const std::filesystem::path& data_folder);

}  // namespace zorya::cli
