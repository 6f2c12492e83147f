#!/usr/bin/env bash
# `selftest`: of this machine, and what it says where ranks are missing. tests/train/ranks_selftest.c has the
# rest of --ranks.
set -u
source "$(dirname "$0")/lib/expect.sh"

expect 0 "" selftest --quiet
says '^matrix product, f32 +[0-9.e-]+ +1e-05  ok$'
says '^this machine computes right$'
expect 0 "" selftest --json --quiet
says '"passed": true'
expect 2 "^blockwise: selftest: --ranks compares several ranks with one: start it as 'mpirun -np 2 blockwise selftest --ranks'" selftest --ranks
finish
