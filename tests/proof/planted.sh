#!/usr/bin/env bash
# Plant bugs in a copy of the sources, one at a time: the explorer has to notice each. Prints a table.
# usage: tests/proof/planted.sh
set -u
cd "$(dirname "$0")" || exit 1
out=${PROOF_OUT:-../../out/proof}
mkdir -p "$out"
out=$(cd "$out" && pwd)
missed=0

# The scenario and the check, as two cells of the table.
noticed() { sed -nE '/^VIOLATION/{s/\|/\\|/g;s/^VIOLATION in "([^"]*)": ([^:]*\/)?([^:]*):([0-9]+): (.*)$/\1 | \3: `\5`/p;q}' "$1"; }

# plant NAME FILE SED-SCRIPT: the script must change the file.
plant() {
  local name=$1 file=$2 script=$3 line
  rm -rf "$out/planted" && mkdir "$out/planted" && cp -r ../../src "$out/planted/src"
  sed -i -E "$script" "$out/planted/src/$file"
  if cmp -s "../../src/$file" "$out/planted/src/$file"; then
    line="the bug could not be planted"
  elif ! SRC="$out/planted/src" PROOF_OUT="$out/planted" ./build.sh explorer >"$out/planted/log" 2>&1; then
    line="it does not compile"
  else
    timeout 200 "$out/planted/explorer" >"$out/planted/log" 2>&1
    line=$(noticed "$out/planted/log")
  fi
  case $line in *" | "*) ;; *) missed=$((missed + 1)) line="NOT NOTICED: $line |" ;; esac
  echo "| $name | $line |"
}

echo "| planted | noticed in | by |"
echo "|---|---|---|"
plant "drain: unqueue, then read the link" heap/theap.c \
  '/slice = atomic_load_explicit\(&mii_slice_cold\(slice\)->stack_link/{h;d};/mii_page_unqueue\(page\);/{G}'
plant "trim: publish, then read the link" heap/heap.c \
  '/^static void trim_stack/,/^}/{/slice = atomic_load_explicit\(page_link/d;s/if \(!unmake_if_empty\(page\)\) look_again\(page\);/const slice_t at = slice; if (!unmake_if_empty(page)) look_again(page); slice = atomic_load_explicit(page_link(at), memory_order_relaxed);/}'
plant "publish twice" heap/outbox.c 's/(mii_heap_publish\(page\);)/\1 \1/'
plant "wake the owner twice" heap/outbox.c 's/(mii_theap_page_queued\(page\);)/\1 \1/'
plant "the wake is forgotten" heap/outbox.c 's/mii_theap_page_queued\(page\);//'
plant "a queued page signals again" page/page_remote.c '/\(word & QUEUED\) != 0\) return false;/d'
plant "no signal at the mark, only above" page/page_remote.c 's/word_count\(word\) >= mark/word_count(word) > mark/'
plant "disown a queued page" page/page_remote.c 's/(fetch_or_explicit\(remote, QUEUED, .*\)) & QUEUED\) != 0\) return false;/\1 \& 0) != 0) return false;/'
plant "disown without queueing first" page/page_remote.c \
  's/if \(\(atomic_fetch_or_explicit\(remote, QUEUED, memory_order_relaxed\) & QUEUED\) != 0\) return false;/if (mii_page_is_queued(page)) return false;/'
plant "disown: a push between is overwritten" page/page_remote.c '/word_count\(seen\) == 0$/{N;s/word_count\(seen\) == 0\n +&& //}'
plant "disown never publishes" page/page_remote.c 's/\*publish = room_of.*/*publish = false;/'
plant "claim: unqueue before the owner moves in" page/page_remote.c \
  '/^void mii_page_claim/,/^}/{/atomic_store_explicit\(&page->owner/{h;d};/mii_page_unqueue/{G}}'
plant "claim: a page stays queued" page/page_remote.c 's/~\(LIST_MASK \| QUEUED\), memory_order_acq_rel/~LIST_MASK, memory_order_acq_rel/'
plant "end a queued page" heap/theap.c 's/out == 0 && !mii_page_is_queued\(page\) && !is_to_keep/out == 0 \&\& !is_to_keep/'
plant "trim ends pages that are not empty" page/page_remote.c 's/return word_count\(word\) == mii_page_hot\(page\)->out;/return word_count(word) > 0;/'
plant "push: linked to the list of the first look" page/page_remote.c \
  '/tail->next = word_count\(seen\)/d;s/^(  uint64_t want;)$/\1 tail->next = word_count(seen) > 0 ? word_head(page, seen) : NULL;/'
plant "push: the tail of the new list" page/page_remote.c 's/word_count\(seen\) > 0 \? seen >> TAIL_SHIFT & OFFSET_MASK : offset_of\(page, tail\)/offset_of(page, tail)/'
plant "push: the count of the list is forgotten" page/page_remote.c 's/\(word_count\(seen\) \+ count\)/count/'
plant "take: blocks still count as out" page/page_remote.c '/->out = \(uint16_t\)\(.*->out - count\);/d'
plant "epoch: late batches are taken" page/page_remote.c '/seen >> EPOCH_SHIFT != epoch/d'
plant "stack: no tag" base/handle_stack.h 's/\(\(\(seen >> 32\) \+ 1\) << 32\) \| handle/handle/'
plant "stack: a pop loses the rest" base/handle_stack.h \
  's/const uint32_t below = .*;/const uint32_t below = 0;/'
plant "a thread ends with blocks in its outbox" heap/outbox.h 's/if \(.*parcels != 0\)\) (mii_outbox_send_all\(theap\);)/if (false) \1/'
plant "a theap is pooled twice" heap/thread.c 's/^(    pool_push\(theap\);)$/\1 \1/'
plant "dissolve drops the list" heap/theap.c '/bool mii_theap_dissolve_some\(/,/^}/s/blocks -= return_blocks\(theap, c, blocks\);/theap->list[c] = NULL;/'

plant "fork: queued pages of our own stay queued" heap/fork.c 's/mii_page_forget_queued\(page\);//'
plant "fork: claimable pages stay linked" heap/heap.c 's/mii_stack_clear\(&heap->claimable\[c\]\);//'
plant "fork: the pool stays linked" heap/thread.c '/^bool mii_thread_forget_others/,/^}/{/mii_stack_clear/d}'
plant "fork: frozen pages are believed" page/page_thaw.c 's/if \(mii_page_hot\(page\)->state != PAGE_FROZEN\) return;/return;/'
plant "fork: a page of others keeps its owner" page/page_remote.c '/^bool mii_page_freeze/,/^}/{/atomic_store_explicit\(&page->owner/d}'

# Not a bug of the sources, but one that the end of a heap would have.
"$out/explorer" "hole: destroy under a push" >"$out/log" && missed=$((missed + 1))
echo "| a heap is destroyed while a batch is sent | $(noticed "$out/log") |"
exit $((missed > 0))
