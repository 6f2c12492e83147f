# For the script tests of the program: runs it and compares exit code and message. Every check is counted,
# a script that made none fails.
checks=0
failures=0
work=$(mktemp -d "${TMPDIR:-/tmp}/blockwise-cli-XXXXXX")
trap 'rm -rf "$work"' EXIT

fail() {
  echo "FAIL: $*" >&2
  failures=$((failures + 1))
}

# expect CODE PATTERN WORD...: runs the program; CODE is its exit status and PATTERN, an extended regular
# expression, is found on stderr. A failure prints nothing on stdout and one line that names the program.
# Leaves $stdout and $stderr.
expect() {
  local code=$1 pattern=$2 got
  shift 2
  checks=$((checks + 1))
  stdout=$("$BLOCKWISE" "$@" 2>"$work/stderr")
  got=$?
  stderr=$(cat "$work/stderr")
  [ "$got" = "$code" ] || fail "blockwise $*: exit status $got instead of $code: $stderr"
  if ! printf '%s\n' "$stderr" | grep -qE -- "$pattern"; then
    fail "blockwise $*: '$pattern' is not in: $stderr"
  fi
  if [ "$code" != 0 ]; then
    [ -z "$stdout" ] || fail "blockwise $*: failed and printed on stdout: $stdout"
    printf '%s\n' "$stderr" | grep -q '^blockwise: ' || fail "blockwise $*: no message of the program: $stderr"
  fi
}

finish() {
  [ "$checks" -gt 0 ] || fail "nothing was checked"
  [ "$failures" = 0 ] || exit 1
  echo "$checks checks passed"
}
