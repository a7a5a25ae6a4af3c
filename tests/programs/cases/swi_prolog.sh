# shellcheck shell=bash disable=SC2034,SC2154  # the variables are those of run.sh
# swi-prolog: clauses, atoms and their collector, findall, tables, threads with queues.
needs="swipl"
only=all
run() { swipl --stack-limit=100m -q -f none -g "main($([ "$level" = quick ] && echo 1 || echo 5))" -t halt "$data/facts.pl"; }
