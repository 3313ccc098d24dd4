// Random programs of a client through the relay to a model of a backend, while transactions are
// failed, statements cancelled and backends lost at any moment. What must hold, whatever happens:
// each query and Sync has exactly one ReadyForQuery, what the client was told is committed is, and
// what it was told is lost is not. ZORYA_RELAY_SEEDS=N runs N programs, ZORYA_RELAY_SEED=S the one.
#include "router/error_map.h"
#include "router/relay.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <random>
#include <set>
#include <vector>

namespace zorya::router {
namespace {

using namespace std::string_literals;
using pgwire::TransactionStatus;
using Stance = Relay::Stance;

/// Statements: begin, commit, rollback, select, bad, copy, and a number, which is written. A query
/// is some of them between semicolons.
using Words = std::vector<std::string>;

Words split(std::string_view text) {
  Words out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(';'), text.size());
    if (end > 0) out.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}
bool is_number(const std::string& word) { return word[0] >= '0' && word[0] <= '9'; }

/// A single program is told step by step.
void trace(std::string_view who, std::string_view text) {
  if (std::getenv("ZORYA_RELAY_SEED") == nullptr) return;
  std::string shown;
  for (const char c : text) shown += c >= ' ' && c <= '~' ? c : '.';
  std::printf("%.*s %s\n", static_cast<int>(who.size()), who.data(), shown.c_str());
}

std::string message(char type, std::string_view body = {}) {
  std::string out;
  pgwire::append_message(out, type, body);
  return out;
}

/// As much of a backend as transactions and the protocol's rules need.
class ModelBackend {
 public:
  explicit ModelBackend(std::set<std::string>& committed) : committed_(committed) {}

  std::string in;
  std::string out;
  bool cancelled = false;  // the statement that runs next is struck

  static bool wants(char /*type*/) { return true; }
  static bool begin(char /*type*/) { return false; }
  void pass(std::string_view /*run*/) {}
  bool take(const pgwire::Frame& frame) {
    trace("    backend gets", frame.whole);
    handle(frame.type, std::string(frame.body));
    return true;
  }

  /// Works off at most `size` bytes of what it was sent.
  void work(std::size_t size) {
    size = std::min(size, in.size());
    cutter_.feed(std::string_view(in).substr(0, size), *this);
    in.erase(0, size);
    if (in.empty()) cancelled = false;  // it strikes nothing when nothing runs
  }

  /// Its last words: it ends here.
  void end(bool says_aborted) {
    if (!says_aborted) return;
    std::string text;
    pgwire::append_error(text, {.severity = "FATAL", .sqlstate = "57P01", .message = "end"});
    if (!writes_.empty() || block_) {
      pgwire::append_notice(text,
                            {.severity = "NOTICE", .sqlstate = "ZR003", .message = "aborted"});
    }
    out += text;
  }

 private:
  void handle(char type, const std::string& body) {
    if (copying_) return copy(type, body);
    if (type == 'd' || type == 'c' || type == 'f' || type == 'H') return;
    if (skipping_ && type != 'S') return;
    switch (type) {
      case 'Q':
        return query(body.substr(0, body.find('\0')));
      case 'P':
        return parse(body);
      case 'B':
        return bind(body);
      case 'E':
        return execute();
      case 'S':
        skipping_ = false;
        if (!block_) commit();
        return ready();
      default:
        return;
    }
  }

  void error(const std::string& state, const std::string& text) {
    pgwire::append_error(out, {.sqlstate = state, .message = text});
    writes_.clear();
    failed_ = block_;
  }

