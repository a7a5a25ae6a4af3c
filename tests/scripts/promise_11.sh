#!/usr/bin/env bash
# P11: 32 copies of the library in one process all work; it is loaded, used and unloaded 1000 times (200 times
# without MI_LONG=1) while other threads live on, and end after it. With no block alive, mappings and RSS go back to the start; with
# blocks alive, these stay readable. At most 16 bytes of static thread-local storage.
. "$(dirname "$0")/support/common.bash"
compile copies copies.c -ldl

tls=$(($(readelf -lW "$lib" | awk '$1 == "TLS" { print $6; n = 1 } END { if (!n) print 0 }')))
if [ $tls -le 16 ]; then echo "ok   $tls bytes of static TLS, at most 16"; else complain - "$tls bytes of static TLS"; fi

mkdir folder
for ((i = 0; i < 32; i++)); do cp "$lib" folder/$i.so; done

try() {
  MALLOC_ARENA_MAX=1 timeout 100 ./copies "$@" >said 2>err
  local status=$?
  cat said
  if [ $status -ne 0 ]; then complain err "copies $1: status $status"; fi
}
try many "$work/folder" 32
try reload "$lib" $((${MI_LONG:-0} ? 1000 : 200))
try alive "$lib"
[ $bad -eq 0 ]
