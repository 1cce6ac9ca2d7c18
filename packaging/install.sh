#!/bin/sh
# Installs Bardo from an unpacked archive, and takes it away again.
#
#   usage: install.sh [--prefix FOLDER] [--supervisor-names]
#          install.sh uninstall [--prefix FOLDER]
#
# Beside it, or one folder above, are the program `bardo` and the folders `share` and `docs`.
# FOLDER is /usr/local where nothing is said. With --supervisor-names Bardo is also called
# supervisord, supervisorctl, echo_supervisord_conf and pidproxy, where nobody else is called so.
# What was installed stands in FOLDER/share/bardo/installed, and exactly that is taken away.
# No service is registered: `bardo /install` does that afterwards.
set -eu

prefix=/usr/local
verb=install
names=

fail() {
  printf 'install.sh: %s\n' "$*" >&2
  exit 1
}

usage() {
  sed -n '4,5s/^# *//p' "$0" >&2
  exit 2
}

while [ $# -gt 0 ]; do
  case $1 in
    install | uninstall) verb=$1 ;;
    --prefix) [ $# -gt 1 ] || usage; prefix=$2; shift ;;
    --prefix=*) prefix=${1#--prefix=} ;;
    --supervisor-names) names='supervisord supervisorctl echo_supervisord_conf pidproxy' ;;
    *) usage ;;
  esac
  shift
done
case $prefix in
  /) prefix= ;;
  /*) prefix=${prefix%/} ;;
  *) fail "--prefix must begin with a slash: $prefix" ;;
esac
list=$prefix/share/bardo/installed

# Notes a file first, so that whatever was begun can be taken away.
note() {
  grep -qxF "$1" "$list" || printf '%s\n' "$1" >>"$list"
}

# Whether a file is there and none of ours.
is_foreign() {
  { [ -e "$1" ] || [ -L "$1" ]; } && ! grep -qxF "$1" "$list"
}

put() { # SOURCE TARGET MODE
  if is_foreign "$2"; then
    printf 'install.sh: %s is there already and stays\n' "$2" >&2
    return
  fi
  mkdir -p "$(dirname "$2")"
  note "$2"
  # A program that runs cannot be written to; it can be replaced.
  cp "$1" "$2.new" && chmod "$3" "$2.new" && mv -f "$2.new" "$2"
}

link() { # NAME
  if is_foreign "$prefix/bin/$1"; then
    printf 'install.sh: %s is there already and stays\n' "$prefix/bin/$1" >&2
    return
  fi
  note "$prefix/bin/$1"
  ln -sf bardo "$prefix/bin/$1"
}

install_all() {
  here=$(cd "$(dirname "$0")" && pwd)
  for top in "$here" "$here/.."; do
    [ -d "$top/share/man" ] && break
  done
  [ -d "$top/share/man" ] || fail "the folder share is not beside this script"
  program=
  for place in "$top/bardo" "$top/bin/bardo" "$top/target/release/bardo"; do
    [ -n "$program" ] || [ ! -x "$place" ] || program=$place
  done
  [ -n "$program" ] || fail "the program bardo is not beside this script"
  "$program" --version >/dev/null || fail "$program does not run on this machine"
  mkdir -p "$(dirname "$list")" || fail "$(dirname "$list") cannot be made; --prefix names another folder"
  touch "$list" || fail "$list cannot be written"
  ! is_foreign "$prefix/bin/bardo" || fail "$prefix/bin/bardo is there already and was not installed by this script"
  put "$program" "$prefix/bin/bardo" 755
  for name in bardo_service minix-service $names; do
    link "$name"
  done
  (cd "$top/share" && find . -type f) | sed 's|^\./||' | sort | while read -r file; do
    case $file in
      # Others have pages of these names, and theirs are found first or hidden.
      man/man8/service.8) put "$top/share/$file" "$prefix/share/man/man8/minix-service.8" 644 ;;
      *) put "$top/share/$file" "$prefix/share/$file" 644 ;;
    esac
  done
  # Definitions of services name a page of them.
  for page in "$top"/docs/*.md; do
    [ ! -f "$page" ] || put "$page" "$prefix/share/doc/bardo/$(basename "$page")" 644
  done
  printf 'Bardo is in %s. To have it as a service: %s/bin/bardo /install\n' "$prefix/bin" "$prefix"
}

uninstall_all() {
  [ -f "$list" ] || fail "$list is not there: nothing was installed below ${prefix:-/}"
  services=$("$prefix/bin/bardo" --service-list | cut -d ' ' -f 2 | tr '\n' ' ')
  [ -z "$services" ] ||
    fail "still registered: ${services% }; for each, first: $prefix/bin/bardo /uninstall NAME"
  while read -r file; do
    rm -f "$file" "$file.new"
  done <"$list"
  # Folders that are empty now were made here, or nobody misses them.
  while read -r file; do
    folder=$(dirname "$file")
    while [ "$folder" != "$prefix" ] && [ "$folder" != / ] && rmdir "$folder" 2>/dev/null; do
      folder=$(dirname "$folder")
    done
  done <"$list"
  rm -f "$list"
  rmdir "$(dirname "$list")" "$prefix/share" 2>/dev/null || true
  printf 'Bardo is no longer in %s\n' "$prefix/bin"
}

"${verb}_all"
