#include "query_processor/gate/async_mark.h"

namespace zorya::query_processor::gate {
namespace {

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

bool is_word_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

bool is_word_part(char c) { return is_word_start(c) || (c >= '0' && c <= '9') || c == '$'; }

bool same_word(std::string_view word, std::string_view upper) {
  if (word.size() != upper.size()) return false;
  for (std::size_t i = 0; i < word.size(); ++i) {
    const char c =
        word[i] >= 'a' && word[i] <= 'z' ? static_cast<char>(word[i] - 'a' + 'A') : word[i];
    if (c != upper[i]) return false;
  }
  return true;
}

/// Walks one statement by PostgreSQL's lexical rules, as far as the two questions above need them.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  /// Passes white space and comments; true if one of the comments was the mark.
  bool skip_gap() {
    bool marked = false;
    while (!rest_.empty()) {
      if (is_space(rest_.front())) {
        rest_.remove_prefix(1);
      } else if (rest_.starts_with("--")) {
        const std::size_t end = rest_.find_first_of("\r\n");
        rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end);
      } else if (rest_.starts_with("/*")) {
        const std::size_t size_bytes = comment_size_bytes();
        marked = marked || rest_.substr(0, size_bytes) == kAsyncMark;
        rest_.remove_prefix(size_bytes);
      } else {
        break;
      }
    }
    return marked;
  }

  /// Takes an unquoted word; empty if there is none here.
  std::string_view take_word() {
    if (rest_.empty() || !is_word_start(rest_.front())) return {};
    std::size_t size = 1;
    while (size < rest_.size() && is_word_part(rest_[size])) ++size;
    const std::string_view word = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return word;
  }

  /// Takes one byte, or a whole quoted identifier; '\0' at the end.
  char take_symbol() {
    if (rest_.empty()) return '\0';
    const char symbol = rest_.front();
    rest_.remove_prefix(1);
    if (symbol == '"') {  // "" inside is two quoted identifiers in a row to us, which does no harm
      const std::size_t end = rest_.find('"');
      rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
    }
    return symbol;
  }

 private:
  std::size_t comment_size_bytes() const {
    std::size_t depth = 0;
    std::size_t at = 0;
    while (at < rest_.size()) {
      const std::string_view here = rest_.substr(at);
      if (here.starts_with("/*")) {
        ++depth;
        at += 2;
      } else if (here.starts_with("*/")) {
        --depth;
        at += 2;
        if (depth == 0) return at;
      } else {
        ++at;
      }
    }
    return rest_.size();
  }

  std::string_view rest_;
};

}  // namespace

bool has_async_mark(std::string_view statement) {
  Scanner scanner(statement);
  scanner.skip_gap();
  const std::string_view verb = scanner.take_word();
  scanner.skip_gap();
  std::string_view object = scanner.take_word();
  if (same_word(verb, "CREATE")) {
    if (same_word(object, "UNIQUE")) {
      scanner.skip_gap();
      object = scanner.take_word();
    }
    return same_word(object, "INDEX") && scanner.skip_gap();
  }
  return same_word(verb, "ALTER") && same_word(object, "TABLE") && scanner.skip_gap();
}

bool names_index_method(std::string_view statement) {
  Scanner scanner(statement);
  for (;;) {
    scanner.skip_gap();
    const std::string_view word = scanner.take_word();
    if (same_word(word, "USING")) return true;
    if (!word.empty()) continue;
    const char symbol = scanner.take_symbol();
    if (symbol == '(' || symbol == '\0') return false;
  }
}

}  // namespace zorya::query_processor::gate
