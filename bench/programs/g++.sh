# shellcheck shell=bash disable=SC2034,SC2154  # variables of program.sh
# g++: templates of the library, containers of many kinds.
needs="g++"
run() {
  printf '#include <%s>\n' regex map unordered_map functional iostream algorithm >unit.cpp
  for i in 1 2 3 4 5 6; do
    echo "struct s$i { int v; bool operator<(const s$i& o) const { return v < o.v; } };"
    echo "int f$i(const std::string& s) { std::map<s$i, std::vector<std::string>> m; m[s$i{$i}].push_back(s);"
    echo "  std::sort(m[s$i{$i}].begin(), m[s$i{$i}].end()); std::regex r(s); return std::regex_match(s, r) + (int)m.size(); }"
  done >>unit.cpp
  measured "$(g++ -print-prog-name=cc1plus)" -quiet -std=c++17 -O1 -D_GNU_SOURCE -imultiarch x86_64-linux-gnu unit.cpp -o unit.s
  sha256sum <unit.s
}
