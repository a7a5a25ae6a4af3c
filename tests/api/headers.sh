#!/bin/sh
# SPDX-License-Identifier: MIT
# headers.sh - the public headers compile without a warning in every language standard they support
#
# usage: tests/api/headers.sh        (no library needed; uses gcc, g++, clang, clang++ as far as present)
# Exit status: 0 all clean, 1 otherwise. On a failure the compiler's output is printed. Skipped (77) but for the
# release build, because the headers are the same in all.
set -u
[ "${MI_NAME:-mimalloc}" = mimalloc ] || exit 77

root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
strict="-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror"
checks=0
failures=0

# What a C or C++ user does with mimalloc.h: include it twice, use the macros, take addresses.
cat > "$work/api.c" <<'END'
#include "mimalloc.h"
#include "mimalloc.h"
#include "mimalloc-stats.h"
#include "mimalloc-stats.h"
typedef struct point_s { int x, y; } point_t;
int use_the_typed_macros(void);
int use_the_typed_macros(void) {
  point_t* a = mi_malloc_tp(point_t);
  point_t* b = mi_zalloc_tp(point_t);
  point_t* c = mi_calloc_tp(point_t, 3);
  point_t* d = mi_mallocn_tp(point_t, 3);
  c = mi_recalloc_tp(point_t, c, 5);
  d = mi_reallocn_tp(point_t, d, 5);
  mi_free(a); mi_free(b); mi_free(c); mi_free(d);
  return MI_MALLOC_VERSION + (int)MI_SMALL_WSIZE_MAX + (int)MI_SMALL_SIZE_MAX;
}
void use_the_option_names(void);
void use_the_option_names(void) {
  const mi_option_t all[] = { mi_option_show_errors, mi_option_show_stats, mi_option_verbose, mi_option_purge_delay,
                              mi_option_reset_delay, mi_option_max_errors, mi_option_max_warnings };
  for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) mi_option_set(all[i], mi_option_get(all[i]));
}
static void mi_cdecl on_output(const char* msg, void* arg) { (void)msg; (void)arg; }
static void mi_cdecl on_error(int err, void* arg) { (void)err; (void)arg; }
static void mi_cdecl on_deferred(bool force, unsigned long long heartbeat, void* arg) { (void)force; (void)heartbeat; (void)arg; }
void use_the_function_types(void);
void use_the_function_types(void) {
  mi_output_fun* out = &on_output; mi_error_fun* error = &on_error; mi_deferred_free_fun* deferred = &on_deferred;
  mi_register_output(out, NULL); mi_register_error(error, NULL); mi_register_deferred_free(deferred, NULL);
  mi_stats_print_out(out, NULL); mi_options_print_out(out, NULL);
}
int64_t use_the_stats(void);
int64_t use_the_stats(void) {
  mi_stats_t_decl(stats);
  int64_t sum = 0;
  mi_stats_header_init(&stats);
  if (!mi_stats_get(&stats)) return -1;
#define MI_STAT_COUNT(name) sum += stats.name.current;
#define MI_STAT_COUNTER(name) sum += stats.name.total;
  MI_STAT_FIELDS()
  mi_free(mi_stats_get_json(0, NULL)); mi_free(mi_heap_stats_get_json(NULL, 0, NULL));
  return sum + stats.malloc_bins[MI_BIN_HUGE].peak + stats.chunk_bins[MI_CBIN_COUNT - 1].total;
}
END
cp "$work/api.c" "$work/api.cpp"


# The override macros, in front of and behind the system's headers, in C and C++.
cat > "$work/override.c" <<'END'
#include "mimalloc-override.h"
#include <stdlib.h>
#include <string.h>
void use_the_override(void);
void use_the_override(void) {
  char* p = (char*)malloc(1);
  char* q = strdup("x");
  p = (char*)realloc(p, 2);
  free(p); free(q);
}
END
cp "$work/override.c" "$work/override.cpp"

cat > "$work/stl.cpp" <<'END'
#include "mimalloc.h"
#include <list>
#include <map>
#include <string>
#include <vector>
int use_the_allocator();
int use_the_allocator() {
  std::vector<int, mi_stl_allocator<int> > v(3, 1);
  std::list<int, mi_stl_allocator<int> > l(v.begin(), v.end());
  std::map<int, int, std::less<int>, mi_stl_allocator<std::pair<const int, int> > > m;
  m[1] = 2;
  std::basic_string<char, std::char_traits<char>, mi_stl_allocator<char> > s("abc");
  mi_stl_allocator<int> a; mi_stl_allocator<char> b(a);
  return (int)(v.size() + l.size() + m.size() + s.size()) + (a == b) + (a != b);
}
END
cat > "$work/pmr.cpp" <<'END'
#include "mimalloc-pmr.h"
#include "mimalloc-pmr.h"
#if defined(MI_HAS_PMR_RESOURCE)
int use_the_resource();
int use_the_resource() {
  std::pmr::memory_resource* r = mi_pmr_resource::get();
  mi_pmr_resource own;
  void* p = r->allocate(100, 32);
  own.deallocate(p, 100, 32);
  return (own == *r) + (own != *r);
}
#endif
END
printf '#include "mimalloc-new-delete.h"\n#include "mimalloc-new-delete.h"\n' > "$work/new_delete.cpp"

