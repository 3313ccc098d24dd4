#pragma once

#include "template_engine/plan.h"

#include <string>

namespace zorya::template_engine {

/// The whole plan as lines, one fact each, for golden files and for eyes. Code folders are shown
/// relative to `folder`.
std::string plan_text(const Plan& plan, const std::filesystem::path& folder);

}  // namespace zorya::template_engine
