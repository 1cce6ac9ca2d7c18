#!/bin/sh
# Builds `bardo` as one static file that needs nothing of the machine it runs on.
#
#   usage: packaging/build-musl.sh
#
# With a Rust toolchain that has the target, `rustup target add x86_64-unknown-linux-musl`, nothing
# else is needed. Without one it takes Debian's compiler and the source of its library:
#
#   apt-get install --no-install-recommends rustc-web cargo-web rust-web-src musl-tools gcc libc6-dev
#
# The last line that it prints is the path of the program. It reads users from /etc/passwd and
# groups from /etc/group only: musl asks nobody else. Use the dynamic build where users are elsewhere.
set -eu

cd "$(dirname "$0")/.."
target=$(uname -m)-unknown-linux-musl
folder=${CARGO_TARGET_DIR:-$PWD/target}
case $folder in /*) ;; *) folder=$PWD/$folder ;; esac

fail() {
  printf 'build-musl.sh: %s\n' "$*" >&2
  exit 1
}

# The linker's name in cargo's environment.
variable() {
  printf 'CARGO_TARGET_%s_LINKER' "$target" | tr 'a-z-' 'A-Z_'
}

build() {
  "$cargo" build --release --locked -p bardo --target "$target" "$@"
}

if sysroot=$(rustc --print sysroot 2>/dev/null) && [ -d "$sysroot/lib/rustlib/$target/lib" ]; then
  cargo=cargo
  build
else
  # Debian's own, also where others are on the path.
  cargo=/usr/bin/cargo
  [ -x "$cargo" ] && [ -x /usr/bin/rustc ] && [ -d /usr/lib/rustlib/src ] && command -v musl-gcc >/dev/null ||
    fail "there is no toolchain for $target: 'rustup target add $target', or the Debian packages that stand at the top of this file"
  # Unwinding is in the compiler's own library. What that expects of a newer C library is not
  # in musl: it looks things up in another way when it is told that there is nothing.
  library=$folder/musl-unwind
  mkdir -p "$library"
  cp "$(gcc -print-file-name=libgcc_eh.a)" "$library/libunwind.a"
  echo 'int _dl_find_object(void *address, void *result) { return -1; }' >"$library/find.c"
  musl-gcc -O1 -c "$library/find.c" -o "$library/find.o"
  ar r "$library/libunwind.a" "$library/find.o" 2>/dev/null
  RUSTC=/usr/bin/rustc
  RUSTC_BOOTSTRAP=1
  RUSTFLAGS="-C target-feature=+crt-static -C link-self-contained=no -C relocation-model=static
    -L native=/usr/lib/$(uname -m)-linux-musl -L native=$library"
  export RUSTC RUSTC_BOOTSTRAP RUSTFLAGS "$(variable)=musl-gcc"
  build -Zbuild-std=std,panic_unwind
fi

program=$folder/$target/release/bardo
[ -x "$program" ] || fail "$program was not made"
"$program" --version >/dev/null || fail "$program does not run here"
printf '%s\n' "$program"
