# shellcheck shell=bash disable=SC2034,SC2154  # the variables are those of run.sh
# php, where it can work: without extensions, and with all of them when dlopen drops RTLD_DEEPBIND
# (see php_extensions.sh and shallow.c).
needs="php gcc"
only=all
binaries=none  # with its extensions php cannot even say its version
compares="without extensions (php -n), then with all, loaded by a dlopen that drops RTLD_DEEPBIND"
prepare() { gcc -O2 -shared -fPIC "$tests/shallow.c" -o shallow.so; }
run() {
  local rounds=1
  [ "$level" = quick ] || rounds=6
  php -n "$data/arrays.php" "$rounds"
  export LD_PRELOAD=${LD_PRELOAD:+$LD_PRELOAD:}$shared/shallow.so
  php "$data/arrays.php" "$rounds"
  php -d opcache.enable_cli=1 -d opcache.jit=tracing -d opcache.jit_buffer_size=16M "$data/arrays.php" "$rounds"
  php -m
}
