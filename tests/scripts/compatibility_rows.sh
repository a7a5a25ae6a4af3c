#!/usr/bin/env bash
# Every row of docs/compatibility.md has a number and a test that carries it, and every such test has a row.
. "$(dirname "$0")/support/common.bash"
doc=$root/docs/compatibility.md
tests=("$root/tests/api/compatibility_test.c" "$root/tests/scripts/compatibility.sh")

sed -nE 's/^\| *([0-9]+) *\|.*/\1/p' "$doc" | sort -n >rows
grep -hE '^(OUR_)?ROW\(row_|^row_' "${tests[@]}" | sed -nE 's/.*\brow_([0-9]+)_.*/\1/p' | sort -nu >tested

[ -z "$(uniq -d rows)" ] || fail "two rows have the number $(uniq -d rows)"
seq "$(wc -l <rows)" | diff - rows >difference || fail "rows are not numbered one by one: $(cat difference)"
diff rows tested >difference || fail "rows (<) and tests (>) differ: $(grep '^[<>]' difference)"
# A table whose rows have no number would escape: only headings and rulers may lack one.
unnumbered=$(grep -E '^\|' "$doc" | grep -vE '^\| *[0-9]+ *\||^\| *(#|-+) *\||^\|-' )
[ -z "$unnumbered" ] || fail "no number: $unnumbered"
[ "$(wc -l <rows)" -gt 50 ] || fail "only $(wc -l <rows) rows"
echo "$(wc -l <rows) rows, all tested"
