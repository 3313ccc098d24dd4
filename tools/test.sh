#!/usr/bin/env bash
# test.sh PRESET [REGEX]: every test that ctest knows, or those whose name matches. The closing lines are ctest's.
# TEST_ARGUMENTS: more arguments of ctest.
set -eu
cd "$(dirname "$0")/.."
preset=$1 regex=${2:-}
venv=build/test-venv
# The stamp names the requirements and the interpreter, so that a change of either makes the environment anew.
stamp=$( { cat tests/requirements.txt; /usr/bin/python3 --version; } | sha256sum | cut -c1-16)
if [ ! -f "$venv/.ready-$stamp" ]; then
  rm -rf "$venv"
  /usr/bin/python3 -m venv "$venv"
  "$venv/bin/pip" install -q --disable-pip-version-check --only-binary :all: -r tests/requirements.txt
  touch "$venv/.ready-$stamp"
fi
start=$(date +%s)
status=0
ctest --test-dir "build/$preset" -j "${TEST_JOBS:-2}" --output-on-failure --timeout 600 --no-tests=error \
  ${TEST_ARGUMENTS:-} ${regex:+-R "$regex"} || status=$?
echo "tests took $(($(date +%s) - start)) s"
exit "$status"
