#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace function_kit {

/// What went wrong, as a value. The kit throws nothing; it catches what a handler throws.
struct Error {
  std::string type;     // "Function.BadEvent", "Dsql.Error": a word to match on
  std::string message;  // for people: what was being done, and to what

  std::string sqlstate = {};     // of a database error; else empty
  bool connection_lost = false;  // the connection broke: whether the work was done is not known
};

/// A T or an Error; the names are those of std::expected.
template <typename T>
class [[nodiscard]] Expected {
 public:
  Expected(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT: implicit
  Expected(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: implicit

  [[nodiscard]] bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }
  /// Only if has_value().
  T& operator*() & { return *std::get_if<0>(&state_); }
  const T& operator*() const& { return *std::get_if<0>(&state_); }
  T&& operator*() && { return std::move(*std::get_if<0>(&state_)); }
  T* operator->() { return std::get_if<0>(&state_); }
  const T* operator->() const { return std::get_if<0>(&state_); }
  /// Only if not has_value().
  [[nodiscard]] const Error& error() const { return *std::get_if<1>(&state_); }

 private:
  std::variant<T, Error> state_;
};

}  // namespace function_kit
