# shellcheck shell=bash disable=SC2034,SC2154  # the variables are those of run.sh
# ghostscript: pages of text, curves, shadings and patterns to pixels, to PDF, and that PDF to pixels.
needs="gs"
only=all
run() {
  local resolution=60 pages=2
  [ "$level" = quick ] || resolution=100 pages=3
  local options=(-q -dNOPAUSE -dBATCH -dPAGES="$pages" -r"$resolution")
  gs "${options[@]}" -sDEVICE=ppmraw -sOutputFile=page%d.ppm "$data/pages.ps"
  gs "${options[@]}" -sDEVICE=ppmraw -dTextAlphaBits=4 -dGraphicsAlphaBits=4 -sOutputFile=smooth%d.ppm "$data/pages.ps"
  gs "${options[@]}" -sDEVICE=pdfwrite -sOutputFile=pages.pdf "$data/pages.ps"
  gs "${options[@]}" -sDEVICE=pgmraw -dNumRenderingThreads=2 -sOutputFile=again%d.pgm pages.pdf
  sha256sum ./*.p?m
  gs -q -dNOPAUSE -dBATCH -sDEVICE=nullpage -c 'nothing' 2>&1 | head -n 2 || true
}
