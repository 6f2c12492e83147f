#!/usr/bin/env bash
# On a terminal the progress is a bar that is drawn again and again, in colour unless NO_COLOR is set; a
# terminal that cannot move its cursor gets plain lines.
set -u
source "$(dirname "$0")/lib/expect.sh"
data=$work/data
make_data "$data" 4
escape=$(printf '\033')

# on_terminal WORD...: what the program shows on a terminal of its own.
on_terminal() {
  printf -v command '%q ' "$BLOCKWISE" "$@"
  script -qec "$command" /dev/null </dev/null >"$work/shown" || fail "$*: $(cat "$work/shown")"
  checks=$((checks + 1))
}

export TERM=xterm
unset NO_COLOR
on_terminal data check "$data"
grep -q "$escape\[K$escape\[32m\[####################\]$escape\[0m train 100 %" "$work/shown" ||
  fail "no bar in colour: $(cat -v "$work/shown")"
NO_COLOR=1 on_terminal data check "$data"
grep -q "$escape\[K\[####################\] train 100 %" "$work/shown" || fail "no bar: $(cat -v "$work/shown")"
grep -q "$escape\[32m" "$work/shown" && fail "colour in spite of NO_COLOR"
TERM=dumb on_terminal data check "$data"
grep -q "$escape" "$work/shown" && fail "escapes on a dumb terminal: $(cat -v "$work/shown")"
grep -q '^train 100 %' "$work/shown" || fail "no plain line: $(cat -v "$work/shown")"
on_terminal data check "$data" --quiet
grep -q '%' "$work/shown" && fail "progress in spite of --quiet"
finish
