#!/usr/bin/env bash
# Build the explorer or the Relacy program into PROOF_OUT, from the sources in SRC.
# usage: tests/proof/build.sh explorer|relacy
set -eu
cd "$(dirname "$0")"
src=${SRC:-../../src}
out=${PROOF_OUT:-../../out/proof}
mkdir -p "$out"

# world.o holds all that threads share; explorer.c finds it by the names of the sections.
explorer() {
  gcc -std=gnu11 -O1 -g -Wall -Wextra -Wno-missing-field-initializers -fomit-frame-pointer -fno-stack-protector -include ./steps.h \
    -Ifake -I. -I../../include -I"$src" -c world.c -o "$out/world.o"
  objcopy --rename-section .data=world_data --rename-section .bss=world_bss "$out/world.o"
  gcc -std=gnu11 -O2 -g -Wall -Wextra -I. -I"$src" explorer.c "$out/world.o" -o "$out/explorer"
}

# C++, from a copy in which fields that belong to an owner, or do not change, are watched for races.
relacy() {
  local copy=$out/relacy-src types='block_t\*|page_t\*|slice_t|uint[0-9]+_t|bool'
  rm -rf "$copy" && cp -r "$src" "$copy"
  rm "$copy"/base/{config,size_class,assert}.h "$copy/space/range.h"
  sed -i -E "s/^( +)($types) (\w+(\[\w+\])?);( *\/\/ (owner:|owner$|const))/\1plain_t<\2> \3;\5/" "$copy/space/record.h"
  sed -i -E "s/^( +)($types) (\w+(\[\w+\])?);( *\/\/ (owner:|owner$))/\1plain_t<\2> \3;\5/
    s/^  slice_t (owned|awake|growing);/  plain_t<slice_t> \1;/
    s/^  theap_t\* next_made;/  plain_t<theap_t*> next_made;/" "$copy/heap/theap.h"
  sed -i -E 's/^static uintptr_t main_thread;/static plain_t<uintptr_t> main_thread;/' "$copy/heap/thread.c"
  sed -i -E 's/^  block_t\* next;/  plain_t<block_t*> next;/' "$copy/base/nouns.h"
  sed -i -E 's/block_t\*\* list/plain_t<block_t*>* list/' "$copy/page/page_fast.h"
  g++ -std=c++20 -O1 -w -fpermissive -D_GNU_SOURCE -Iweak -Ifake -I. -I../../include -I"$copy" \
    weak/relacy.cpp -o "$out/relacy"
}

for program in "$@"; do "$program"; done
