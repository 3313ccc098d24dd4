#include "router/backend_greeting.h"

namespace zorya::router {
namespace {

constexpr std::string_view kAuthenticationOk("\0\0\0\0", 4);

}  // namespace

bool BackendGreeting::take(const pgwire::Frame& frame) {
  switch (frame.type) {
    case 'R':
      if (frame.body == kAuthenticationOk) return true;
      reason_ = "it asks for a password";
      return false;
    case 'K':
      if (const auto key = pgwire::parse_backend_key_data(frame.body)) key_ = *key;
      return true;
    case 'E':
      return refused(frame);
    case 'Z':
      status_ = pgwire::parse_ready_for_query(frame.body);
      return false;
    default:
      rest_.append(frame.whole);
      return true;
  }
}

bool BackendGreeting::refused(const pgwire::Frame& frame) {
  const auto fields = pgwire::ErrorFields::parse(frame.body);
  if (!fields) return false;
  starting_ = (*fields)['C'] == "57P03";
  reason_ = (*fields)['M'];
  if (auto mapped = map_login_error(*fields)) {
    error_ = std::move(*mapped);
    return false;
  }
  error_ = {.severity = std::string((*fields)['V']),
            .sqlstate = std::string((*fields)['C']),
            .message = std::string((*fields)['M']),
            .detail = std::string((*fields)['D']),
            .hint = std::string((*fields)['H'])};
  return false;
}

}  // namespace zorya::router
