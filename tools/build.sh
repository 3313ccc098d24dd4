#!/usr/bin/env bash
# build.sh PRESET JOBS program|all: configures and builds; leaves the program at build/zorya.
set -eu
cd "$(dirname "$0")/.."
preset=$1 jobs=$2 what=$3
tests=OFF; [ "$what" = program ] || tests=ON
folder=build/$preset
mkdir -p build
# Configuring again is only worth its seconds when something asks for it: ninja itself notices changed CMake files.
if [ ! -f "$folder/build.ninja" ] || { [ "$tests" = ON ] && ! grep -q '^ZORYA_TESTS:BOOL=ON' "$folder/CMakeCache.txt"; }; then
  cmake --preset "$preset" -DZORYA_TESTS=$tests ${CI:+-DZORYA_WERROR=ON} >"$folder.configure.log" 2>&1 || {
    cat "$folder.configure.log" >&2; exit 1; }
fi
start=$(date +%s)
# The program is more than one file: the extension, pid 1 of an environment, the runtimes, the examples. Without tests all of it is "all".
cmake --build "$folder" -j "$jobs"
ln -sfn "$preset/bin/zorya" build/zorya
echo "built in $(($(date +%s) - start)) s: build/zorya"
