# shellcheck shell=bash disable=SC2034,SC2154  # variables of program.sh
# gcc: this project as one file (its object must be the same to the byte).
needs="gcc"
run() {
  measured "$(gcc -print-prog-name=cc1)" -quiet -std=gnu11 -O2 -D_GNU_SOURCE -I"$root/include" -I"$root/src" \
    -imultiarch x86_64-linux-gnu "$root/src/mi.c" -o mi.s
  sha256sum <mi.s
}
