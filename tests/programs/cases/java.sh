# shellcheck shell=bash disable=SC2034,SC2154  # the variables are those of run.sh
# openjdk running a program with threads: its heap is its own; malloc serves the compilers, class data,
# buffers outside of the heap, zlib.
needs="java javac"
only=all
compares="what the program prints; the compiled classes are made once, without us"
prepare() { javac -d "$PWD" "$data/Threads.java"; }
run() {
  java -Xmx256m -XX:CompressedClassSpaceSize=64m -XX:ReservedCodeCacheSize=64m -cp "$shared" Threads \
    "$([ "$level" = quick ] && echo 1 || echo 8)"
}
