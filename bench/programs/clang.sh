# shellcheck shell=bash disable=SC2034,SC2154  # variables of program.sh
# clang: this project as one file.
needs="clang"
run() {
  measured clang -std=gnu11 -O2 -D_GNU_SOURCE -I"$root/include" -I"$root/src" -S "$root/src/mi.c" -o mi.s
  sha256sum <mi.s
}
