# shellcheck shell=bash disable=SC2034,SC2154  # the variables are those of run.sh
# node: its heap is V8's own; malloc serves buffers, compression, the parser, worker threads.
needs="node"
only=all
limited=no  # V8 reserves some 2 GiB for itself and four workers, and we half of what the limit allows
run() { node "$data/buffers.js" "$([ "$level" = quick ] && echo 1 || echo 5)"; }
