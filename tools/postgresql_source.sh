#!/usr/bin/env bash
# postgresql_source.sh FOLDER: unpacks the source of Debian's PostgreSQL 15 into FOLDER, from the mirrors that this machine uses, and
# prints where it lies. The installed version if a mirror has its source, else the newest there is. Nothing is installed.
set -eu
folder=$1
mkdir -p "$folder/lists/partial"
cd "$folder"
found() { ls -d "$PWD"/postgresql-15.*/ 2>/dev/null | head -1; }
if [ -z "$(found)" ]; then
  # A package list of its own, so that the machine's stays as it is.
  sed -n 's/^URIs: *\([^ ]*\)\/*$/\1/p; s/^deb \(\[[^]]*\] \)*\([^ ]*\) .*/\2/p' /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
    sort -u | while read -r mirror; do
      case $mirror in
        */debian) echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror bookworm main" ;;
        */debian-security) echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror bookworm-security main" ;;
      esac
    done >sources.list
  options=(-q -o "Dir::Etc::sourcelist=$PWD/sources.list" -o Dir::Etc::sourceparts=/dev/null -o "Dir::State::lists=$PWD/lists"
           -o APT::Sandbox::User=root)
  apt-get "${options[@]}" update >log
  installed=$(dpkg-query -W -f '${Version}' postgresql-15)
  others=$(apt-cache "${options[@]}" showsrc postgresql-15 | sed -n 's/^Version: //p' | sort -rV)
  for version in $installed $others; do
    apt-get "${options[@]}" source --download-only "postgresql-15=$version" >>log 2>&1 && break
  done
  tar xf postgresql-15_*.orig.tar.bz2
  chmod -R a+rX .
fi
found
