#!/usr/bin/env bash
# bench.sh PRESET: every benchmark of bench/ in turn, each a program that prints JSON; what each measures is in its head.
set -u
cd "$(dirname "$0")/.."
export ZORYA_BUILD="$PWD/build/$1"
status=0
for program in bench/*_bench.py; do
  [ -e "$program" ] || continue
  echo "== $program" >&2
  build/test-venv/bin/python "$program" || status=1
done
exit "$status"