  /// False if it failed.
  bool run(const std::string& word) {
    if (cancelled) {
      cancelled = false;
      error("57014", "canceling statement");
      return false;
    }
    if (failed_ && word != "commit" && word != "rollback") {
      error("25P02", "aborted");
      return false;
    }
    std::string tag = word;
    if (word == "begin") {
      block_ = true;
    } else if (word == "commit") {
      tag = failed_ ? "rollback" : "commit";
      if (!failed_) commit();
      writes_.clear();
      block_ = failed_ = false;
    } else if (word == "rollback") {
      writes_.clear();
      block_ = failed_ = false;
    } else if (word == "bad") {
      error("22012", "bad");
      return false;
    } else if (is_number(word)) {
      writes_.insert(word);
    }
    // PostgreSQL's tags are upper case, and so are those that the relay makes itself.
    for (char& c : tag) c = static_cast<char>(std::toupper(c));
    out += message('C', tag + '\0');
    return true;
  }

  void query(const std::string& text) {
    if (text.starts_with(Relay::own_word())) {
      error("42601", "syntax error at or near \"" + std::string(Relay::own_word()) + "\"");
      return ready();
    }
    for (const std::string& word : split(text)) {
      if (word == "copy" && !failed_) {
        copying_ = true;
        out += message('G', "\0\0\0"s);
        return;
      }
      if (!run(word == "ROLLBACK" ? "rollback" : word)) break;
    }
    if (!block_) commit();
    ready();
  }

  void copy(char type, const std::string& body) {
    if (type == 'd') copied_.insert(body);
    if (type != 'c' && type != 'f') return;
    copying_ = false;
    if (type == 'f') {
      error("57014", "COPY from stdin failed");
    } else {
      writes_.insert(copied_.begin(), copied_.end());
      out += message('C', "COPY\0"s);
      if (!block_) commit();
    }
    copied_.clear();
    ready();
  }

  void fail_extended(const std::string& state) {
    error(state, "x");
    skipping_ = true;
  }

  void parse(const std::string& body) {
    const std::string name = body.substr(0, body.find('\0'));
    const std::string text =
        body.substr(name.size() + 1, body.find('\0', name.size() + 1) - name.size() - 1);
    if (text == "bad") return fail_extended("42601");
    if (failed_ && text != "commit" && text != "rollback") return fail_extended("25P02");
    if (!name.empty() && statements_.contains(name)) return fail_extended("42P05");
    statements_[name] = text;
    out += message('1');
  }

  void bind(const std::string& body) {
    const std::size_t start = body.find('\0') + 1;
    const std::string name = body.substr(start, body.find('\0', start) - start);
    const auto found = statements_.find(name);
    if (found == statements_.end()) return fail_extended("26000");
    bound_ = found->second;
    if (failed_ && bound_ != "commit" && bound_ != "rollback") return fail_extended("25P02");
    out += message('2');
  }

  void execute() {
    if (bound_.empty()) return fail_extended("34000");
    const std::string word = std::exchange(bound_, {});
    if (!run(word)) skipping_ = true;
  }

  void commit() {
    committed_.insert(writes_.begin(), writes_.end());
    writes_.clear();
  }

  void ready() {
    bound_.clear();
    const char status = failed_ ? 'E' : block_ ? 'T' : 'I';
    out += message('Z', {&status, 1});
  }

  std::set<std::string>& committed_;
  pgwire::FrameCutter cutter_{1 << 20, 1 << 20};
  std::set<std::string> writes_;
  std::set<std::string> copied_;
  std::map<std::string, std::string> statements_;
  std::string bound_;
  bool block_ = false;
  bool failed_ = false;
  bool skipping_ = false;
  bool copying_ = false;
};

/// What a client sent up to one ReadyForQuery, and what it makes of the answers.
class ModelClient {
 public:
  std::set<std::string> acknowledged;
  std::set<std::string> lost;
  std::size_t sent_count = 0;
  std::size_t ready_count = 0;
  bool wants_data = false;  // CopyInResponse came
  std::string fault;

  void send(Words words) {
    units_.push_back(std::move(words));
    ++sent_count;
  }

