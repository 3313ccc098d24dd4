#!/usr/bin/env bash
# bare_debian.sh [--as-user] COMMAND [ARGUMENT...]: runs COMMAND in a clean clone of HEAD inside a bare Debian 12, to see what a
# stranger sees. Needs root, debootstrap and a Debian mirror. The root is made once (BARE_FOLDER, default /var/tmp/zorya-bare) and kept;
# each run gets a fresh writable layer over it, which is removed afterwards. What this machine tells package clients (sources, proxies,
# certificates, pip) is passed in, for without it nothing could be installed; nothing else is.
#   --as-user   as a plain user who may use sudo, the clone in a home of mode 0700
# BARE_CCACHE=FOLDER lends the run a compiler cache, so that only what changed is compiled (the run must install ccache).
# git and make are what a user has who got as far as the clone; all else is for COMMAND to install.
set -eu
[ "$(id -u)" = 0 ] || { echo "bare_debian.sh: run as root: it mounts and pivots" >&2; exit 1; }
as_user=""; [ "${1:-}" != --as-user ] || { as_user=yes; shift; }
[ $# -gt 0 ] || { sed -n 2,10p "$0"; exit 2; }
command -v debootstrap >/dev/null || { echo "bare_debian.sh: apt-get install debootstrap" >&2; exit 1; }

repository=$(cd "$(dirname "$0")/.." && pwd)
folder=${BARE_FOLDER:-/var/tmp/zorya-bare}
mirror=${BARE_MIRROR:-$(sed -n 's/^URIs: *\([^ ]*\)\/debian$/\1\/debian/p; s/^deb \(\[[^]]*\] \)*\([^ ]*\/debian\) .*/\2/p' \
  /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | head -1)}
base=$folder/base
if [ ! -e "$folder/base.complete" ]; then
  rm -rf "$base"; mkdir -p "$folder"
  debootstrap --variant=minbase --include=git,make,sudo,ca-certificates bookworm "$base" "$mirror"
  touch "$folder/base.complete"
fi

layer=$(mktemp -d "$folder/run.XXXXXX")
mkdir "$layer/up" "$layer/work" "$layer/root"
trap 'rm -rf --one-file-system "$layer"' EXIT
export repository layer base mirror as_user
status=0
unshare --mount --pid --fork --kill-child bash -eu -c '
  mount --make-rprivate /
  mount -t overlay overlay -o "lowerdir=$base,upperdir=$layer/up,workdir=$layer/work" "$layer/root"
  cd "$layer/root"
  mount -t proc proc proc
  mount --rbind /dev dev
  mount --rbind /sys sys
  mount -t tmpfs -o mode=1777 tmpfs tmp
  # The package clients of this machine.
  printf "deb %s bookworm main\ndeb %s bookworm-updates main\ndeb %s-security bookworm-security main\n" \
    "$mirror" "$mirror" "$mirror" >etc/apt/sources.list
  for file in /etc/apt/apt.conf.d/*proxy* /etc/pip.conf /etc/resolv.conf /etc/ssl/certs/ca-certificates.crt; do
    [ ! -e "$file" ] || cp --dereference "$file" ".$file"
  done
  for file in /usr/local/share/ca-certificates/*; do [ ! -e "$file" ] || cp "$file" ".$file"; done
  printf "127.0.0.1 localhost\n" >etc/hosts
  home=root owner=root
  if [ -n "$as_user" ]; then
    chroot . useradd -m -s /bin/bash dev
    printf "dev ALL=(ALL) NOPASSWD: ALL\n" >etc/sudoers.d/dev
    home=home/dev owner=dev; chmod 0700 home/dev
  fi
  git clone -q --no-local "$repository" "$home/zorya"
  chroot . chown -R "$owner:$owner" "/$home/zorya"
  if [ -n "${BARE_CCACHE:-}" ]; then
    mkdir -p var/cache/ccache; mount --bind "$BARE_CCACHE" var/cache/ccache
    export CCACHE_DIR=/var/cache/ccache CCACHE_BASEDIR="/$home" CCACHE_NOHASHDIR=1
    DEBIAN_FRONTEND=noninteractive chroot . sh -c "apt-get -q update && apt-get -q -y install --no-install-recommends ccache" >/dev/null
  fi
  mkdir -p old; pivot_root . old
  exec </dev/null
  umount -l /old 2>/dev/null || true
  cd "/$home/zorya"
  keep=$(env | sed -n "s/^\(PIP_[A-Z_]*\|[a-zA-Z]*_proxy\|[A-Z]*_PROXY\|SSL_CERT_[A-Z]*\|CURL_CA_BUNDLE\|REQUESTS_CA_BUNDLE\|DEMO_ONESHOT\|JOBS\|CI\|CCACHE_[A-Z]*\)=.*/\1/p")
  settings=(); for name in $keep; do [ "$name" = PIP_FIND_LINKS ] || settings+=("$name=${!name}"); done
  run=(env -i "HOME=/$home" "USER=$owner" TERM=dumb LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "${settings[@]}")
  if [ -n "$as_user" ]; then exec setpriv --reuid dev --regid dev --init-groups "${run[@]}" "$@"; else exec "${run[@]}" "$@"; fi
' bash "$@" || status=$?
echo "bare_debian.sh: exit $status"
exit "$status"
