# shellcheck shell=bash disable=SC2034,SC2154  # the variables are those of run.sh
# The everyday tools, each a short process: bash, sort, awk, sed, grep, tar, gzip, find.
needs="bash sort awk sed grep tar gzip find"
run() {
  seq 1 100000 | awk '{ print ($1 * 7919) % 100003, "row", $1 }' >rows
  sort -n --parallel=2 -S 4M rows | sha256sum
  sort -k3 -r rows | sed -E 's/([0-9]+) (row)/\2 \1/' | grep -E -c '7.*3'
  mkdir -p many && (cd many && split -l 1000 ../rows part.)
  tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf - many | gzip -n | gzip -d | sha256sum
  find many -name 'part.*' | wc -l
  declare -A seen
  for i in {1..3000}; do seen[$((i * i % 997))]+="$i "; done
  echo "${#seen[@]} ${seen[1]}"
  printf "%s\n" "${!seen[@]}" | sort -n | sha256sum
}
