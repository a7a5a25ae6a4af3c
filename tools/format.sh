#!/usr/bin/env bash
# Run clang-format on all C files: tools/format.sh -i (in place) or --dry-run --Werror (check).
# Version 14 it is, so that everybody's formatter agrees.
set -euo pipefail
cd "$(dirname "$0")/.."
find src include tests bench examples -path tests/programs/data -prune -o -name '*.[ch]' -print0 | xargs -0 -r clang-format-14 "$@"
