# shellcheck shell=bash disable=SC2034,SC2154  # the variables are those of run.sh
# ruby: strings, hashes, closures, fibers, threads, big integers, its collector and its compaction.
needs="ruby"
only=all
run() { ruby --disable-gems "$data/words.rb" "$([ "$level" = quick ] && echo 1 || echo 6)"; }
