#!/usr/bin/env bash
# Every exported function that is given a block is in the table of tests/api/block_entries.h, which
# misuse_test.c runs through, and the table names nothing else.
#
# Which functions those are is read from their declarations: a parameter `void* p`, `const void* p` or
# `void* ptrp`. Other pointers that an exported function may take are listed here, so that a block under a
# new name does not slip through.
. "$(dirname "$0")/support/common.bash"
harmless='arg|tag|out|stream|start|\* p'

# One exported name and its parameters a line, from the headers and from the overriding names.
declarations() {
  sed -E 's://.*::; /^ *#/d' "$root"/include/mimalloc*.h | tr -s '\n ' ' ' |
    grep -oE '\bmi_decl_export\b[^;{]*' | sed -nE 's/^[^(]*\b(mi_+\w+) ?\(([^)]*)\).*/\1 \2/p'
  sed -E 's:MI_MANGLED\((\w+), (\w*)\):\1m\2:' "$root"/src/api/override/*.c |
    sed -nE -e 's/^MI_SAME\([^,]*, (\w+), \w+, \(([^)]*)\).*/\1 \2/p' \
      -e 's/^MI_SAME_FREE\((\w+), \w+, \(([^)]*)\).*/\1 \2/p' \
      -e 's/^MI_DELETE_NOTHROW\((\w+)\)/\1 void* p, const void* tag/p' \
      -e 's/^MI_DELETE_ALIGNED_NOTHROW\((\w+)\)/\1 void* p, size_t alignment, const void* tag/p' \
      -e 's/^MI_NEW(_ALIGNED)?_NOTHROW\((\w+)\)/\2 size_t size, const void* tag/p' \
      -e 's/^extern [a-z_ *]+ \*?(\w+)\(([^)]*)\).*/\1 \2/p' \
      -e 's/^(int|void|struct mallinfo2?|size_t) (malloc_trim|mallinfo2?|malloc_info|malloc_stats|mallopt)\(([^)]*)\).*/\2 \3/p'
}

declarations | sort -u >declared
nm -D --defined-only "$lib" | awk '{ print $3 }' | sed 's/@.*//' | sort -u >exported
[ "$(wc -l <exported)" -gt 100 ] || fail "only $(wc -l <exported) exported symbols"

unknown=$(cut -d ' ' -f 1 declared | sort -u | comm -13 - exported)
[ -z "$unknown" ] || fail "exported, and no declaration found: $unknown"
strange=$(grep -E 'void ?\*' declared | sed -E "s/(const )?void ?\* ?($harmless|p|ptrp)\b//g" | grep -E 'void ?\*')
[ -z "$strange" ] || fail "is this a block? $strange"

grep -E '\bvoid ?\* ?(p|ptrp)\b' declared | cut -d ' ' -f 1 | sort -u | comm -12 - exported >given_blocks
sed -nE 's/^ *(MI|OVERRIDE)_ENTRY\((\w+),.*/\2/p' "$root/tests/api/block_entries.h" | sort >entries
[ -z "$(uniq -d entries)" ] || fail "twice in the table: $(uniq -d entries)"
diff given_blocks entries >difference || fail "exported (<) and in block_entries.h (>) differ: $(grep '^[<>]' difference)"
echo "$(wc -l <entries) functions are given a block, all of them are tried"
