# For the script tests of the program: runs it and compares exit code and message. Every check is counted,
# a script that made none fails.
: "${BLOCKWISE:?the program to test}"
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

# make_data FOLDER CLASSES: 48 training and 24 test images of 16 x 16 grey pixels in IDX files.
make_data() {
  mkdir -p "$1"
  local split n
  for split in train:48 t10k:24; do
    n=${split#*:}
    {
      printf '\0\0\10\3\0\0\0'"\\$(printf %o "$n")"'\0\0\0\20\0\0\0\20'
      seq 100000 | head -c $((n * 256))
    } >"$1/${split%:*}-images-idx3-ubyte"
    {
      printf '\0\0\10\1\0\0\0'"\\$(printf %o "$n")"
      for ((i = 0; i < n; i++)); do printf "\\$(printf %o $((i % $2)))"; done
    } >"$1/${split%:*}-labels-idx1-ubyte"
  done
}

# The smallest network there is: three steps an epoch. One thread, because two that wait for each other are slow
# beside other tests.
tiny=(--set model.arch=resnet18 --set model.width=8 --set model.stem=cifar --set data.image_size=16
  --set 'projector.widths=[16,16]' --set train.batch=16 --set train.epochs=1 --set threads=1)

# says LINE: the standard output of the last expect has this line, an extended regular expression.
says() {
  checks=$((checks + 1))
  printf '%s\n' "$stdout" | grep -qE -- "$1" || fail "'$1' is not in: $stdout"
}
