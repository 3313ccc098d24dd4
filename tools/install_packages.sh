#!/usr/bin/env bash
# Installs the Debian packages of the named groups (tools/packages.txt) that are missing; nothing to do is silent and quick.
# As root directly, else through sudo: only apt runs with privileges.
set -eu
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || { echo "usage: $0 GROUP..." >&2; exit 2; }

wanted=$(awk -v groups=" $* " '$1 !~ /^#/ && index(groups, " " $1 " ") {print $2}' tools/packages.txt | sort -u)
missing=""
for package in $wanted; do
  dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=""
if [ "$(id -u)" != 0 ]; then
  command -v sudo >/dev/null || { echo "these packages are missing and sudo is not there to install them:$missing" >&2; exit 1; }
  as_root="sudo"
fi
apt() { $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Options::=--force-confold "$@"; }

echo "installing:$missing"
apt update
# Debian makes and starts a database cluster of its own when a server package comes in. Nobody asked for one: it is switched
# off for the time of the installation, unless this machine has had PostgreSQL before.
conf=/etc/postgresql-common/createcluster.conf
restore=""
case " $missing " in *" postgresql-15 "*)
  if ! dpkg-query -W -f='${db:Status-Status}' postgresql-common 2>/dev/null | grep -qx installed; then
    apt install --no-install-recommends postgresql-common
    $as_root sh -c "cp $conf $conf.zorya-saved && echo 'create_main_cluster = false' >> $conf"
    restore=yes
  fi ;;
esac
status=0
# shellcheck disable=SC2086
apt install --no-install-recommends $missing || status=$?
[ -z "$restore" ] || $as_root mv "$conf.zorya-saved" "$conf"
exit "$status"