  static bool wants(char /*type*/) { return true; }
  static bool begin(char /*type*/) { return false; }
  void pass(std::string_view /*run*/) {}
  bool take(const pgwire::Frame& frame) {
    trace("client gets", frame.whole);
    switch (frame.type) {
      case 'C':
        completed(std::string(frame.body.substr(0, frame.body.find('\0'))));
        break;
      case 'E':
        failed(std::string((*pgwire::ErrorFields::parse(frame.body))['C']));
        break;
      case 'G':
        wants_data = true;
        break;
      case 'Z':
        ready(frame.body[0]);
        break;
      default:
        break;
    }
    return true;
  }

  void take_bytes(std::string_view bytes) { cutter_.feed(bytes, *this); }

  /// Extended messages whose Sync is not sent yet may be answered: those words are the next unit.
  Words open;
  Words data;  // of the COPY

 private:
  Words& unit() { return units_.empty() ? open : units_.front(); }

  void completed(const std::string& tag) {
    if (tag == "COMMIT" && !in_block_) {
      // A warning: nothing to commit but what the same message wrote before it.
      acknowledged.insert(writes_.begin(), writes_.end());
      writes_.clear();
    } else if (tag == "COMMIT") {
      acknowledged.insert(writes_.begin(), writes_.end());
      writes_.clear();
      in_block_ = false;
    } else if (tag == "ROLLBACK") {
      lose();
      in_block_ = false;
    } else if (tag == "BEGIN") {
      in_block_ = true;
    } else if (tag == "COPY") {
      writes_.insert(data.begin(), data.end());
      data.clear();
    } else if (is_number(tag)) {
      writes_.insert(tag);
    }
    ++done_;
  }

  void failed(const std::string& state) {
    const bool is_unknown = state == "XX000";
    const Words& words = unit();
    const auto cannot_be_committed = [&](const std::string& id) {
      if (is_unknown) return;
      lost.insert(id);
    };
    for (std::size_t i = done_; i < words.size(); ++i) {
      if (is_number(words[i])) cannot_be_committed(words[i]);
    }
    for (const std::string& id : data) cannot_be_committed(id);
    for (const std::string& id : writes_) cannot_be_committed(id);
    writes_.clear();
    data.clear();
    failed_ = true;
  }

  void ready(char status) {
    ++ready_count;
    wants_data = false;
    if (units_.empty()) {
      fault = "ReadyForQuery to nothing";
      return;
    }
    units_.pop_front();
    done_ = 0;
    data.clear();  // sent after the COPY had failed
    if (status == 'I') {
      if (!failed_) acknowledged.insert(writes_.begin(), writes_.end());
      writes_.clear();
    }
    if (status == 'T' && failed_) fault = "an error left the block in order";
    failed_ = false;
    in_block_ = status != 'I';
  }

  void lose() {
    lost.insert(writes_.begin(), writes_.end());
    writes_.clear();
  }

  std::deque<Words> units_;
  std::set<std::string> writes_;
  std::size_t done_ = 0;
  bool in_block_ = false;
  bool failed_ = false;
  pgwire::FrameCutter cutter_{1 << 20, 1 << 20};
};

class Program {
 public:
  explicit Program(std::uint64_t seed) : random_(seed) {}

  std::string run() {
    for (int step = 0; step < 120; ++step) act();
    finish();
    if (!client_.fault.empty()) return client_.fault;
    if (client_.ready_count != client_.sent_count) {
      return std::to_string(client_.sent_count) + " sent, " + std::to_string(client_.ready_count) +
             " ready";
    }
    for (const auto& id : client_.acknowledged) {
      if (!committed_.contains(id)) return id + " was acknowledged and is not there";
    }
    for (const auto& id : client_.lost) {
      if (committed_.contains(id)) return id + " was told lost and is there";
    }
    return {};
  }

  [[nodiscard]] const LossCounts& counts() const { return counts_; }
  [[nodiscard]] std::size_t committed_count() const { return committed_.size(); }

