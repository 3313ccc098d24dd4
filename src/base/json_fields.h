#pragma once

#include <boost/json.hpp>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

/// Members of JSON objects that others wrote: what is absent or of another kind reads as nothing.
/// Who includes this links Boost.JSON.
namespace zorya::base {

inline std::string text_of(const boost::json::object& object, std::string_view key) {
  const boost::json::value* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->as_string()) : std::string{};
}

/// Negative numbers read as 0.
inline std::uint64_t number_of(const boost::json::object& object, std::string_view key) {
  const boost::json::value* value = object.if_contains(key);
  if (value == nullptr || !value->is_int64()) return 0;
  return static_cast<std::uint64_t>(std::max<std::int64_t>(value->as_int64(), 0));
}

}  // namespace zorya::base
