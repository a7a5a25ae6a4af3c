# shellcheck shell=bash disable=SC2034,SC2154  # the variables are those of run.sh
# pari's gp: numbers on its own stack, clones and tables by malloc.
needs="gp"
only=all
run() {
  gp -q -f <<END
default(realprecision, $([ "$level" = quick ] && echo 500 || echo 20000)); print(lift(Mod(floor(Pi*10^400), 10^9+7)))
print(factor(2^101-1))
v = vector(20000, i, Str(i*i)); print(#concat(v))
m = Map(); for (i = 1, $([ "$level" = quick ] && echo 5000 || echo 60000), mapput(m, i*7919%100003, i^3)); print(#Vec(m))
print(matdet(matrix($([ "$level" = quick ] && echo 40 || echo 110), , i, j, (i*j+i^2)%97+(i==j))))
print(bnfinit(x^3-x-1).clgp[1])
print(ellap(ellinit([0,0,1,-1,0]), 10^12+39))
s = 0; forprime(p = 2, $([ "$level" = quick ] && echo 10^5 || echo 3*10^6), s += p); print(s)
iferr(vector(10^13), e, print("an error"))
END
}
