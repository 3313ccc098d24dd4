#pragma once

#include "base/check.h"
#include "router/error_map.h"
#include "router/relay.h"

#include <string>
#include <string_view>
#include <utility>

// Test support: one entry for the fuzzer (tests/fuzz) and for the mutation test beside it.
namespace zorya::router {

/// A session's relay under any bytes of its client and any answers of a server, in any pieces, with
/// transactions failed, statements cancelled and backends lost between them: what happens is read
/// from `script`, step by step. A step is a byte that says what (its lower four bits) and where to
/// cut (the others), for bytes and messages a length, and then those.
class RandomRelay {
 public:
  explicit RandomRelay(std::string_view script) : script_(script) {}

  /// Checks what must hold whatever comes: a client that is held is not read, what is said is
  /// bounded by what was heard, and the end is an end.
  void run() {
    while (goes_on_ && !script_.empty()) step();
  }
  [[nodiscard]] std::size_t said_bytes() const { return said_bytes_; }

 private:
  void step() {
    const std::uint8_t what = byte();
    const std::size_t cut = what >> 4;
    heard_bytes_ += kStepBytes;
    switch (what & 15) {
      case 0:
        return client(take(byte()), cut);
      case 1:
        return backend(take(byte()), cut);
      case 2:
      case 3:
      case 4:
      case 5:
        return client(message(), cut);
      case 6:
      case 7:
      case 8:
      case 9:
        return backend(message(), cut);
      case 10:
        return ready(cut);
      case 11:
        return fail(cut % 2 == 0 ? Cause::kSchemaChange : Cause::kAge);
      case 12:
        return cancel(cut % 2 == 0);
      default:
        return lose();
    }
  }

  std::uint8_t byte() {
    if (script_.empty()) return 0;
    const char first = script_.front();
    script_.remove_prefix(1);
    return static_cast<std::uint8_t>(first);
  }
  std::string take(std::size_t size) {
    const std::string out(script_.substr(0, size));
    script_.remove_prefix(out.size());
    return out;
  }
  /// A message with a true length: of random bytes alone too few would be one.
  std::string message() {
    const char type = static_cast<char>(byte());
    std::string out;
    pgwire::append_message(out, type, take(byte()));
    return out;
  }

  void client(std::string_view bytes, std::size_t cut) {
    const std::size_t first = std::min(cut * cut, bytes.size());
    client_piece(bytes.substr(0, first));
    client_piece(bytes.substr(first));
  }
  void client_piece(std::string_view bytes) {
    if (!goes_on_ || relay_.holds_client()) return;
    heard_bytes_ += bytes.size();
    std::string to_backend;
    std::string to_client;
    goes_on_ = relay_.from_client(bytes, to_backend, to_client) == RelayStatus::kGoesOn;
    if (!goes_on_) return;
    if (!to_backend.empty() && !relay_.has_backend()) {
      if (bytes.size() % 2 == 0) {
        relay_.take_backend();
      } else {
        relay_.refuse_without_backend(to_client);
      }
    }
    say(to_backend);
    say(to_client);
  }

  void backend(std::string_view bytes, std::size_t cut) {
    const std::size_t first = std::min(cut * cut, bytes.size());
    backend_piece(bytes.substr(0, first));
    backend_piece(bytes.substr(first));
  }
  void backend_piece(std::string_view bytes) {
    if (!goes_on_ || !relay_.has_backend()) return;
    heard_bytes_ += bytes.size();
    std::string to_client;
    goes_on_ = relay_.from_backend(bytes, to_client) == RelayStatus::kGoesOn;
    say(to_client);
  }
  void ready(std::size_t cut) {
    std::string out;
    pgwire::append_message(out, 'Z', std::string_view("ITE").substr(cut % 3, 1));
    backend_piece(out);
  }

  void fail(Cause cause) {
    const auto stance = relay_.stance();
    if (!relay_.has_backend() || !relay_.may_tell_backend()) return;
    std::string to_backend;
    if (stance == Relay::Stance::kCopyIn) {
      relay_.fail_copy(cause, catalogue_conflict, to_backend);
    } else if (relay_.is_waiting_in_transaction()) {
      relay_.fail_transaction(cause, catalogue_conflict, to_backend);
      CHECK(relay_.holds_client(), "a transaction fails and its client is not held");
    }
    say(to_backend);
  }

  void cancel(bool sent) {
    if (relay_.stance() != Relay::Stance::kBusy) return;
    relay_.expect_cancel(catalogue_conflict);
    relay_.cancel_was_sent(sent);
  }

  void lose() {
    if (!relay_.has_backend()) return;
    std::string to_client;
    goes_on_ = relay_.lose_backend(catalogue_conflict, to_client);
    if (!goes_on_) return;
    say(to_client);
    CHECK(!relay_.has_backend() && !relay_.is_busy(), "a lost backend is still awaited");
    CHECK(!relay_.holds_client(), "a client is held for a backend that is gone");
    for (const std::string& restoring : relay_.memory().restoring({})) say(restoring);
    heard_bytes_ += SessionMemory::kStatementBytesMax;
  }

  /// The largest answer to the least message: an error of ours to a Sync of five bytes.
  void say(std::string_view text) {
    said_bytes_ += text.size();
    CHECK(said_bytes_ <= kAnswerRatio * heard_bytes_, "more is said than what was heard explains");
  }

  static constexpr std::size_t kStepBytes = 16;
  static constexpr std::size_t kAnswerRatio = 64;
  static constexpr std::uint32_t kMessageBytesMax = 2000;

  std::string_view script_;
  LossCounts counts_;
  Relay relay_{pgwire::TransactionStatus::kIdle, counts_, kMessageBytesMax};
  bool goes_on_ = true;
  std::size_t heard_bytes_ = 0;
  std::size_t said_bytes_ = 0;
};

}  // namespace zorya::router
