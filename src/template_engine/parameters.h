#pragma once

#include "template_engine/intrinsics.h"

namespace zorya::template_engine {

/// Reads the Parameters section, takes `given` over the defaults, checks every constraint and puts
/// the values into `resolver`. A given value that the template does not declare is refused.
void read_parameters(const Value* section, const ParameterValues& given, Resolver& resolver,
                     Refusals& refusals);

}  // namespace zorya::template_engine
