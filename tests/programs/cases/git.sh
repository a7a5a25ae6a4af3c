# shellcheck shell=bash disable=SC2034,SC2154  # the variables are those of run.sh
# git: a repository with branches, merges, packs and history; dates and settings are fixed.
needs="git"
settings() {
  export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=$HOME/gitconfig
  export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=C GIT_COMMITTER_EMAIL=c@example.org
  git config --global init.defaultBranch main
  git config --global gc.autoDetach false
  git config --global core.pager cat
}
commit() {
  export GIT_AUTHOR_DATE="$((1700000000 + $1)) +0000" GIT_COMMITTER_DATE="$((1700000000 + $1)) +0000"
  git add -A
  git commit -q -m "change $1"
}
change() {
  awk -v n="$1" 'BEGIN { for (i = 0; i < 400; i++) print (i * 7919 + int(i / 40) * n) % 1000, "line", i, (i % n ? "" : n) }' \
    >"file$(($1 % 7)).txt"
  mkdir -p "dir$(($1 % 5))"
  seq "$1" "$(($1 * 20))" >"dir$(($1 % 5))/numbers$1"
}
run() {
  local commits=12
  [ "$level" = quick ] || commits=80
  settings
  git init -q repo
  cd repo || return
  for ((i = 1; i <= commits; i++)); do
    change "$i"
    commit "$i"
    [ "$i" -ne 5 ] || git branch side
  done
  git checkout -q side
  echo "only here" >aside.txt
  commit 900
  git checkout -q main
  git merge -q --no-edit -m "merge side" side
  git tag -a -m "a tag" v1
  git log --graph --stat --format='%H %an %s' | sha256sum
  git log --oneline -n 5
  git diff HEAD~8 HEAD~3 | sha256sum
  git blame file1.txt | sha256sum
  git grep -c 'line 1[0-9]' | tail -n 3
  git repack -q -a -d -f --depth=20 --window=30 --threads=2
  git gc -q --prune=now
  git fsck --full --strict 2>&1
  git clone -q --no-local . ../clone
  git -C ../clone rev-list --objects --all | sort | sha256sum
  git archive HEAD | sha256sum
  git format-patch -q --stdout HEAD~4 | sha256sum
  git show nothing || echo "status $?"
}
