# shellcheck shell=bash disable=SC2034,SC2154  # variables of program.sh
# node: buffers, compression, the parser, worker threads.
needs="node"
run() { measured node "$data/buffers.js" 2 | sha256sum; }
