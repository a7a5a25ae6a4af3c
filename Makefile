# One word per habit. `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := all
.PHONY: all release debug secure run test check check-programs sanitize bench format lint configs clean install help
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
	$(setup) build test programs
	@tools/test.sh check

check-programs:         ## every program with and without us, in turns; writes docs/programs.md (25 minutes)
	$(setup) build programs-all
	@cmake --preset release >/dev/null
	@cmake --build --preset release --target mimalloc
	@tests/programs/table.sh

sanitize:               ## the tests under address, undefined-behaviour and thread sanitizer
	$(setup) build test
	@tools/test.sh sanitize

lint:                   ## format, layers, names in comments, exports, clang-tidy, shellcheck
	$(setup) build test
	@tools/test.sh lint

configs:                ## compile with each build switch flipped, gcc and clang
	$(setup) build test
	@tools/test.sh configs

bench: release          ## time and peak RSS beside other allocators
	$(setup) bench
	python3 bench/race.py

format:                 ## format the sources in place
	$(setup) test
	@tools/format.sh -i

install: release        ## install the release build below PREFIX (/usr/local)
	cmake --install out/release --prefix $(PREFIX)

clean:                  ## remove out/
	rm -rf out

help:                   ## this list
	@sed -n 's/^\([a-z][a-z -]*\):.*## /\1\t/p' Makefile | expand -t 24
