# shellcheck shell=bash disable=SC2034,SC2154  # variables of program.sh
# ghostscript: pages of text, curves, shadings and patterns to smooth pixels.
needs="gs"
run() {
  measured gs -q -dNOPAUSE -dBATCH -dPAGES=4 -r100 -dTextAlphaBits=4 -dGraphicsAlphaBits=4 \
    -sDEVICE=ppmraw -sOutputFile=page%d.ppm "$data/pages.ps"
  cat page*.ppm | sha256sum
}
