#include "pgwire/frame.h"
#include "query_processor/gate/router_word.h"
#include "router/backend_greeting.h"
#include "router/read_answer.h"
#include "router/session.h"

// A session's fresh backend in the place of a lost one.
namespace zorya::router {
namespace {

using namespace std::chrono_literals;
using pgwire::TransactionStatus;

constexpr std::chrono::milliseconds kRetryPause = 50ms;

/// Counts the answers to our messages down, and hears nothing else.
struct AnswerCounter {
  static bool wants(char type) { return type == 'Z'; }
  static bool begin(char /*type*/) { return true; }
  void pass(std::string_view /*run*/) {}
  bool take(const pgwire::Frame& /*frame*/) { return --left > 0; }
  std::size_t left;
};

/// What a backend reports in its greeting.
SessionMemory::Settings settings_in(std::string_view greeting) {
  struct Reader {
    static bool wants(char type) { return type == 'S'; }
    static bool begin(char /*type*/) { return true; }
    void pass(std::string_view /*run*/) {}
    bool take(const pgwire::Frame& frame) {
      if (const auto status = pgwire::parse_parameter_status(frame.body)) {
        settings.insert_or_assign(std::string(status->first), std::string(status->second));
      }
      return true;
    }
    SessionMemory::Settings settings;
  };
  Reader reader;
  pgwire::FrameCutter cutter(1 << 20, 1 << 20);
  cutter.feed(greeting, reader);
  return std::move(reader.settings);
}

/// In a failed block, as the lost one was.
std::vector<std::string> failed_block() {
  std::vector<std::string> out(2);
  pgwire::append_query(out[0], "BEGIN");
  pgwire::append_query(out[1], Relay::own_word());
  return out;
}

}  // namespace

/// Brings a backend that stands in for the lost one, within the time that a server needs to start
/// again; adds what the client is to be told of it. False: there is none.
asio::awaitable<bool> Session::restore_backend(std::string* to_client) {
  const auto patience = shared_->options.limits.backend_patience;
  const auto give_up = shared_->options.clock->steady_now() + patience;
  while (client_.is_open() && !last_words_ && !shared_->stopping) {
    asio::steady_timer guard(shared_->context, patience + 1s);
    close_backend_at(guard);
    const Attempt attempt = co_await try_restore(to_client);
    guard.cancel();
    if (attempt == Attempt::kDone) co_return true;
    backend_.reset();
    if (attempt == Attempt::kRefused) co_return false;
    if (shared_->options.clock->steady_now() >= give_up) co_return false;
    asio::steady_timer pause(shared_->context, kRetryPause);
    co_await pause.async_wait(kAwait);
  }
  co_return false;
}

/// A server that does not answer ends the attempt.
void Session::close_backend_at(asio::steady_timer& timer) {
  timer.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
    const auto self = weak.lock();
    if (!error && self && self->backend_) self->backend_->close();
  });
}

asio::awaitable<Session::Attempt> Session::try_restore(std::string* to_client) {
  if (find_cluster() == Found::kNotThere) co_return Attempt::kRefused;
  BackendGreeting greeting;
  const Attempt attempt = co_await log_in_at_backend(&greeting);
  if (attempt == Attempt::kRefused) log_refusal("no other backend: " + greeting.reason());
  if (attempt != Attempt::kDone) co_return attempt;
  const SessionMemory::Settings fresh = settings_in(greeting.rest());
  auto messages = relay_->memory().restoring(fresh);
  if (relay_->transaction_status() == TransactionStatus::kFailed) {
    for (auto& message : failed_block()) messages.push_back(std::move(message));
  }
  // What was restored has looked at the catalogue too. From here on it is the session that does.
  pgwire::append_query(messages.emplace_back(), std::string(Relay::own_word()) +
                                                    std::string(query_processor::gate::kRestored));
  std::string out;
  for (const auto& message : messages) out += message;
  if (!co_await backend_->write_all(out)) co_return Attempt::kAgain;
  AnswerCounter answers{messages.size()};
  if (answers.left > 0) co_await read_answer(backend_.get(), &answers, 1u << 30);
  if (answers.left > 0) co_return Attempt::kAgain;
  for (const auto& [name, value] : relay_->memory().take_corrections(fresh)) {
    pgwire::append_parameter_status(*to_client, name, value);
  }
  note_backend(greeting.key());
  relay_->take_backend();
  co_return Attempt::kDone;
}

}  // namespace zorya::router
