# shellcheck shell=bash disable=SC2034,SC2154  # the variables are those of run.sh
# imagemagick (the real one, by its own name): images made from seeds, filtered with threads, compressed.
needs="convert-im6.q16 compare-im6.q16"
only=all
binaries="convert-im6.q16"
run() {
  local size=200x150 convert=convert-im6.q16
  [ "$level" = quick ] || size=700x500
  $convert -seed 3 -size "$size" plasma:red-blue -depth 8 base.ppm
  $convert base.ppm \( +clone -rotate 30 -resize 150% \) -gravity center -compose screen -composite -depth 8 mixed.ppm
  $convert base.ppm -gaussian-blur 0x3 -unsharp 0x2 -modulate 110,70 -depth 8 blurred.ppm
  $convert base.ppm -colors 32 -depth 8 few.png
  $convert few.png -quality 80 few.jpg
  $convert few.jpg -distort Arc 60 -depth 8 arc.ppm
  $convert base.ppm -swirl 90 -wave 10x50 -charcoal 2 -depth 8 drawn.pgm
  $convert base.ppm blurred.ppm drawn.pgm -append -resize 50% -depth 8 all.ppm
  sha256sum ./*.p?m
  compare-im6.q16 -metric AE base.ppm blurred.ppm null: 2>&1 || echo " status $?"
  $convert nothing.png out.png 2>&1 | cut -d '@' -f 1 || true
}
