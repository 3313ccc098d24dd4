#!/usr/bin/env bash
# lint.sh: layout of all sources, the rules of the house, clang-tidy on what changed. Each part has a budget and prints its time.
# LINT_BASE: what counts as changed is all since that commit (default: the newest commit of more than a day ago, else all).
set -u
cd "$(dirname "$0")/.."
failed=0
part() { # part NAME BUDGET_SECONDS COMMAND...
  local name=$1 budget=$2 start status=0; shift 2
  start=$(date +%s)
  timeout "$budget" "$@" || status=$?
  [ "$status" != 124 ] || echo "lint: $name: over its budget"
  echo "lint: $name: $(($(date +%s) - start)) s of $budget s, exit $status"
  [ "$status" = 0 ] || failed=1
}
check_format() { git ls-files '*.h' '*.cc' '*.c' | xargs clang-format-16 --dry-run --Werror; }
export -f check_format
part format 60 bash -c check_format
part house 60 /usr/bin/python3 tools/check_house.py
part tidy 900 /usr/bin/python3 tools/run_tidy.py --seconds "${TIDY_SECONDS:-840}" ${LINT_BASE:+--base "$LINT_BASE"}
exit "$failed"