 private:
  std::size_t below(std::size_t bound) {
    return std::uniform_int_distribution<std::size_t>(0, bound - 1)(random_);
  }
  bool chance(std::size_t one_in) { return below(one_in) == 0; }

  void act() {
    switch (below(12)) {
      case 0:
      case 1:
      case 2:
      case 3:
        return send();
      case 4:
      case 5:
        return backend_->work(1 + below(chance(3) ? 20 : 400));
      case 6:
      case 7:
      case 8:
        return read(1 + below(chance(3) ? 20 : 400));
      case 9:
        return wound();
      case 10:
        return chance(3) ? cancel() : wound();
      default:
        return chance(4) ? lose() : settle();
    }
  }

  void settle() {
    backend_->work(backend_->in.size());
    read(backend_->out.size());
  }

  // ---------------------------------------------------------------- the client

  std::string word() {
    switch (below(9)) {
      case 0:
      case 1:
        return "begin";
      case 2:
        return "commit";
      case 3:
        return chance(2) ? "rollback" : "commit";
      case 4:
        return chance(3) ? "bad" : "select";
      default:
        return std::to_string(++last_id_);
    }
  }

  void send() {
    if (copying_) return send_copy();
    if (!client_.open.empty() || extended_open_) return send_extended();
    if (chance(2)) return send_extended();
    if (chance(12)) {
      settle();  // its answers must be told from those before
      if (client_.ready_count != client_.sent_count) return;
      client_.send({"copy"});
      copying_ = true;
      return pass(message('Q', "copy\0"s));
    }
    Words words = {word()};
    while (chance(5)) words.push_back(word());
    std::string text;
    for (const auto& one : words) text += one + ";";
    client_.send(words);
    pass(message('Q', text + '\0'));
  }

  void send_copy() {
    if (client_.ready_count == client_.sent_count) {  // it failed
      copying_ = false;
      if (chance(2)) pass(message('d', "late") + message('c'));
      return;
    }
    if (!client_.wants_data) return settle();
    if (chance(3)) {
      copying_ = false;
      return pass(message('c'));
    }
    const std::string id = std::to_string(++last_id_);
    client_.data.push_back(id);
    pass(message('d', id));
  }

  void send_extended() {
    if (extended_open_ && chance(3)) {
      extended_open_ = false;
      client_.send(std::exchange(client_.open, {}));
      return pass(message('S'));
    }
    extended_open_ = true;
    const std::string one = word();
    client_.open.push_back(one);
    std::string name;
    std::string text;
    if (!is_number(one) && one != "bad" && chance(2)) {
      name = one;
      if (!prepared_.contains(name)) text = message('P', name + '\0' + one + "\0\0\0"s);
      // If it fails the next Bind fails too (26000), which is an answer like another.
      if (!text.empty() && chance(3)) prepared_.insert(name);
    } else {
      text = message('P', "\0"s + one + "\0\0\0"s);
    }
    pass(text + message('B', "\0"s + name + "\0\0\0\0\0\0\0"s) + message('E', "\0\0\0\0\0"s) +
         (chance(3) ? message('H') : ""));
  }

  /// In pieces, as a network has them.
  void pass(const std::string& bytes) {
    trace("client sends", bytes);
    std::size_t at = 0;
    while (at < bytes.size()) {
      const std::size_t size = std::min(bytes.size() - at, 1 + below(chance(2) ? 8 : 200));
      while (relay_.holds_client()) settle();
      std::string to_backend;
      std::string to_client;
      ASSERT_EQ(relay_.from_client(std::string_view(bytes).substr(at, size), to_backend, to_client),
                RelayStatus::kGoesOn);
      client_.take_bytes(to_client);
      if (!to_backend.empty() && !relay_.has_backend() && !restore()) to_backend.clear();
      backend_->in += to_backend;
      at += size;
    }
  }

