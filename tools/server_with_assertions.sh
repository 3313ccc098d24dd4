#!/usr/bin/env bash
# server_with_assertions.sh [sanitize]: builds PostgreSQL from Debian's source with assertions on, and our extension for it;
# not part of `make test`. It takes some minutes. `sanitize` adds the address and undefined-behaviour sanitizers to the
# extension. Prints the command that then runs every test of a scratch server on it (`make test` has made their Python).
set -eu
cd "$(dirname "$0")/.."
root=$PWD/build/assertions
mkdir -p "$root"
if [ ! -x "$root/server/bin/postgres" ]; then
  cd "$(tools/postgresql_source.sh "$root/source")"
  CFLAGS="-O1 -g1" ./configure --enable-cassert --without-readline --without-icu --without-zlib --prefix="$root/server" \
    >"$root/configure.log"
  make -s -j "$(nproc)" install >"$root/make.log" 2>&1
  make -s -C contrib/amcheck install >>"$root/make.log" 2>&1
  cd - >/dev/null
fi
sanitize=""
[ "${1:-}" != sanitize ] || sanitize=address,undefined
cmake -S . -B "$root/extension" -G Ninja -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG="-O1 -g1" \
  -DZORYA_SANITIZE="$sanitize" -DPG_CONFIG="$root/server/bin/pg_config" >"$root/cmake.log"
cmake --build "$root/extension" --target zorya_query_processor zorya_query_processor_planted zorya_history_tool
chmod -R a+rX build/assertions
variables="PG_CONFIG=$root/server/bin/pg_config"
[ -z "$sanitize" ] || variables+=" ZORYA_SERVER_PRELOAD=$(realpath "$(gcc -print-file-name=libasan.so)")"
echo "$variables ctest --test-dir $root/extension --output-on-failure -E through_router" \
  "-R '^(isolation|sql|jobs|model|differential|simulation.server|stress|history.short|crash.stop_points|security)'"
