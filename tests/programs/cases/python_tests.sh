# shellcheck shell=bash disable=SC2034,SC2154  # the variables are those of run.sh
# Modules of python's own regression tests (Debian: libpython3.11-testsuite), by result of each test.
# Left out: what is slow (io, asyncio), fails by itself (capi), counts seconds (logging), or upsets the
# report of results (xml_etree). Processes and shared memory: python_processes.sh.
needs="/usr/bin/python3 /usr/lib/python3.11/test/test_dict.py"
binaries="/usr/bin/python3"
compares="the result of each test; not the times"
quick=(test_json test_dict test_re test_gc test_thread test_bytes)
more=(test_array test_ast test_bisect test_buffer test_bz2 test_codecs test_collections test_compile
  test_copy test_csv test_ctypes test_dataclasses test_datetime test_dbm test_decimal test_deque
  test_descr test_enum test_exceptions test_float test_fork1 test_functools test_generators test_hashlib
  test_heapq test_int test_itertools test_list test_long test_marshal test_memoryview
  test_ordered_dict test_pickle test_posix test_random test_set test_shelve test_sort test_statistics
  test_string test_struct test_threading test_tuple test_unicode test_weakref test_sax test_pyexpat
  test_zlib test_abc test_base64 test_binascii test_builtin test_class test_cmath test_complex test_contextlib
  test_coroutines test_difflib test_dis test_format test_fractions test_fstring test_hash test_iter
  test_operator test_optparse test_pprint test_raise test_range test_slice test_syntax test_textwrap
  test_tokenize test_types test_unpack test_userdict test_uuid test_with)
run() {
  local modules=("${quick[@]}") status=0
  [ "$level" = quick ] || modules+=("${more[@]}")
  /usr/bin/python3 -m test -q --junit-xml "$HOME/results.xml" "${modules[@]}" >log 2>&1 || status=$?
  if ! [ -s results.xml ]; then
    tail -n 20 log >&2
    return "$status"
  fi
  /usr/bin/python3 - "$HOME/results.xml" "${modules[@]}" <<'END'
import collections, sys
from xml.etree import ElementTree
bad, tests = [], collections.defaultdict(list)
for test in ElementTree.parse(sys.argv[1]).iter("testcase"):
    name = test.get("name")
    outcome = "/".join(sorted({part.tag for part in test if part.tag in ("error", "failure", "skipped")}))
    tests[outcome or test.get("result", "ok")].append(name)
    if outcome not in ("", "skipped"):
        bad.append(f"{outcome}: {name}")
print(f"{len(sys.argv) - 2} modules;", ", ".join(f"{len(t)} {what}" for what, t in sorted(tests.items())))
print("\n".join(sorted(bad)))
END
  echo "status $status"
  [ "$status" -eq 0 ] || grep -E '^(ERROR|FAIL|Traceback|[A-Za-z]*Error|Fatal)' log | head -n 30 >&2 || true
}
