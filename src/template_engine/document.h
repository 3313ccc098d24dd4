#pragma once

#include "base/result.h"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace zorya::template_engine {

inline constexpr std::size_t kMaxTemplateBytes = 1'000'000;  // TemplateURL limit of the service
inline constexpr std::size_t kMaxDocumentDepth = 64;
inline constexpr std::size_t kMaxDocumentNodes = 100'000;  // aliases count each time they are used

/// Where a value stands in the template's text; both from 1, 0 when unknown.
struct Position {
  int line = 0;
  int column = 0;
};

enum class Kind {
  kNull,      // written as null, ~ or nothing
  kScalar,    // text; numbers and booleans too, as they travel as strings
  kSequence,  // items
  kMapping,   // members
  kNoValue,   // what `Ref AWS::NoValue` leaves: as if it had not been written
  kFailed,    // a value whose reason has been refused already
};

struct Member;

/// One value of a template. A short tag (`!Ref X`) is kept in its long form (`{Ref: X}`).
struct Value {
  Value();
  explicit Value(Kind of, Position at = {});
  Value(const Value& other);
  Value(Value&& other) noexcept;
  Value& operator=(const Value& other);
  Value& operator=(Value&& other) noexcept;
  ~Value();

  Kind kind = Kind::kNull;
  std::string text;     // of a scalar
  bool quoted = false;  // a quoted scalar is never a number or a boolean by itself
  Position position;
  std::vector<Value> items;
  std::vector<Member> members;

  [[nodiscard]] bool is_scalar() const { return kind == Kind::kScalar; }
  [[nodiscard]] bool is_sequence() const { return kind == Kind::kSequence; }
  [[nodiscard]] bool is_mapping() const { return kind == Kind::kMapping; }

  /// The member of that name, or null. Borrowed: lives as long as this value.
  [[nodiscard]] const Value* find(std::string_view name) const;
};

struct Member {
  std::string name;
  Position position;  // of the name
  Value value;
};

// Here, where Member is complete.
inline Value::Value() = default;
inline Value::Value(Kind of, Position at) : kind(of), position(at) {}
inline Value::Value(const Value& other) = default;
inline Value::Value(Value&& other) noexcept = default;
inline Value& Value::operator=(const Value& other) = default;
inline Value& Value::operator=(Value&& other) noexcept = default;
inline Value::~Value() = default;

Value make_scalar(std::string text, Position position);

/// A whole number, and nothing else around it.
std::optional<long> as_integer(const Value& value);
/// YAML 1.1 booleans as templates use them: true, false, yes, no, on, off; "true" and "false"
/// quoted too, as the service takes them.
std::optional<bool> as_boolean(const Value& value);

/// The function's name if `value` is a call of an intrinsic ("Ref", "Fn::Sub"); else nothing.
std::optional<std::string_view> intrinsic_name(const Value& value);

/// Why a text is no document.
struct SyntaxError {
  Position position;
  std::string message;
};

/// Reads YAML or JSON (which is read as YAML). Bounded in size, depth and count; duplicate keys,
/// merge keys, a second document and tags that are no intrinsics are errors.
std::variant<Value, SyntaxError> parse_document(std::string_view text);

}  // namespace zorya::template_engine
