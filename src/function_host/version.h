#pragma once

#include "function_host/client.h"
#include "function_host/platform_log.h"
#include "function_host/runtimes.h"

#include <sys/types.h>

#include <filesystem>
#include <string>

namespace zorya::function_host {

/// One published version: everything its environments are made of. Constant once made.
struct Version {
  FunctionSpec spec;
  std::string version;       // "3" or "$LATEST"
  std::string function_arn;  // as invoked, qualifier included
  RuntimeImage image;
  std::filesystem::path code;     // its own copy
  std::string credentials_token;  // AWS_CONTAINER_AUTHORIZATION_TOKEN, under SnapStart
  uid_t uid = 0;                  // outside id of its processes
  gid_t gid = 0;
  bool snap_start = false;  // asked for, and this is a published version
  PlatformLog log{{}};
};

}  // namespace zorya::function_host
