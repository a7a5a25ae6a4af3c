#!/usr/bin/env bash
# Does the fuzzer find bugs? Plant some, one at a time, in a copy of the sources, and see how long it
# takes the release flavour (which has no assertions to help) to notice, beginning with the corpus.
# usage: tests/fuzz/planted.sh [SECONDS [NAME]]      default 60 s for each     ends with: N passed, N failed
set -u
cd "$(dirname "$0")/../.." || exit 1
limit=${1:-60}
only=${2:-}
copy=out/fuzz/planted
passed=0 failed=0

# name | file | sed expression
bugs() {
  cat <<'LIST'
realloc-run-size|src/heap/block.c|s/mii_divide_up(size + ((uintptr_t)p & (UNIT_BYTES - 1)), UNIT_BYTES)/(size + ((uintptr_t)p \& (UNIT_BYTES - 1))) \/ UNIT_BYTES/
realloc-copy-short|src/api/realloc.c|s/memcpy(moved, p, mii_min(bytes, want.size))/memcpy(moved, p, mii_min(bytes, want.size) \& ~(size_t)7)/
realloc-zero-tail|src/api/realloc.c|s/if (bytes > from) memset/if (bytes > from + 4096) memset/
remote-count|src/page/page_remote.c|s/page->out = (uint16_t)(page->out - count);/page->out = (uint16_t)(page->out - count + (count > 3));/
remote-tail-lost|src/page/page_remote.c|s/word_tail(page, word)->next = page->local_free;/word_tail(page, word)->next = NULL;/
disown-never-publishes|src/page/page_remote.c|s/room_of(page) >= claim_count(page);/room_of(page) > UINT16_MAX;/
dissolve-keeps-lists|src/heap/theap.c|s/^    return_list(theap, c);/    if (c % 8 != 3) return_list(theap, c);/
purge-refused-is-zero|src/space/purge.c|s/mii_platform_purge(\(.*\)) != 0/(mii_platform_purge(\1), false)/
huge-unaligned-phase|src/heap/block.c|s/(uint32_t)(residue \/ piece)/(uint32_t)(residue \/ piece \& ~(size_t)1)/
LIST
}

plant() { # plant NAME FILE EXPRESSION
  rm -rf $copy
  mkdir -p $copy/tests
  cp -r src include $copy
  cp -r tests/fuzz $copy/tests
  sed -i "$3" "$copy/$2"
  cmp -s "$2" "$copy/$2" && { echo "FAIL  $1: nothing to change in $2"; return 1; }
  "$copy/tests/fuzz/build.sh" release || { echo "FAIL  $1: does not compile"; return 1; }
}

hunt() { # hunt NAME
  local start=$SECONDS
  (cd $copy && mkdir -p seen && out/fuzz/release/target -max_len=1024 -len_control=0 \
    -max_total_time="$limit" -artifact_prefix=seen/crash- seen tests/fuzz/corpus >seen.log 2>&1)
  local status=$?
  if [ $status -ne 0 ]; then
    printf 'ok    %-24s %3d s  %s\n' "$1" $((SECONDS - start)) \
      "$(grep -E '^fuzz: |ERROR: ' $copy/seen.log | head -n 1)"
  else
    printf 'FAIL  %-24s not found in %d s\n' "$1" "$limit"
  fi
  [ $status -ne 0 ]
}

while IFS='|' read -r name file expression; do
  [ -z "$only" ] || [ "$only" = "$name" ] || continue
  if plant "$name" "$file" "$expression" && hunt "$name"; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
  fi
done < <(bugs)
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
