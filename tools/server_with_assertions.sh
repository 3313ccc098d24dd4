#!/usr/bin/env bash
# server_with_assertions.sh [sanitize] [REGEX]: builds PostgreSQL from Debian's source with assertions on, the program and its
# extension for it, and runs there every test that has a server, or those whose name matches. Not part of `make test`.
# `sanitize`: the extension with the address and undefined-behaviour sanitizers; any report of theirs fails the run.
set -eu
cd "$(dirname "$0")/.."
sanitize=no
[ "${1:-}" != sanitize ] || { sanitize=yes; shift; }
regex=${1:-}
tools/install_packages.sh build test assertions
root=$PWD/build/assertions jobs=${JOBS:-$(nproc)}
programs=$root/server/bin
mkdir -p "$root"
if [ ! -x "$programs/postgres" ]; then
  cd "$(tools/postgresql_source.sh "$root/source")"
  CFLAGS="-O1 -g1" ./configure --enable-cassert --with-lz4 --with-libxml --without-readline --without-icu --without-zlib \
    --prefix="$root/server" >"$root/configure.log"
  make -s -j "$jobs" install >"$root/make.log" 2>&1
  make -s -C contrib/amcheck install >>"$root/make.log" 2>&1
  cd - >/dev/null
fi

build_tree() { # build_tree FOLDER PRESET TARGET... -- CMAKE_OPTION...
  local folder=$1 preset=$2 targets=(); shift 2
  while [ "$1" != -- ]; do targets+=("$1"); shift; done
  cmake --preset "$preset" -B "$folder" -DPG_CONFIG="$root/server/bin/pg_config" "${@:2}" >"$folder.configure.log"
  cmake --build "$folder" -j "$jobs" --target "${targets[@]}"
}

tree=assertions-release reports=""
if [ "$sanitize" = yes ]; then
  # The program as it is shipped; of the sanitizers is what runs inside the server alone.
  tree=assertions-sanitize reports=$root/reports programs=$root/sanitized
  extension=build/assertions-extension
  build_tree "$extension" asan zorya_query_processor zorya_query_processor_planted --
  rm -rf "$reports" "$programs"
  mkdir -p "$programs"
  mkdir -m 1777 "$reports"
  ln -s "$root"/server/bin/* "$programs"
  rm "$programs/postgres" "$programs/pg_config"
  cat >"$programs/postgres" <<END
#!/bin/sh
# Leaks: a backend ends without freeing anything.
export LD_PRELOAD="$(realpath "$(gcc -print-file-name=libasan.so)")\${LD_PRELOAD:+:\$LD_PRELOAD}"
export ASAN_OPTIONS=detect_leaks=0:log_path=$reports/address
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1:log_path=$reports/undefined
exec "$root/server/bin/postgres" "\$@"
END
  cat >"$programs/pg_config" <<END
#!/bin/sh
[ "\$*" != --bindir ] || exec echo "$programs"
exec "$root/server/bin/pg_config" "\$@"
END
  chmod 755 "$programs/postgres" "$programs/pg_config"
fi
build_tree "build/$tree" release all -- -DPG_CONFIG="$programs/pg_config" -DZORYA_POSTGRES_FOLDER="$programs" \
  -DZORYA_TEST_PATIENCE=6
[ "$sanitize" = no ] || cp -r "$extension"/lib/{zorya,planted} "build/$tree/lib/"
chmod -R a+rX build/assertions

status=0
# Without those that start no server.
TEST_ARGUMENTS="-L e2e -E ^(host|http|python_runtime)" tools/test.sh "$tree" "$regex" || status=$?
if [ -n "$reports" ] && [ -n "$(ls "$reports")" ]; then
  head -60 "$reports"/*
  status=1
fi
exit "$status"
