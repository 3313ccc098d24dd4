#include "adjudicator/write_record.h"

#include <algorithm>

namespace zorya::adjudicator {

bool Snapshot::sees(CommitId id) const {
  if (id < floor) return true;
  if (id >= ceiling) return false;
  return !std::binary_search(not_visible.begin(), not_visible.end(), id);
}

}  // namespace zorya::adjudicator
