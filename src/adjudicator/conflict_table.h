#pragma once

#include "adjudicator/write_record.h"

namespace zorya::adjudicator {

/// True if two concurrent transactions that use one key in these classes cannot both commit.
/// Symmetric.
bool conflicts(LockClass ours, LockClass theirs);

/// True if, once a commit of class `later` that saw a commit of class `earlier` is remembered, the
/// earlier one may be forgotten: whoever must conflict with the earlier must then conflict with the
/// later too.
bool covers(LockClass later, LockClass earlier);

}  // namespace zorya::adjudicator
