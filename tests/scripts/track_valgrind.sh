#!/usr/bin/env bash
# In a program that links a library built with MI_TRACK_VALGRIND, memcheck finds planted overflows, uses
# after free, double frees, uninitialised reads and leaks, and has nothing to say about a correct one.
. "$(dirname "$0")/support/common.bash"
. "$support/tracked.bash"
[ "$variant" = release ] || skip "builds its own libraries: once is enough"
has_valgrind || skip "no valgrind, or none for $bits bits"
command -v cmake >/dev/null || skip "no cmake"
[ -f /usr/include/valgrind/memcheck.h ] || skip "no valgrind/memcheck.h"

tracked named -DMI_TRACK_VALGRIND=ON -DMI_OVERRIDE=OFF
tracked override -DMI_TRACK_VALGRIND=ON
name=mimalloc-valgrind
compile by_name planted.c -g -Lnamed -l$name -Wl,-rpath,"$work/named" "${for_valgrind[@]}"
compile shared planted.c -g -DBY_NAME=0 -Loverride -l$name -Wl,-rpath,"$work/override" "${for_valgrind[@]}"
compile static planted.c -g -DBY_NAME=0 override/lib$name.a "${for_valgrind[@]}"

# With its own malloc out of the way, if we replace malloc: see docs/traps.md.
memcheck=(valgrind -q --leak-check=full --error-exitcode=9)
ours=("${memcheck[@]}" --soname-synonyms=somalloc=nouserintercepts)

all() { # WHAT SIZE COMMAND...: every crime with blocks of this size
  local what=$1 size=$2
  shift 2
  caught "Invalid write of size 1" "$what, write past end of $size" "$@" write-past-end "$size"
  caught "0 bytes after a block of size" "$what, read past end of $size" "$@" read-past-end "$size"
  caught "Invalid write of size 1" "$what, write after free of $size" "$@" write-after-free "$size"
  caught "inside a block of size .* free'd" "$what, read after free of $size" "$@" read-after-free "$size"
  # Of two freed neighbours memcheck may name the other: the address is after that.
  caught "a block of size .* free'd" "$what, read after realloc of $size" "$@" read-after-realloc "$size"
  caught "Invalid free()" "$what, double free of $size" "$@" double-free "$size"
  caught "uninitialised value" "$what, uninitialised read of $size" "$@" uninitialised "$size"
  caught "definitely lost" "$what, leak of $size" "$@" leak "$size"
}

clean "by name" "${memcheck[@]}" ./by_name
clean "shared, override" "${ours[@]}" ./shared
clean "static, override" "${ours[@]}" ./static
for size in 40 2000000; do
  all "by name" $size "${memcheck[@]}" ./by_name
done
all "shared, override" 100 "${ours[@]}" ./shared
all "static, override" 5000 "${ours[@]}" ./static
clean "by name, without valgrind" ./by_name
[ "$bad" -eq 0 ] || fail "$bad cases"
