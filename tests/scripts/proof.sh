#!/usr/bin/env bash
# The beginning of every scenario of the explorer (docs/design/005-proof.md); all of it is `make proof`
set -u
[ "$MI_BITS" = 64 ] && [ "$MI_NAME" = mimalloc ] || exit 77 # it is the same in every build
command -v gcc objcopy >/dev/null || exit 77
PROOF_OUT=$MI_OUT/proof exec "$(dirname "$0")/../proof/run.sh" quick
