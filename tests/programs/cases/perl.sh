# shellcheck shell=bash disable=SC2034,SC2154  # the variables are those of run.sh
# perl: hashes, regular expressions, closures, big strings, exceptions, interpreter threads.
needs="perl"
run() {
  PERL_HASH_SEED=0 perl "$data/words.pl"
  perl -e 'my $x = "x" x (1 << 28); $x = undef; print "256 MiB came and went\n"'
}
