#!/usr/bin/env bash
# demo.sh: runs the todo stack of examples/todos and says how to use it. DEMO_ONESHOT=1: runs the contract test on both examples,
# over one cluster, and ends with its exit code. DEMO_DATA: the data folder (default: zorya's own).
set -eu
cd "$(dirname "$0")/.."
zorya=build/zorya
data=(); [ -z "${DEMO_DATA:-}" ] || data=(--data "$DEMO_DATA")
# Debian 12 has Python 3.11; the template asks for 3.12, as on AWS.
url_of() { /usr/bin/python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["api_url"])' "$1"; }

# say_what_to_try READY_FILE PID: once the stack answers, lines that work as printed.
say_what_to_try() {
  until [ -e "$1" ]; do
    kill -0 "$2" 2>/dev/null || { rm -r "$(dirname "$1")"; return; }
    sleep 0.1
  done
  local url; url=$(url_of "$1")
  rm -r "$(dirname "$1")"
  sleep 0.2  # after up's own lines
  printf '\n  try it, in another terminal:\n'
  printf "  curl -s -X POST %s/todos -d '{\"title\": \"water the plants\"}'\n" "$url"
  printf '  curl -s %s/todos\n' "$url"
  printf "  build/zorya psql %s-- -c 'select title, done from todos'\n\n" "${data[*]}${data:+ }"
}

if [ "${DEMO_ONESHOT:-}" != 1 ]; then
  ready=$(mktemp -d)/ready.json
  (say_what_to_try "$ready" $$ &)  # not a child of what is started next
  exec "$zorya" up examples/todos --stack todos --nearest-runtime --ready-file "$ready" "${data[@]}"
fi

scratch=$(mktemp -d)
chmod 711 "$scratch"  # the database's user passes through it
trap 'rm -rf "$scratch"' EXIT
[ ${#data[@]} -gt 0 ] || data=(--data "$scratch/data")
status=0
for example in todos todos-cpp; do
  ready=$scratch/$example.json
  "$zorya" up "examples/$example" --stack todos --nearest-runtime "${data[@]}" --port 0 --dsql-port 0 --ready-file "$ready" &
  pid=$!
  for _ in $(seq 6000); do  # the first start installs Python packages
    [ ! -e "$ready" ] || break
    kill -0 "$pid" 2>/dev/null || { echo "demo: zorya ended before it was ready" >&2; exit 1; }
    sleep 0.1
  done
  [ -e "$ready" ] || { echo "demo: not ready after ten minutes" >&2; kill "$pid"; exit 1; }
  url=$(url_of "$ready")
  echo "demo: $example answers at $url"
  /usr/bin/python3 tests/contract/contract_test.py "$url" || status=1
  kill -INT "$pid"; wait "$pid" || true
done
[ "$status" = 0 ] && echo "demo: the contract holds on both examples"
exit "$status"
