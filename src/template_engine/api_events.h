#pragma once

#include "template_engine/intrinsics.h"

namespace zorya::template_engine {

inline constexpr std::string_view kImplicitApi = "ServerlessRestApi";

/// One route, and where it was written.
struct RoutedEvent {
  Route route;
  Position position;
  Place place;
  std::string event_id;
};

/// Whether any event of these (unresolved) function properties makes the implicit API.
bool has_api_event(const Value& properties);

/// The Api events of a function. Other event types are refused by name.
std::vector<RoutedEvent> read_events(const Value& events, const Place& place,
                                     const std::string& function_name, Resolver& resolver,
                                     Refusals& refusals);

/// The routes of one API from the events of all its functions: refuses what API Gateway refuses
/// (one method twice, two names for a variable part, a greedy part that is not the last).
std::vector<Route> combine_routes(const std::vector<RoutedEvent>& events, Refusals& refusals);

}  // namespace zorya::template_engine
