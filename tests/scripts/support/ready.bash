# shellcheck shell=bash disable=SC2154
# Programs that are written before the functions they use: they wait. Source common.bash first.

# All names of ours that the headers give a program: functions, types, macros.
known_names() {
  local header
  for header in "$root"/include/mimalloc{,-stats,-pmr}.h; do
    if [ -f "$header" ]; then echo "#include \"$header\""; fi
  done | "${CXX:-g++}" -std=c++17 -E -dD -I"$root/include" -x c++ - | grep -oE '\bmi_\w+' | sort -u
}

# is_ready SOURCE: does everything exist that it uses? Says what it waits for if not.
is_ready() {
  [ -f known ] || known_names >known
  local needs
  needs=$(grep -v '^ *//' "$1" | grep -oE '\bmi_\w+' | sort -u | comm -23 - known | tr '\n' ' ')
  [ -z "$needs" ] || echo "wait ${1##*/}: needs $needs"
  [ -z "$needs" ]
}
