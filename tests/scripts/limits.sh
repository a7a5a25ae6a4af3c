#!/usr/bin/env bash
# Programs under RLIMIT_AS and RLIMIT_DATA: what runs without us runs with us, and says the same. Out
# of memory is NULL and ENOMEM, and after freeing it goes on. Limits below are in MiB, beginning with
# those in which glibc's malloc just runs. We run from 14 (RLIMIT_AS) and 8 (RLIMIT_DATA) on, with less
# malloc says no.
. "$(dirname "$0")/support/common.bash"
compile hello hello.c
compile threads "$root/tests/programs/threads.cpp"
compile limits limits.c

limited() { # -v|-d MIB COMMAND...
  (ulimit "$1" "$(($2 * 1024))" && ulimit -c 0 && shift 2 && exec timeout 60 "$@") 2>err
}

for limit in "-v 3" "-v 14" "-v 64" "-v 200" "-v 256" "-v 300" "-v 400" "-v 600" "-v 1000" "-v 2000" "-v 4096" \
  "-d 1" "-d 2" "-d 8" "-d 32" "-d 100" "-d 400" "-d 2000"; do
  read -r kind mib <<<"$limit"
  for program in hello threads; do
    plain=$(limited "$kind" "$mib" "./$program")
    expected=$?
    ours=$(limited "$kind" "$mib" env LD_PRELOAD="$lib" "./$program")
    status=$?
    if [ $expected -ne 0 ]; then
      echo "info $program at ulimit $limit: status $expected without us, $status with us"
      # Without memory a C++ program ends by std::terminate (134) or an error; nothing else.
      [ $status -lt 128 ] || [ $status -eq 134 ] || complain err "$program at ulimit $limit: status $status"
    elif [ $status -ne 0 ] || [ "$plain" != "$ours" ]; then
      complain err "$program at ulimit $limit: status $status"
    else
      echo "ok   $program at ulimit $limit"
    fi
  done
done

can_take() { # SIZE LEAST, at the ulimit "$kind $mib"
  limited "$kind" "$mib" env LD_PRELOAD="$lib" "$work/limits" "$1" "$2" ||
    complain err "at ulimit $kind $mib, blocks of $1: status $?"
}

# A quarter of the limit, and at least 16 MiB, must be to be had.
for limit in "-v 200" "-v 400" "-v 1000" "-d 100" "-d 400"; do
  read -r kind mib <<<"$limit"
  least=$((mib / 4 > 16 ? mib / 4 : 16))
  for size in 100 3000 40000 1000000 20000000; do
    can_take "$size" "$least"
  done
done
# With less there is less; with almost nothing, nothing: LIMIT LEAST.
for limit in "-v 3 0" "-v 10 0" "-v 14 2" "-v 32 10" "-v 64 24" \
  "-d 1 0" "-d 5 0" "-d 8 2" "-d 16 10"; do
  read -r kind mib least <<<"$limit"
  for size in 100 40000 300000; do
    can_take "$size" "$least"
  done
done
[ "$bad" -eq 0 ] || fail "$bad cases"
