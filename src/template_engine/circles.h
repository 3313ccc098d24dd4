#pragma once

#include "template_engine/intrinsics.h"

#include <string>
#include <vector>

namespace zorya::template_engine {

/// The groups of resources that need each other in a circle, each in alphabetical order.
std::vector<std::vector<std::string>> find_circles(const References& references);

}  // namespace zorya::template_engine
