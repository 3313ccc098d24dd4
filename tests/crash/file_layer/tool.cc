// zorya_file_layer begin FOLDER SHADOW
// zorya_file_layer cut FOLDER SHADOW SEED [--some]
//
// The power cut of tests/crash: what was not synced is lost (with --some a part of it is there all
// the same). Prints what it did as JSON.

#include "shadow_disk.h"

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

int main(int argc, char** argv) {
  using zorya::file_layer::ShadowDisk;
  const std::string verb = argc > 3 ? argv[1] : "";
  int failed = 0;
  if (verb == "begin" && argc == 4) {
    failed = ShadowDisk(argv[2], argv[3]).begin();
    std::puts("{}");
  } else if (verb == "cut" && (argc == 5 || argc == 6)) {
    const auto unsynced = argc == 6 ? ShadowDisk::Unsynced::kSome : ShadowDisk::Unsynced::kNone;
    ShadowDisk::Cut done;
    failed = ShadowDisk(argv[2], argv[3]).cut(std::strtoull(argv[4], nullptr, 10), unsynced, &done);
    std::printf("{\"sectors_lost\":%" PRId64 ",\"sectors_kept\":%" PRId64 ",\"names_lost\":%" PRId64
                "}\n",
                done.sectors_lost, done.sectors_kept, done.names_lost);
  } else {
    std::fprintf(stderr,
                 "zorya_file_layer begin FOLDER SHADOW | cut FOLDER SHADOW SEED [--some]\n");
    return 2;
  }
  if (failed != 0)
    std::fprintf(stderr, "zorya_file_layer %s: %s\n", argv[1], std::strerror(failed));
  return failed == 0 ? 0 : 1;
}
