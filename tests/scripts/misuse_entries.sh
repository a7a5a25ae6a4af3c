#!/usr/bin/env bash
# Every exported function that is given a block is in the table of tests/api/block_entries.h, which
# misuse_test.c runs through, and the table names nothing else.
#
# Which functions those are is read from their declarations: a parameter `void* p`, `const void* p` or
# `void* ptrp`. Other pointers that an exported function may take are listed here, so that a block under a
# new name does not slip through. An `address` may be any: it is only looked up (visit_test.c).
. "$(dirname "$0")/support/common.bash"
. "$support/declarations.bash"
# These may be asked about any pointer.
asking='mi_(heap_of|heap_contains|heap_contains_block|heap_check_owned|any_heap_contains|is_in_heap_region|check_owned|arena_contains)'
harmless='arg|commit_fun_arg|user_arg|tag|out|stream|start|address|\* p'

list_declarations
strange=$(grep -E 'void ?\*' declared | sed -E "s/(const )?void ?\* ?($harmless|p|ptrp)\b//g" | grep -E 'void ?\*')
[ -z "$strange" ] || fail "is this a block? $strange"

grep -E '\bvoid ?\* ?(p|ptrp)\b' declared | cut -d ' ' -f 1 | grep -vEx "$asking" | sort -u | comm -12 - exported >wanted
sed -nE 's/^ *(MI|HEAP|OVERRIDE)_ENTRY\((\w+),.*/\2/p' "$root/tests/api/block_entries.h" | sort >entries
same_names "are given a block" block_entries.h
