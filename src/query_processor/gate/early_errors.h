#pragma once

/// The errors of parse analysis. They come before any hook of a statement, so what the rules of the
/// gate have to say first is said in the error itself. Plain frames.
namespace zorya::query_processor::gate {

/// Registers for the ends of transactions. There, outside of all that PostgreSQL guards, a client's
/// backend gets the callback by which its errors pass; PostgreSQL drops it at each error. Once, at
/// load.
void watch_early_errors();

}  // namespace zorya::query_processor::gate
