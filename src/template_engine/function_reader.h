#pragma once

#include "template_engine/api_events.h"
#include "template_engine/intrinsics.h"

#include <filesystem>

namespace zorya::template_engine {

/// One AWS::Serverless::Function as written, globals merged in.
struct FunctionSource {
  std::string logical_id{};
  std::string name{};       // its physical name
  std::string role_name{};  // of the execution role that is made for it
  Value properties{};
  Position position{};  // of the resource
};

struct FunctionRead {
  FunctionResource resource;
  std::vector<RoutedEvent> events;
};

/// Reads every property, or refuses it. `folder` is the template's.
FunctionRead read_function(const FunctionSource& source, const std::filesystem::path& folder,
                           const Context& context, Resolver& resolver, Refusals& refusals);

/// Whether Lambda takes SnapStart for this runtime in a zip package.
bool supports_snap_start(std::string_view runtime);

}  // namespace zorya::template_engine
