# shellcheck shell=bash disable=SC2154
# The exported functions and their parameters. Source common.bash first.

# One exported name and its parameters a line, from the headers and from the overriding names.
declarations() {
  sed -E 's://.*::; /^ *#/d' "$root"/include/mimalloc*.h | tr -s '\n ' ' ' |
    grep -oE '\bmi_decl_export\b[^;{]*' | sed -nE 's/^[^(]*\b(mi_+\w+) ?\(([^)]*)\).*/\1 \2/p'
  sed -E 's:MI_MANGLED\((\w+), (\w*)\):\1m\2:' "$root"/src/api/override/*.c |
    sed -nE -e 's/^MI_SAME\([^,]*, (\w+), \w+, \(([^)]*)\).*/\1 \2/p' \
      -e 's/^MI_JUMP\([^,]*, (\w+), \(([^)]*)\).*/\1 \2/p' \
      -e 's/^MI_SAME_FREE\((\w+)\)$/\1 void* p/p' \
      -e 's/^extern [a-z_ *]+ \*?(\w+)\(([^)]*)\).*/\1 \2/p' \
      -e 's/^(int|void|struct mallinfo2?|size_t) (malloc_trim|mallinfo2?|malloc_info|malloc_stats|mallopt)\(([^)]*)\).*/\2 \3/p'
}

# Writes the files `exported` (names) and `declared` (name, parameters); all that is exported is declared.
list_declarations() {
  declarations | sort -u >declared
  exported >exported
  [ "$(wc -l <exported)" -gt 100 ] || fail "only $(wc -l <exported) exported symbols"
  local unknown
  unknown=$(cut -d ' ' -f 1 declared | sort -u | comm -13 - exported)
  [ -z "$unknown" ] || fail "exported, and no declaration found: $unknown"
}

# same_names WHAT TABLE: the files `wanted` and `entries`, both sorted, say the same.
same_names() {
  [ -z "$(uniq -d entries)" ] || fail "twice in $2: $(uniq -d entries)"
  diff wanted entries >difference || fail "exported (<) and in $2 (>) differ: $(grep '^[<>]' difference)"
  echo "$(wc -l <entries) functions $1, all of them are tried"
}
