# shellcheck shell=bash disable=SC2034,SC2154  # variables of program.sh
# python with each object from malloc.
. "$here/programs/python.sh"
orders=90000
export PYTHONMALLOC=malloc
