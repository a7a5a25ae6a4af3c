# shellcheck shell=bash disable=SC2034,SC2154  # variables of program.sh
# ruby: strings, hashes, closures, fibers, big integers.
needs="ruby"
run() { measured ruby --disable-gems "$data/words.rb" 6 | sha256sum; }
