#include "query_processor/pg/boundary.h"

#include <exception>

namespace zorya::query_processor::pg {

Failure take_raised_error(MemoryContext context) noexcept {
  MemoryContextSwitchTo(context);
  Failure failure;
  failure.raised = CopyErrorData();
  failure.sqlstate = failure.raised->sqlerrcode;
  FlushErrorState();
  return failure;
}

ErrorData* to_error_data(const Failure& failure) noexcept {
  if (failure.raised != nullptr) return failure.raised;
  auto* error = static_cast<ErrorData*>(palloc0(sizeof(ErrorData)));
  error->elevel = ERROR;
  error->sqlerrcode = failure.sqlstate;
  error->message = pstrdup(failure.message.c_str());
  if (!failure.detail.empty()) error->detail = pstrdup(failure.detail.c_str());
  if (!failure.hint.empty()) error->hint = pstrdup(failure.hint.c_str());
  error->assoc_context = CurrentMemoryContext;
  return error;
}

void raise(ErrorData* error) {
  // An error that PostgreSQL raised has its place and context already; one of ours gets them now.
  if (error->filename != nullptr) ReThrowError(error);
  ThrowErrorData(error);
  pg_unreachable();
}

Failure failure_of_exception() noexcept {
  try {
    throw;
  } catch (const std::bad_alloc&) {
    return failure(ERRCODE_OUT_OF_MEMORY, "out of memory");
  } catch (const std::exception& exception) {
    return failure(ERRCODE_INTERNAL_ERROR, exception.what());
  } catch (...) {
    return failure(ERRCODE_INTERNAL_ERROR, "unknown exception");
  }
}

}  // namespace zorya::query_processor::pg
