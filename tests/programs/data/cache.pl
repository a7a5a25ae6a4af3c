# A client of memcached: cache.pl SOCKET ROUNDS. Everything it prints is the same every time.
use strict;
use warnings;
use IO::Socket::UNIX;
use Digest::MD5;
my ($path, $rounds) = @ARGV;
my @peers = map { IO::Socket::UNIX->new(Peer => $path) or die "connect: $!" } 1 .. 8;

sub command {  # the reply's lines, up to the one that ends it
  my ($peer, $text, $end) = @_;
  print $peer $text;
  $peer->flush;
  my $reply = '';
  while (my $line = <$peer>) {
    $reply .= $line;
    last if $line =~ $end;
  }
  return $reply;
}

my $done = qr/^(STORED|END|DELETED|NOT_FOUND|OK|TOUCHED|\d+|ERROR.*|SERVER_ERROR.*)\r$/;
my $replies = Digest::MD5->new;
print command($peers[0], "version\r\n", qr/^VERSION/) =~ /^VERSION \d/ ? "a version\n" : "none\n";
for my $round (1 .. $rounds) {
  my $n = 0;
  for my $key (1 .. 4000) {  # in flight on all connections at once
    my $peer = $peers[$key % @peers];
    my $value = chr(65 + $key % 26) x (($key * 7919 * $round) % 4000 + 1);
    print $peer "set key:$key 0 0 ", length $value, " noreply\r\n$value\r\n";
  }
  for my $peer (@peers) { $replies->add(command($peer, "set last 0 0 1\r\nx\r\n", $done)) }
  for (my $key = 1; $key <= 4000; $key += 20) {
    my $keys = join ' ', map { "key:$_" } $key .. $key + 19;
    my $reply = command($peers[$key % @peers], "get $keys\r\n", qr/^END\r$/);
    $n += () = $reply =~ /^VALUE/mg;
    $replies->add($reply);
  }
  $replies->add(command($peers[$_ % @peers], "delete key:$_\r\n", $done)) for map { $_ * 3 } 1 .. 1000;
  print "round $round: $n values\n";
}
print command($peers[1], "set count 0 0 1\r\n0\r\n", $done);
command($peers[$_ % @peers], "incr count $_\r\n", $done) for 1 .. 2000;
print command($peers[2], "get count\r\n", qr/^END/);
my $big = 'x' x 1500000;
print command($peers[3], "set big 0 0 1500000\r\n$big\r\n", $done);
print length command($peers[4], "get big\r\n", qr/^END/), "\n";
for my $key (1 .. 800) {  # more than -m allows: something must go
  my $value = 'y' x 100000;
  $replies->add(command($peers[$key % @peers], "set fill:$key 0 0 100000\r\n$value\r\n", $done));
}
my ($evicted) = command($peers[0], "stats\r\n", qr/^END/) =~ /STAT evictions (\d+)/;
print $evicted > 0 ? "evictions\n" : "no evictions\n";
print command($peers[5], "flush_all\r\n", $done);
print command($peers[6], "get key:1 big count\r\n", qr/^END/);
print $replies->hexdigest, "\n";
