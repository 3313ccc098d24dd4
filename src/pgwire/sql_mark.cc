#include "pgwire/sql_mark.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

namespace zorya::pgwire {
namespace {

constexpr std::string_view kMark = "/*a*/";

char to_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool equals(std::string_view text, std::string_view lower) {
  return text.size() == lower.size() && std::equal(text.begin(), text.end(), lower.begin(),
                                                   [](char a, char b) { return to_lower(a) == b; });
}

/// Is there the word at all? Most statements are done with after this.
bool contains_async(std::string_view text) {
  for (const char y : {'y', 'Y'}) {
    for (std::size_t at = text.find(y, 2); at != std::string_view::npos;
         at = text.find(y, at + 1)) {
      if (at + 3 <= text.size() && equals(text.substr(at - 2, 5), "async")) return true;
    }
  }
  return false;
}

bool is_ident_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_ident(char c) { return is_ident_start(c) || is_digit(c) || c == '$'; }
bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}
bool is_newline(char c) { return c == '\n' || c == '\r'; }

enum class TokenKind { kEnd, kWord, kQuotedName, kSemicolon, kOther };

struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::string_view text;
};

/// As much of PostgreSQL's scanner (src/backend/parser/scan.l) as tells words from strings, names
/// and comments. Unfinished strings and comments run to the end: PostgreSQL refuses the whole text.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  Token next() {
    skip_blanks();
    if (at_ >= text_.size()) return {};
    const std::size_t start = at_;
    const char c = text_[at_];
    if (is_ident_start(c)) return word_or_prefixed_string();
    if (c == '\'') {
      string(Escapes::kNone);
      return {TokenKind::kOther, {}};
    }
    if (c == '"') {
      quoted_name();
      return {TokenKind::kQuotedName, text_.substr(start, at_ - start)};
    }
    if (c == '$' && dollar_quoted()) return {TokenKind::kOther, {}};
    ++at_;
    return {c == ';' ? TokenKind::kSemicolon : TokenKind::kOther, text_.substr(start, 1)};
  }

 private:
  enum class Escapes { kNone, kBackslash };

  [[nodiscard]] char peek(std::size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }
  [[nodiscard]] bool sees(char a, char b) const { return peek() == a && peek(1) == b; }

  void skip_blanks() {
    while (at_ < text_.size()) {
      if (is_space(text_[at_])) {
        ++at_;
      } else if (sees('-', '-')) {
        skip_line();
      } else if (sees('/', '*')) {
        skip_nested_comment();
      } else {
        return;
      }
    }
  }

  void skip_line() {
    while (at_ < text_.size() && !is_newline(text_[at_])) ++at_;
  }

  void skip_nested_comment() {
    std::size_t depth = 0;
    while (at_ < text_.size()) {
      if (sees('/', '*')) {
        ++depth;
        at_ += 2;
      } else if (sees('*', '/')) {
        at_ += 2;
        if (--depth == 0) return;
      } else {
        ++at_;
      }
    }
  }

  Token word_or_prefixed_string() {
    const std::size_t start = at_;
    const char first = to_lower(text_[at_]);
    if (peek(1) == '\'' && (first == 'e' || first == 'b' || first == 'x' || first == 'n')) {
      ++at_;
      string(first == 'e' ? Escapes::kBackslash : Escapes::kNone);
      return {TokenKind::kOther, {}};
    }
    if (first == 'u' && peek(1) == '&' && (peek(2) == '\'' || peek(2) == '"')) {
      at_ += 2;
      if (peek() == '"') {
        quoted_name();
        return {TokenKind::kQuotedName, text_.substr(start, at_ - start)};
      }
      string(Escapes::kNone);
      return {TokenKind::kOther, {}};
    }
    while (at_ < text_.size() && is_ident(text_[at_])) ++at_;
    return {TokenKind::kWord, text_.substr(start, at_ - start)};
  }

  /// From its opening quote. A string goes on after blanks that hold a newline, in its own kind:
  /// E'a' <newline> 'b\'' is one string.
  void string(Escapes escapes) {
    ++at_;
    while (at_ < text_.size()) {
      const char c = text_[at_++];
      if (c == '\\' && escapes == Escapes::kBackslash) {
        at_ = std::min(at_ + 1, text_.size());
      } else if (c == '\'') {
        if (peek() == '\'') {
          ++at_;
        } else if (!continues()) {
          return;
        }
      }
    }
  }

  /// After a closing quote: does the string go on? If so, stands behind the next opening quote.
  bool continues() {
    const std::size_t saved = at_;
    bool newline = false;
    while (at_ < text_.size()) {
      if (is_space(text_[at_])) {
        newline = newline || is_newline(text_[at_]);
        ++at_;
      } else if (sees('-', '-')) {
        skip_line();
      } else {
        break;
      }
    }
    if (newline && peek() == '\'') {
      ++at_;
      return true;
    }
    at_ = saved;
    return false;
  }

  void quoted_name() {
    ++at_;
    while (at_ < text_.size()) {
      if (text_[at_++] != '"') continue;
      if (peek() != '"') return;
      ++at_;
    }
  }

  bool dollar_quoted() {
    std::size_t end = at_ + 1;
    if (end < text_.size() && is_ident_start(text_[end])) {
      while (end < text_.size() && (is_ident_start(text_[end]) || is_digit(text_[end]))) ++end;
    }
    if (end >= text_.size() || text_[end] != '$') return false;
    const std::string_view tag = text_.substr(at_, end + 1 - at_);
    const std::size_t close = text_.find(tag, end + 1);
    at_ = close == std::string_view::npos ? text_.size() : close + tag.size();
    return true;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

bool is(const Token& token, std::string_view lower) {
  return token.kind == TokenKind::kWord && equals(token.text, lower);
}

/// The words that may follow the name in ALTER TABLE: after them, ASYNC was the table's name.
bool is_alter_action(const Token& token) {
  constexpr std::array<std::string_view, 21> kActions = {
      "add",     "alter",  "attach", "cluster", "depends", "detach", "disable",
      "drop",    "enable", "force",  "inherit", "no",      "not",    "of",
      "options", "owner",  "rename", "replica", "reset",   "set",    "validate"};
  return std::any_of(kActions.begin(), kActions.end(),
                     [&token](std::string_view action) { return is(token, action); });
}

/// Reads one statement from its first token and notes the word to mark, if there is one.
class Statement {
 public:
  /// Takes the next token; gives the word once it is sure.
  std::string_view take(const Token& token) {
    switch (state_) {
      case State::kStart:
        state_ = is(token, "create") ? State::kCreate
                                     : (is(token, "alter") ? State::kAlter : State::kDone);
        break;
      case State::kCreate:
        state_ = is(token, "index") ? State::kIndex
                                    : (is(token, "unique") ? State::kCreate : State::kDone);
        break;
      case State::kIndex:
        state_ = State::kDone;
        if (is(token, "async")) return token.text;
        break;
      case State::kAlter:
        state_ = is(token, "table") ? State::kTable : State::kDone;
        break;
      case State::kTable:
        state_ = is(token, "async") ? State::kTableAsync : State::kDone;
        word_ = token.text;
        break;
      case State::kTableAsync:
        state_ = State::kDone;
        if (token.kind == TokenKind::kQuotedName) return word_;
        if (token.kind == TokenKind::kWord && !is_alter_action(token)) return word_;
        break;
      case State::kDone:
        break;
    }
    return {};
  }

 private:
  enum class State { kStart, kCreate, kIndex, kAlter, kTable, kTableAsync, kDone };
  State state_ = State::kStart;
  std::string_view word_;
};

/// Of the first statement; empty ones before it do nothing.
Token first_token(Scanner& scanner) {
  Token token = scanner.next();
  while (token.kind == TokenKind::kSemicolon) token = scanner.next();
  return token;
}

}  // namespace

