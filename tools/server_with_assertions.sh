#!/usr/bin/env bash
# server_with_assertions.sh [sanitize]: builds PostgreSQL from Debian's source with assertions on, and our extension for it;
# not part of `make test`. It takes some minutes. `sanitize` adds the address and undefined-behaviour sanitizers to the
# extension. Prints the variables with which tests/isolation, tests/differential and tests/stress then run on it.
set -eu
cd "$(dirname "$0")/.."
root=$PWD/build/assertions
mkdir -p "$root/lists/partial" "$root/source"
if [ ! -x "$root/server/bin/postgres" ]; then
  # A package list of its own, so that the machine's stays as it is.
  echo 'deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bookworm main' \
    >"$root/sources.list"
  apt=(apt-get -q -o "Dir::Etc::sourcelist=$root/sources.list" -o Dir::Etc::sourceparts=/dev/null
       -o "Dir::State::lists=$root/lists" -o APT::Sandbox::User=root)
  "${apt[@]}" update
  (cd "$root/source" && "${apt[@]}" source --download-only postgresql-15 && tar xf postgresql-15_*.orig.tar.bz2)
  cd "$root"/source/postgresql-15.*/
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
cmake --build "$root/extension" --target zorya_query_processor
chmod -R a+rX build/assertions
echo "export PG_CONFIG=$root/server/bin/pg_config ZORYA_BUILD=$root/extension PYTHONPATH=$PWD/tests"
[ -z "$sanitize" ] || echo "export ZORYA_SERVER_PRELOAD=$(realpath "$(gcc -print-file-name=libasan.so)")"
