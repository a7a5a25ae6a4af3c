#!/usr/bin/env bash
# Every exported symbol works as the very first call: before constructors, from a constructor that runs before
# ours, as the first of a thread, in late destructors of a thread (promise P9). Each symbol in each situation in
# a process of its own, linked dynamically, preloaded, and static; bound at start and lazily.
#
#   preinit       in .preinit_array of the program, before any constructor
#   rotation      there, and then all the other symbols in the order of the table
#   constructor   in the constructor of a shared library that is initialised before ours; static: of the program
#   destructor    in the destructor there, after ours
#   thread        the first call of a new thread
#   late          in the last round of key destructors, after ours has ended the thread
#   last          the same, and the first call of the thread
#   thread_local  in the destructor of a thread_local object, after mi_thread_done
#
# A new symbol needs a line in support/first_call_table.h.
. "$(dirname "$0")/support/common.bash"
name=${lib##*/lib} && name=${name%.so}

exported >exported
[ -s exported ] || fail "no symbols in $lib"
compile runner first_call_run.c
compile libearly.so first_call.c -DFIRST_CALL_EARLY -DFIRST_CALL_WEAK -fPIC -shared

early=("-Wl,--no-as-needed" -L. -learly "-Wl,-rpath,$work" "-Wl,--allow-shlib-undefined")
dynamic=("-L$out" "-l$name" "-Wl,-rpath,$out" "${early[@]}")
preload=(-DFIRST_CALL_WEAK "-Wl,-z,dynamic-undefined-weak" "${early[@]}")
compile dynamic_lazy first_call.c -Wl,-z,lazy "${dynamic[@]}"
compile dynamic_now first_call.c -Wl,-z,now "${dynamic[@]}"
compile preload_lazy first_call.c -Wl,-z,lazy "${preload[@]}"
compile preload_now first_call.c -Wl,-z,now "${preload[@]}"
compile static first_call.c "$out/lib$name.a" -static -DFIRST_CALL_STATIC
compile static_pie first_call.c "$out/lib$name.a" -static-pie -DFIRST_CALL_STATIC

./static list >listed || fail "status $? from the static program"
sort listed >tested
diff exported tested >difference ||
  fail "not the same symbols (< exported without a line in first_call_table.h, > not exported): $(cat difference)"

run() { # LABEL PROGRAM NAME=VALUE... SITUATION...
  local label=$1 program=$2
  shift 2
  ./runner "$label" "$program" MIMALLOC_MAX_WARNINGS=77 NAME=value "$@" <exported || bad=1
}
threads=(thread late last thread_local)
all=(preinit rotation constructor destructor "${threads[@]}")
run "dynamic, lazy" ./dynamic_lazy "${all[@]}"
run "dynamic, BIND_NOW" ./dynamic_lazy LD_BIND_NOW=1 preinit constructor thread
run "dynamic, -z now" ./dynamic_now preinit
run "preload, lazy" ./preload_lazy "LD_PRELOAD=$lib" "${all[@]}"
run "preload, BIND_NOW" ./preload_lazy "LD_PRELOAD=$lib" LD_BIND_NOW=1 preinit constructor thread
run "preload, -z now" ./preload_now "LD_PRELOAD=$lib" preinit
run "static" ./static "${all[@]}"
run "static-pie" ./static_pie preinit
[ "$bad" -eq 0 ] || fail "see above"