std::size_t mark_async(std::span<char> sql) {
  const std::string_view text(sql.data(), sql.size());
  if (!contains_async(text)) return 0;
  std::size_t count = 0;
  Scanner scanner(text);
  Statement statement;
  for (Token token = scanner.next(); token.kind != TokenKind::kEnd; token = scanner.next()) {
    if (token.kind == TokenKind::kSemicolon) {
      statement = {};
      continue;
    }
    const std::string_view word = statement.take(token);
    if (word.empty()) continue;
    // The scanner is past the word, so that writing over it disturbs nothing.
    std::memcpy(sql.data() + (word.data() - text.data()), kMark.data(), kMark.size());
    ++count;
  }
  return count;
}

SqlWord first_word(std::string_view sql) {
  Scanner scanner(sql);
  Token token = first_token(scanner);
  if (is(token, "deallocate")) return SqlWord::kDeallocate;
  const bool commits = is(token, "commit") || is(token, "end");
  if (!commits && !is(token, "rollback") && !is(token, "abort")) return SqlWord::kOther;
  token = scanner.next();
  if (is(token, "work") || is(token, "transaction")) token = scanner.next();
  if (token.kind != TokenKind::kEnd && token.kind != TokenKind::kSemicolon) return SqlWord::kOther;
  return commits ? SqlWord::kCommit : SqlWord::kRollback;
}

bool begins_block(std::string_view sql) {
  Scanner scanner(sql);
  const Token token = first_token(scanner);
  return is(token, "begin") || (is(token, "start") && is(scanner.next(), "transaction"));
}

bool is_batch(std::string_view sql) {
  if (sql.find(';') == std::string_view::npos) return false;
  Scanner scanner(sql);
  bool ended = false;
  bool begun = false;
  for (Token token = scanner.next(); token.kind != TokenKind::kEnd; token = scanner.next()) {
    if (token.kind == TokenKind::kSemicolon) {
      ended = begun;
    } else if (ended) {
      return true;
    } else {
      begun = true;
    }
  }
  return false;
}

}  // namespace zorya::pgwire
