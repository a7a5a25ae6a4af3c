#!/usr/bin/env bash
# Every function of the API's table is declared with its type, exported by each library, and called by a test.
#
# signatures.tsv has a row for each: group, name, result, parameters. signatures-missing.txt names the rows
# that are not there yet; who declares one deletes its line. The types are compared by the compilers, in C
# and in C++. A row counts as called if a test program of tests/api/ that is linked with the shared library
# refers to it. Functions of the group stats-inline are inline: called by name, and exported by nobody.
# shellcheck disable=SC2154  # from common.bash
. "$(dirname "$0")/../scripts/support/common.bash"
here=$root/tests/api
rows=$here/signatures.tsv
name=${lib##*/lib} && name=${name%.so}

names_of() { nm "$@" 2>/dev/null | awk 'NF > 1 { print $NF }' | sed 's/@.*//' | sort -u; }
rows_in() { awk -F '\t' 'NR == FNR { in_list[$1]; next } $2 in in_list' "$1" "$rows"; }
rows_not_in() { awk -F '\t' 'NR == FNR { in_list[$1]; next } !($2 in in_list)' "$1" "$rows"; }
complain_of() { # WHY, names on standard input
  sed "s|\$|: $1|" | tee -a wrong
}

# What is declared -------------------------------------------------------------------------------------

for header in "$root"/include/mimalloc.h "$root"/include/mimalloc-stats.h; do
  if [ -f "$header" ]; then echo "#include \"$header\""; fi
done >headers.h
"${CC:-gcc}" -E -P -I"$root/include" headers.h | grep -oE '\bmi_\w+ ?\(' | tr -d ' (' | sort -u >declared
rows_in declared >declared_rows
rows_not_in declared | cut -f 2 | sort >missing
sort "$here/signatures-missing.txt" >listed
comm -23 missing listed | complain_of "not declared, and not in signatures-missing.txt"
comm -13 missing listed | complain_of "declared, or no row: delete its line in signatures-missing.txt"

# With which type --------------------------------------------------------------------------------------

# is_same LANGUAGE: one line of C or C++ per row, which does not compile if the type is another.
is_same() {
  awk -F '\t' -v language="$1" '{
    type = $3 "(" $4 ")"
    if (language == "c") same = "__builtin_types_compatible_p(__typeof__(" $2 "), " type ")"
    else same = "std::is_same<decltype(&" $2 "), " $3 "(*)(" $4 ")>::value"
    printf "%s(%s, \"row %s %s\");\n", language == "c" ? "_Static_assert" : "static_assert", same, $2, type
  }' declared_rows
}
{ cat headers.h && is_same c; } >types.c
{ cat headers.h && printf '#include <type_traits>\n' && is_same cpp; } >types.cpp
for compiler in "gcc -std=c11" "clang-14 -std=c11" "g++ -std=c++14" "clang++-14 -std=c++14"; do
  command -v "${compiler%% *}" >/dev/null || continue
  file=types.c
  case $compiler in *++*) file=types.cpp ;; esac
  $compiler -fsyntax-only -I"$root/include" "$file" 2>err && continue
  sed -nE 's/.*error: .*"?row (mi_\w+) .*/\1/p' err | sort -u >wrong_types
  if ! [ -s wrong_types ]; then complain err "$compiler: the types cannot be compared"; fi
  complain_of "declared with another type than in signatures.tsv, says $compiler" <wrong_types
done

# Who exports and calls it -----------------------------------------------------------------------------

grep '^stats-inline' declared_rows | cut -f 2 | sort >inline
cut -f 2 declared_rows | sort | comm -23 - inline >functions
names_of -D --defined-only "$lib" >exported
for file in "$lib" "$out/lib$name.a" "$out/$name.o"; do
  dynamic=''
  case $file in *.so) dynamic=-D ;; esac
  names_of ${dynamic:+"$dynamic"} --defined-only "$file" | comm -23 functions - | complain_of "not in ${file##*/}"
done

programs=("$out"/tests/api-*-shared)
[ -x "${programs[0]}" ] || skip "no test programs in $out/tests"
{
  names_of -u "${programs[@]}"
  grep -ohE '\bmi_\w+\(' "$here"/*.c "$here"/*.cpp | tr -d '(' | sort -u | comm -12 inline -
} | sort -u >called
# What arenas do is tested with 64 bits only.
[ "$bits" = 32 ] || sort functions inline | comm -23 - called | complain_of "called by no test in tests/api"

# The table --------------------------------------------------------------------------------------------

awk -F '\t' '
  FILENAME != table { has[FILENAME, $1]; next }
  !($1 in rows) { group[++groups] = $1 }
  {
    rows[$1]++
    declared[$1] += !(("missing", $2) in has)
    exported[$1] += (("exported", $2) in has) || (("inline", $2) in has)
    called[$1] += ("called", $2) in has
  }
  END {
    format = "%-14s %5s %9s %9s %7s\n"
    printf format, "group", "rows", "declared", "exported", "called"
    for (i = 1; i <= groups; i++) {
      g = group[i]
      printf format, g, rows[g], declared[g], exported[g], called[g]
      all += rows[g]; d += declared[g]; e += exported[g]; c += called[g]
    }
    printf format, "all", all, d, e, c
  }' table="$rows" missing exported inline called "$rows"
if [ -s missing ]; then echo "not there yet: $(tr '\n' ' ' <missing)"; fi
[ "$bad" -eq 0 ] && ! [ -s wrong ] || fail "the rows named above"
