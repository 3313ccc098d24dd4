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
if [ "$what" = program ]; then
  cmake --build "$folder" -j "$jobs" --target zorya
else
  cmake --build "$folder" -j "$jobs"
fi
ln -sfn "$preset/bin/zorya" build/zorya
echo "built in $(($(date +%s) - start)) s: build/zorya"
