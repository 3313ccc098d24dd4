#pragma once

#include "query_processor/pg/server.h"

/// The two doors between C++ and PostgreSQL. ereport(ERROR) is a longjmp, it skips destructors; C++
/// exceptions know nothing of PG_TRY. So:
///   enter  C into C++: runs a body, lets every C++ object die, and only then raises the error.
///   call   C++ into C: runs PostgreSQL code that can raise, and gives the error as a value.
/// Between them stands one more kind of code, the *plain frame*: a function without an object that
/// has a destructor, which calls only PostgreSQL and our own noexcept functions. It may be jumped
/// over, so it needs neither door; the hot callbacks of the access method are such frames.
namespace zorya::query_processor::pg {

/// Why a body failed: an error that PostgreSQL raised (kept whole), or one of ours.
struct Failure {
  ErrorData* raised = nullptr;  // palloc'ed in the context that was current at `call`
  int sqlstate = 0;
  std::string message;
  std::string detail;
  std::string hint;
};

/// A failure of ours. `sqlstate` is a MAKE_SQLSTATE value, as ERRCODE_FEATURE_NOT_SUPPORTED.
inline Failure failure(int sqlstate, std::string message, std::string detail = {},
                       std::string hint = {}) {
  return Failure{nullptr, sqlstate, std::move(message), std::move(detail), std::move(hint)};
}

/// A value, or why there is none. Named and used as base::Result; it keeps what PostgreSQL said
/// instead of our code.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}              // NOLINT: implicit by design
  Result(Failure failure) : failure_(std::move(failure)) {}  // NOLINT: implicit by design
  [[nodiscard]] bool has_value() const { return value_.has_value(); }
  explicit operator bool() const { return has_value(); }
  T& value() & { return *value_; }
  T&& value() && { return std::move(*value_); }
  T& operator*() & { return *value_; }
  T* operator->() { return &*value_; }
  const Failure& error() const& { return failure_; }
  Failure&& error() && { return std::move(failure_); }

 private:
  std::optional<T> value_;
  Failure failure_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Failure failure) : failure_(std::move(failure)) {}  // NOLINT: implicit by design
  [[nodiscard]] bool has_value() const { return !failure_.has_value(); }
  explicit operator bool() const { return has_value(); }
  void value() const {}
  const Failure& error() const& { return *failure_; }
  Failure&& error() && { return std::move(*failure_); }

 private:
  std::optional<Failure> failure_;
};

/// Moves a caught PostgreSQL error into a value. Only from `call`.
Failure take_raised_error(MemoryContext context) noexcept;

/// Turns a failure into the error that `raise` takes, which keeps nothing of C++.
ErrorData* to_error_data(const Failure& failure) noexcept;

/// Raises; does not return. No C++ object with a destructor may be alive in the calling frames.
[[noreturn]] void raise(ErrorData* error);

/// The failure that stands for the C++ exception in flight. Only inside a catch block.
Failure failure_of_exception() noexcept;

/// Runs PostgreSQL code that can raise. `function` makes no object with a destructor. A failure
/// must leave by `enter`: PostgreSQL frees its locks and buffers only when the transaction aborts.
template <typename Function>
auto call(Function&& function) noexcept -> Result<std::invoke_result_t<Function>> {
  using Value = std::invoke_result_t<Function>;
  MemoryContext const context = CurrentMemoryContext;
  sigjmp_buf* const outer_jump = PG_exception_stack;
  ErrorContextCallback* const outer_context = error_context_stack;
  sigjmp_buf jump;
  if (sigsetjmp(jump, 0) != 0) {
    PG_exception_stack = outer_jump;
    error_context_stack = outer_context;
    return take_raised_error(context);
  }
  PG_exception_stack = &jump;
  if constexpr (std::is_void_v<Value>) {
    function();
    PG_exception_stack = outer_jump;
    error_context_stack = outer_context;
    return {};
  } else {
    Value value = function();
    PG_exception_stack = outer_jump;
    error_context_stack = outer_context;
    return value;
  }
}

/// Runs `body` (which returns Result<T>), and returns its value, or raises its failure after every
/// C++ object of the body has died. Exceptions of the standard library become errors here.
template <typename Body>
auto enter(Body&& body) {
  using Value = std::decay_t<decltype(body().value())>;
  ErrorData* error = nullptr;
  if constexpr (std::is_void_v<decltype(body().value())>) {
    {
      auto result = [&]() -> Result<void> {
        try {
          return body();
        } catch (...) {
          return failure_of_exception();
        }
      }();
      if (!result) error = to_error_data(result.error());
    }
    if (error != nullptr) raise(error);
  } else {
    static_assert(std::is_trivially_destructible_v<Value>, "what crosses into C has no destructor");
    std::optional<Value> value;
    {
      auto result = [&]() -> Result<Value> {
        try {
          return body();
        } catch (...) {
          return failure_of_exception();
        }
      }();
      if (result) {
        value = *result;
      } else {
        error = to_error_data(result.error());
      }
    }
    if (error != nullptr) raise(error);
    return *value;
  }
}

}  // namespace zorya::query_processor::pg
