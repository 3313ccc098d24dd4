#include "query_processor/gate/gate.h"

namespace zorya::query_processor::gate {

void install() {}

}  // namespace zorya::query_processor::gate
