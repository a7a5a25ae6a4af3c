// SPDX-License-Identifier: MIT
// compiler.h - what differs between compilers
#ifndef MI_COMPILER_H
#define MI_COMPILER_H

#define MI_LIKELY(c)   __builtin_expect(!!(c), 1)
#define MI_UNLIKELY(c) __builtin_expect(!!(c), 0)

// A slow path: kept out of line, and out of the callers' way.
#define MI_COLD     __attribute__((noinline, cold))
#define MI_NOINLINE __attribute__((noinline))
// Reads other threads' plain counts, for statistics: not a mistake that ThreadSanitizer should report.
#define MI_NO_TSAN __attribute__((no_sanitize("thread")))
#define MI_INLINE  static inline __attribute__((always_inline))

// The compiler checks the arguments against the format string, as for printf.
#define MI_PRINTF(format_index, first_arg) __attribute__((format(printf, format_index, first_arg)))

// For a loop that waits: tells the core that we spin.
#if defined(__x86_64__) || defined(__i386__)
#define MI_SPIN_HINT() __builtin_ia32_pause()
#else
#define MI_SPIN_HINT() __asm__ volatile("" ::: "memory")
#endif

// A constructor that runs before those without a priority; a destructor that runs after them.
#define MI_CONSTRUCTOR __attribute__((constructor(101), used))
#define MI_DESTRUCTOR  __attribute__((destructor(101), used))

// One read of the initial-exec TLS offset, whatever model the rest of the program uses.
#define MI_TLS _Thread_local __attribute__((tls_model("initial-exec")))

#endif
