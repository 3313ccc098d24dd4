#include "base/result.h"

#include <cstdio>
#include <cstdlib>
#include <system_error>

namespace zorya::base {

void check_failed(const char* file, int line, const char* condition, std::string_view detail) {
  std::fprintf(stderr, "%s:%d: invariant broken: %s: %.*s\n", file, line, condition,
               static_cast<int>(detail.size()), detail.data());
  std::abort();
}

std::string_view code_name(Code code) {
  switch (code) {
    case Code::kInvalidArgument:
      return "invalid argument";
    case Code::kNotFound:
      return "not found";
    case Code::kAlreadyExists:
      return "already exists";
    case Code::kPermissionDenied:
      return "permission denied";
    case Code::kUnauthenticated:
      return "unauthenticated";
    case Code::kUnavailable:
      return "unavailable";
    case Code::kDeadlineExceeded:
      return "deadline exceeded";
    case Code::kResourceExhausted:
      return "resource exhausted";
    case Code::kFailedPrecondition:
      return "failed precondition";
    case Code::kUnimplemented:
      return "not supported";
    case Code::kIo:
      return "i/o error";
    case Code::kInternal:
      return "internal error";
  }
  return "unknown";
}

Error Error::with_context(std::string_view what) const& {
  return Error{code, std::string(what) + ": " + message, hint};
}

std::string to_string(const Error& error) {
  return error.hint.empty() ? error.message : error.message + " (" + error.hint + ")";
}

Error errno_error(std::string_view what, int errno_value) {
  Code code = Code::kIo;
  if (errno_value == ENOENT) code = Code::kNotFound;
  if (errno_value == EACCES || errno_value == EPERM) code = Code::kPermissionDenied;
  if (errno_value == EEXIST) code = Code::kAlreadyExists;
  if (errno_value == ENOSPC || errno_value == EDQUOT || errno_value == EMFILE)
    code = Code::kResourceExhausted;
  return Error{code, std::string(what) + ": " + std::generic_category().message(errno_value), {}};
}

}  // namespace zorya::base
