# shellcheck shell=bash disable=SC2034,SC2154  # the variables are those of run.sh
# php as it is installed. It loads extensions by dlopen(RTLD_LAZY | RTLD_GLOBAL | RTLD_DEEPBIND): such a
# library looks for symbols in itself and its own dependencies first, so it finds libc's malloc and free
# and no preloaded ones. What php has allocated with ours, pdo.so, phar.so and tokenizer.so give to libc's.
needs="php"
only=all
binaries=none
known="its extensions are loaded with RTLD_DEEPBIND and free our blocks with libc's free, which no preloaded
  allocator can serve: a segmentation fault in pdo.so, or \`free(): invalid pointer\` (tokenizer.so alone)"
run() {
  php -n -d extension=tokenizer -r 'echo count(token_get_all("<?php 1 + 1;")), "\n";' || echo "status $?"
  php "$data/arrays.php" 1 || echo "status $?"
}