# Every macro that programs know.
must_define() { # <header> <names>
  header=$1; shift
  printf '#include "%s"\n' "$header"
  for macro in "$@"; do printf '#ifndef %s\n#error "no macro %s"\n#endif\n' "$macro" "$macro"; done
  printf 'int some_declaration;\n'
}
must_define mimalloc.h MI_MALLOC_VERSION MI_SMALL_WSIZE_MAX MI_SMALL_SIZE_MAX mi_attr_noexcept mi_decl_nodiscard \
  mi_decl_export mi_decl_restrict mi_attr_malloc mi_cdecl mi_attr_alloc_size mi_attr_alloc_size2 \
  mi_attr_alloc_align mi_malloc_tp mi_zalloc_tp mi_calloc_tp mi_mallocn_tp mi_reallocn_tp mi_recalloc_tp \
  MI_HAS_HEAP_STL_ALLOCATOR mi_heap_malloc_tp mi_heap_zalloc_tp mi_heap_calloc_tp mi_heap_mallocn_tp \
  mi_heap_reallocn_tp mi_heap_recalloc_tp > "$work/macros.c"
must_define mimalloc-override.h malloc calloc realloc free strdup strndup realpath _expand _msize _recalloc _strdup \
  _strndup _wcsdup _mbsdup _dupenv_s _wdupenv_s reallocf malloc_size malloc_usable_size malloc_good_size cfree \
  valloc pvalloc reallocarray reallocarr memalign aligned_alloc posix_memalign _posix_memalign _aligned_malloc \
  _aligned_realloc _aligned_recalloc _aligned_msize _aligned_free _aligned_offset_malloc \
  _aligned_offset_realloc _aligned_offset_recalloc > "$work/override_macros.c"

# Ignored results: the first must be rejected, the second must not.
printf '#include "mimalloc.h"\nvoid f(void);\nvoid f(void) { mi_malloc(8); }\n' > "$work/ignored.c"
printf '#include "mimalloc.h"\nvoid f(void* p);\nvoid f(void* p) { mi_expand(p, 8); (void)0; }\n' > "$work/not_ignored.c"

compile() { # compile <compiler> <flags> <file>
  $1 $2 $strict -I"$root/include" -c -o "$work/object" "$work/$3" > "$work/out" 2>&1
}
expect_clean() {
  checks=$((checks + 1))
  if ! compile "$1" "$2" "$3"; then
    failures=$((failures + 1))
    echo "headers: $1 $2 $3:"
    cat "$work/out"
  fi
}
expect_rejected() {
  checks=$((checks + 1))
  if compile "$1" "$2" "$3"; then
    failures=$((failures + 1))
    echo "headers: $1 $2 $3: compiles, but should not"
  fi
}
supports() { # does the compiler know this -std?
  echo 'int x;' > "$work/empty.$3"
  $1 "$2" -fsyntax-only "$work/empty.$3" > /dev/null 2>&1
}

for cc in gcc clang; do
  command -v $cc > /dev/null 2>&1 || continue
  for std in -std=c99 -std=gnu99 -std=c11 -std=gnu11 -std=c17 -std=gnu17 -std=c2x; do
    supports $cc $std c || continue
    for file in api.c override.c macros.c override_macros.c not_ignored.c; do expect_clean $cc "$std -Wstrict-prototypes" $file; done
    expect_rejected $cc "$std" ignored.c
  done
  expect_clean $cc "-std=c11 -DMI_SHARED_LIB" api.c
  expect_clean $cc "-std=c11 -DMI_SHARED_LIB -DMI_SHARED_LIB_EXPORT" api.c
done
for cxx in g++ clang++; do
  command -v $cxx > /dev/null 2>&1 || continue
  for std in -std=c++11 -std=gnu++11 -std=c++14 -std=c++17 -std=gnu++17 -std=c++20 -std=c++2b; do
    supports $cxx $std cpp || continue
    for file in api.cpp override.cpp stl.cpp pmr.cpp new_delete.cpp; do expect_clean $cxx "$std" $file; done
  done
  expect_clean $cxx "-std=c++17 -fno-exceptions -fno-rtti" stl.cpp
  expect_clean $cxx "-std=c++17 -fno-exceptions -fno-rtti" pmr.cpp
done

[ $checks -gt 0 ] || { echo "headers: no compiler found"; exit 1; }
[ $failures -eq 0 ] || { echo "headers: $failures of $checks checks failed"; exit 1; }
echo "headers ok: $checks checks"
