# shellcheck shell=bash disable=SC2034,SC2154  # the variables are those of run.sh
# gap: groups, big integers, permutations; its objects live in its own heap, big integers in gmp.
gap=$(compgen -G '/usr/lib/*/gap/gap' | head -n 1) || true
needs="gap ${gap:-/usr/lib/gap/gap}"
only=all
binaries="${gap:-gap}"
run() {
  gap -q -A -T <<END
Order(Group((1,2,3,4,5,6,7,8,9,10,11),(3,7,11,8)(4,10,5,6)));
Length(ConjugacyClasses(SymmetricGroup($([ "$level" = quick ] && echo 8 || echo 14))));
Factorial(200) mod 1000003;
Sum(List([1..3000], i -> 7^i mod 1009));
Length(String(Fibonacci($([ "$level" = quick ] && echo 20000 || echo 200000))));
Size(Filtered([1..200000], IsPrimeInt));
Collected(Factors(2^67-1));
END
}