  void read(std::size_t size) {
    size = std::min(size, backend_->out.size());
    std::string to_client;
    ASSERT_EQ(relay_.from_backend(std::string_view(backend_->out).substr(0, size), to_client),
              RelayStatus::kGoesOn);
    backend_->out.erase(0, size);
    client_.take_bytes(to_client);
  }

  // ---------------------------------------------------------------- what happens to it

  void wound() {
    if (!relay_.may_tell_backend()) return;
    const Stance stance = relay_.stance();
    if (stance == Stance::kInTransaction || stance == Stance::kOpen) {
      trace("  fail", "transaction");
      relay_.fail_transaction(Cause::kSchemaChange, catalogue_conflict, backend_->in);
    } else if (stance == Stance::kCopyIn) {
      trace("  fail", "copy");
      relay_.fail_copy(Cause::kSchemaChange, catalogue_conflict, backend_->in);
    }
  }

  void cancel() {
    if (relay_.stance() != Stance::kBusy) return;
    trace("  cancel", "");
    relay_.expect_cancel(catalogue_conflict);
    backend_->cancelled = !backend_->in.empty();
    relay_.cancel_was_sent(true);
  }

  void lose() {
    if (!relay_.has_backend()) return;
    backend_->work(below(backend_->in.size() + 1));
    if (chance(2)) {
      backend_->end(chance(2));
      read(backend_->out.size());
    } else {
      read(below(backend_->out.size() + 1));  // the rest is lost with it
    }
    trace("  lose", "");
    std::string to_client;
    ASSERT_TRUE(relay_.lose_backend(catalogue_conflict, to_client));
    client_.take_bytes(to_client);
    backend_ = std::make_unique<ModelBackend>(committed_);
    if (chance(2)) restore();
  }

  bool restore() {
    if (chance(5)) {
      std::string to_client;
      relay_.refuse_without_backend(to_client);
      client_.take_bytes(to_client);
      return false;
    }
    for (const auto& text : relay_.memory().restoring({})) backend_->in += text;
    if (relay_.transaction_status() == TransactionStatus::kFailed) {
      pgwire::append_query(backend_->in, "begin");
      pgwire::append_query(backend_->in, Relay::own_word());
    }
    backend_->work(backend_->in.size());
    backend_->out.clear();
    relay_.take_backend();
    return true;
  }

  /// Lets everything come to its end.
  void finish() {
    for (int round = 0; round < 20 && (copying_ || extended_open_); ++round) {
      settle();
      if (copying_ && client_.wants_data) {
        copying_ = false;
        pass(message('c'));
      } else if (copying_) {
        send_copy();
      } else {
        extended_open_ = false;
        client_.send(std::exchange(client_.open, {}));
        pass(message('S'));
      }
    }
    settle();
    settle();
  }

  std::mt19937_64 random_;
  LossCounts counts_;
  std::set<std::string> committed_;
  std::unique_ptr<ModelBackend> backend_ = std::make_unique<ModelBackend>(committed_);
  Relay relay_{TransactionStatus::kIdle, counts_};
  ModelClient client_;
  std::set<std::string> prepared_;
  int last_id_ = 0;
  bool copying_ = false;
  bool extended_open_ = false;
};

std::uint64_t number_in(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

TEST(RelayModel, WhateverHappensTheClientIsToldTheTruth) {
  const std::uint64_t only = number_in("ZORYA_RELAY_SEED", 0);
  const std::uint64_t count = only != 0 ? 1 : number_in("ZORYA_RELAY_SEEDS", 3000);
  std::uint64_t told = 0;
  std::size_t committed = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t seed = only != 0 ? only : i + 1;
    Program program(seed);
    const std::string fault = program.run();
    ASSERT_EQ(fault, "") << "again: ZORYA_RELAY_SEED=" << seed << " router_test";
    told += program.counts().told;
    committed += program.committed_count();
  }
  if (only != 0) return;
  EXPECT_GT(told, count / 2);
  EXPECT_GT(committed, count);
}

}  // namespace
}  // namespace zorya::router
