#!/usr/bin/env bash
# free and a successful malloc leave errno alone; what fails gives NULL and ENOMEM or EINVAL, and a
# block whose realloc fails stays as it was.
. "$(dirname "$0")/support/common.bash"
compile errno_kept errno_kept.c -D_GNU_SOURCE
with ./errno_kept >said || fail "status $?"
[ "$(cat said)" = "errno as it should be" ] || fail "it says something else: $(cat said)"
cat said
