# Hashes, regular expressions, closures, sorts, big strings, interpreter threads, pack.
use strict;
use warnings;

my $state = 42;
sub dice { $state = ($state * 1103515245 + 12345) & 0x7fffffff; return ($state >> 8) % $_[0] }

my (%count, %first, @lines);
for my $line (1 .. 20000) {
  my @words = map { join '', map { chr(97 + dice(6)) } 1 .. 1 + dice(5) } 1 .. 1 + dice(8);
  push @lines, join ' ', @words;
  for (@words) { $count{$_}++; $first{$_} //= $line; push @{ $first{list}{ length $_ } }, $line }
}
my @top = sort { $count{$b} <=> $count{$a} || $a cmp $b } keys %count;
print scalar(@top), " words; ", join(' ', map { "$_:$count{$_}" } @top[ 0 .. 9 ]), "\n";
print join(' ', map { "$_:" . scalar @{ $first{list}{$_} } } sort keys %{ $first{list} }), "\n";

my $text = join "\n", @lines;
my %shape;
$shape{ length $1 }++ while $text =~ /\b((?:ab|cd|e)+)\b/g;
(my $swapped = $text) =~ s/(\w+) (\w+)/$2 $1/g;
$swapped =~ tr/a-f/b-fa/;
print join(' ', map { "$_:$shape{$_}" } sort { $a <=> $b } keys %shape), ' ', unpack('%32C*', $swapped), "\n";

my $big = '';
$big .= $_ x 50 for 1 .. 30000;
substr($big, 1000, 5000) = 'y' x 100000;
print length($big), ' ', unpack('%32C*', pack('w*', map { dice(1 << 20) } 1 .. 20000)), "\n";

my @ring;
for (1 .. 20000) {
  my $node = { value => $_, pad => 'p' x dice(200) };
  push @ring, sub { $node->{value} + $_[0] };
  splice @ring, dice(scalar @ring), 1 if @ring > 500;
}
my $sum = 0;
$sum += $_->(1) for @ring;
print "$sum\n";

my $died = 0;
for (1 .. 2000) { eval { die { code => $_, text => 'x' x $_ } }; $died += $@->{code} if ref $@ }
print "$died\n";

if (eval { require threads; 1 }) {
  my @threads = map { my $n = $_; threads->create(sub { my %h = map { $_ => 'v' x $_ } 1 .. 300; $n + keys %h }) } 1 .. 4;
  my @results = map { $_->join } @threads;
  print "threads @results\n";
}
warn "a warning at the end\n";
