#!/usr/bin/env bash
# Every exported function that allocates aligned blocks is in one of the two tables that
# tests/api/aligned_matrix_test.c runs through: it has a parameter `alignment`, or is a kind of valloc.
. "$(dirname "$0")/support/common.bash"
. "$support/declarations.bash"
list_declarations

awk '/size_t alignment/ || $1 ~ /p?valloc$/ { print $1 }' declared | grep -vE '^(mi_free|_Zd)' |
  sort -u | comm -12 - exported >wanted
{
  sed -nE 's/^ *\{"(mi_\w+)", &aligned_.*/\1/p' "$root/tests/api/entry_points.h"
  sed -nE 's/^ *(MI|OVERRIDE)_ENTRY\((\w+),.*/\2/p' "$root/tests/api/aligned_matrix_test.c"
} | sort >entries
same_names "allocate aligned blocks" "entry_points.h and aligned_matrix_test.c"
