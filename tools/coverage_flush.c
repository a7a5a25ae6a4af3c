// SPDX-License-Identifier: MIT
// coverage_flush.c - linked into the tests by coverage.sh (-Wl,--wrap): a process that ends by _exit or
// abort, as the children of our tests do, hands in its counts first
void __gcov_dump(void);
_Noreturn void __real__exit(int status);
_Noreturn void __real_abort(void);
_Noreturn void __wrap__exit(int status);
_Noreturn void __wrap_abort(void);

_Noreturn void __wrap__exit(int status) {
  __gcov_dump();
  __real__exit(status);
}

_Noreturn void __wrap_abort(void) {
  __gcov_dump();
  __real_abort();
}
