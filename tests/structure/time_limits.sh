#!/usr/bin/env bash
# Ranks that wait for each other for ever must fail their test: every test has a time limit of ten minutes, one
# on several ranks of five.
set -euo pipefail
build=$(dirname "$BLOCKWISE")

# limits FILE: prints every test of CTest's list without such a limit; status 1 if there is any, or no test.
limits() {
    awk '
    /^add_test\(/ {
        split($0, part, /[( ]/)
        tests[part[2]] = 1
    }
    /^set_tests_properties\(/ {
        split($0, part, /[( ]/)
        most = /LABELS "[^"]*mpi/ ? 300 : 600
        if (match($0, / TIMEOUT "?[0-9.]+/)) {
            value = substr($0, RSTART + 9, RLENGTH - 9)
            gsub(/"/, "", value)
            if (value + 0 > 0 && value + 0 <= most) limited[part[2]] = 1
        }
    }
    END {
        for (t in tests) {
            n++
            if (t in limited) continue
            print t ": no time limit, or a longer one than a test may have"
            bad++
        }
        print n + 0 " tests, " bad + 0 " without a limit"
        exit (bad > 0 || n == 0)
    }' "$1"
}

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cat >"$tmp/bad" <<'END_OF_LIST'
add_test([=[a]=] "/a")
set_tests_properties([=[a]=] PROPERTIES  LABELS "dist;fast;mpi" TIMEOUT "301" _BACKTRACE_TRIPLES "x")
END_OF_LIST
sed 's/301/300/' "$tmp/bad" >"$tmp/good"
sed 's/TIMEOUT "301"//' "$tmp/bad" >"$tmp/none"
limits "$tmp/good" >/dev/null || { echo "self-test: a test with a limit was refused" >&2; exit 1; }
for list in "$tmp/bad" "$tmp/none" /dev/null; do
    if limits "$list" >/dev/null; then
        echo "self-test: a list without limits was accepted ($list)" >&2
        exit 1
    fi
done
limits "$build/tests/CTestTestfile.cmake"
