# One word per habit. `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := all
.PHONY: all release debug secure run test check check-programs sanitize m32 proof fuzz soak coverage docs bench bench-quick bench-compare costs format lint configs clean install help
export CMAKE_BUILD_PARALLEL_LEVEL ?= $(shell nproc 2>/dev/null || echo 2)
MAKEFLAGS += --no-print-directory
PREFIX ?= /usr/local
export PROG

setup = @tools/setup.sh

all: release            ## the same as release

release debug secure:   ## build the library and its tests into out/<word>
	$(setup) build
	cmake --preset $@
	cmake --build --preset $@

run:                    ## run a real program on the allocator; PROG="..." for your own
	$(setup) build run
	@cmake --preset release >/dev/null
	@cmake --build --preset release --target mimalloc
	@tools/run.sh $${PROG:+"$$PROG"}

test:                   ## what to run before a commit: release + debug, lint, tests, programs
	$(setup) build test programs
	@tools/test.sh test

check:                  ## everything: test, all presets, clang, every switch, all programs
	$(setup) build test programs-all guest m32 proof
	@tools/test.sh check

check-programs:         ## every program with and without us, in turns; writes docs/programs.md (25 minutes)
	$(setup) build programs-all
	@cmake --preset release >/dev/null
	@cmake --build --preset release --target mimalloc
	@tests/programs/table.sh

sanitize:               ## the tests under address, undefined-behaviour and thread sanitizer
	$(setup) build test
	@tools/test.sh sanitize

m32:                    ## the same tests with 32 bits (gcc -m32), release and debug
	$(setup) build test m32
	@tools/test.sh m32

proof:                  ## every interleaving of the protocol between threads, weak orders, mutation (does not end in time now: docs/design/005)
	$(setup) proof
	@tools/test.sh proof

fuzz:                   ## random sequences of calls against a model, for a minute
	$(setup) build test
	@tests/fuzz/run.sh 60

soak:                   ## the stress programs and the promises on threads in their long forms, 10 minutes
	$(setup) build test
	@for preset in release debug; do cmake --preset $$preset >/dev/null && cmake --build --preset $$preset || exit 1; done
	@tools/soak.sh 600

coverage:               ## which lines of src/ the tests execute; writes docs/coverage.md
	$(setup) build test coverage
	@tools/coverage.sh

docs:                   ## the reference of the API, by doxygen: docs/api/html/index.html
	$(setup) docs
	doxygen docs/api/Doxyfile

lint:                   ## format, layers, names in comments, exports, clang-tidy, shellcheck
	$(setup) build test
	@tools/test.sh lint

configs:                ## compile with each build switch flipped, gcc and clang
	$(setup) build test
	@tools/test.sh configs

bench: release          ## time, memory and slowest calls beside other allocators; writes docs/benchmarks.md (hours)
	$(setup) bench
	bench/all.sh

bench-quick: release    ## a part of that in five minutes
	$(setup) bench
	python3 bench/race.py --quick --out out/bench/quick

bench-compare: release  ## what is here against another commit: BASE=<git rev>; ROWS="--only replace"
	$(setup) bench
	bench/compare.sh $(BASE) $(ROWS)

costs: release          ## instructions and peak RSS must not grow: tools/costs.txt
	$(setup) bench
	tools/check_costs.py

format:                 ## format the sources in place
	$(setup) test
	@tools/format.sh -i

install: release        ## install the release build below PREFIX (/usr/local)
	cmake --install out/release --prefix $(PREFIX)

clean:                  ## remove out/
	rm -rf out

help:                   ## this list
	@sed -n 's/^\([a-z][a-z -]*\):.*## /\1\t/p' Makefile | expand -t 24
