# shellcheck shell=bash disable=SC2034  # variables for the scripts
# What the scripts share that look at the code of the release build: they run in the project's folder.
#
#   $out $work     the folder of the build, and an empty one, removed at the end
#   $flags         what the shared library was compiled with
#   skip WHY

set -euo pipefail
skip() {
  echo "skipped: $*"
  exit 77
}
[ "$MI_NAME" = mimalloc ] || skip "a promise of the release build only"
out=$(cd "$MI_OUT" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

flags=()
read -ra words <<<"$(sed -n 's/^ *"command": "\(.*-Dmimalloc_EXPORTS .*\)",$/\1/p' "$out/compile_commands.json")"
for word in "${words[@]:1}"; do
  [ "$word" != -o ] || break
  flags+=("$word")
done
[ ${#flags[@]} -gt 0 ] || { echo "how was the library built?" >&2; exit 1; }
