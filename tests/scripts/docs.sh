#!/usr/bin/env bash
# The reference of the API is generated without a warning: every declaration has a comment, every parameter
# and every result is explained; and every function is in it.
. "$(dirname "$0")/support/common.bash"
. "$support/declarations.bash"
command -v doxygen >/dev/null || skip "no doxygen (tools/setup.sh docs)"
[ "$bits" = 64 ] || skip "the same text with 64 bits"
(cd "$root" && { cat docs/api/Doxyfile && echo "OUTPUT_DIRECTORY = $work"; } | doxygen -) >log 2>&1 ||
  fail "doxygen: $(grep -v '^$' log | sort -u | head -n 20)"
sed -nE 's|.*class="memname">.*\b(mi_\w+) *</td>.*|\1|p' html/*.html | sort -u >shown
declarations | cut -d ' ' -f 1 | grep '^mi_' | sort -u >wanted
missing=$(comm -23 wanted shown)
[ -z "$missing" ] || fail "not in the reference: $missing"
[ "$(wc -l <wanted)" -gt 90 ] || fail "only $(wc -l <wanted) functions"
echo "$(wc -l <wanted) functions in $(find html -name 'group__*.html' | wc -l) groups"
