#pragma once

#include "base/check.h"

#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

namespace zorya::base {

/// The kind of an operating error. Mapped once, at the edge, to a SQLSTATE, an HTTP status or an
/// exit code.
enum class Code {
  kInvalidArgument,     // the caller's input is wrong; the message says how to mend it
  kNotFound,            // what was named does not exist
  kAlreadyExists,       // what should be made exists
  kPermissionDenied,    // known, but not allowed
  kUnauthenticated,     // who calls could not be established
  kUnavailable,         // a peer is gone or not there yet; trying again may help
  kDeadlineExceeded,    // the time allowed is over
  kResourceExhausted,   // a limit, a quota or a disk is full
  kFailedPrecondition,  // right in itself, not in this state
  kUnimplemented,       // refused by name: not supported here
  kIo,                  // the operating system said no
  kInternal,            // a fault of ours that need not stop the program
};

std::string_view code_name(Code code);

/// An operating error as a value: what was being done, to what, and what the user can do.
struct Error {  // NOLINT(clang-analyzer-core.uninitialized.Assign): it cannot follow std::variant
  Code code = Code::kInternal;
  std::string message;  // "read /etc/x: permission denied"; no trailing full stop or newline
  std::string hint;     // how to mend it; may be empty

  /// The same error with `what` put before its message: "start cluster abc: " + message.
  [[nodiscard]] Error with_context(std::string_view what) const&;
};

/// "message (hint)", for logs and the command line.
std::string to_string(const Error& error);

/// An Error with strerror(errno_value) behind `what`: "open /x: No such file or directory".
Error errno_error(std::string_view what, int errno_value);

/// A value or an Error. Member names are those of std::expected, so that it can be swapped in.
template <typename T>
class [[nodiscard]] Result {
 public:
  using value_type = T;

  Result(T value)
      : state_(std::in_place_index<0>, std::move(value)) {}  // NOLINT: implicit by design
  Result(Error error)
      : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: implicit by design

  [[nodiscard]] bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }

  T& value() & {
    CHECK(has_value(), error_text());
    return std::get<0>(state_);
  }
  const T& value() const& {
    CHECK(has_value(), error_text());
    return std::get<0>(state_);
  }
  T&& value() && {
    CHECK(has_value(), error_text());
    return std::get<0>(std::move(state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const Error& error() const& {
    CHECK(!has_value(), "error() of a Result that holds a value");
    return std::get<1>(state_);
  }
  Error&& error() && {
    CHECK(!has_value(), "error() of a Result that holds a value");
    return std::get<1>(std::move(state_));
  }

  T value_or(T fallback) && {
    return has_value() ? std::get<0>(std::move(state_)) : std::move(fallback);
  }

 private:
  [[nodiscard]] std::string_view error_text() const {
    return has_value() ? std::string_view{} : std::string_view{std::get<1>(state_).message};
  }

  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  using value_type = void;

  Result() = default;
  Result(Error error) : error_(std::move(error)), ok_(false) {}  // NOLINT: implicit by design

  [[nodiscard]] bool has_value() const { return ok_; }
  explicit operator bool() const { return ok_; }
  void value() const { CHECK(ok_, error_.message); }
  const Error& error() const& {
    CHECK(!ok_, "error() of a Result that holds a value");
    return error_;
  }
  Error&& error() && {
    CHECK(!ok_, "error() of a Result that holds a value");
    return std::move(error_);
  }

 private:
  Error error_;
  bool ok_ = true;
};

}  // namespace zorya::base

/// Returns the error of `expression` from the enclosing function if it has one.
#define ZORYA_TRY(expression)                                      \
  do {                                                             \
    if (auto zorya_try_result = (expression); !zorya_try_result) { \
      return std::move(zorya_try_result).error();                  \
    }                                                              \
  } while (false)

#define ZORYA_CONCAT_INNER(a, b) a##b
#define ZORYA_CONCAT(a, b) ZORYA_CONCAT_INNER(a, b)

/// ZORYA_ASSIGN(auto file, open(path)): declares `file`, or returns the error.
#define ZORYA_ASSIGN(declaration, expression) \
  ZORYA_ASSIGN_INNER(declaration, expression, ZORYA_CONCAT(zorya_result_, __LINE__))
#define ZORYA_ASSIGN_INNER(declaration, expression, name) \
  auto name = (expression);                               \
  if (!name) return std::move(name).error();              \
  declaration = std::move(name).value()
