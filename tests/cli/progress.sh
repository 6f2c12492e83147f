#!/usr/bin/env bash
# On a terminal the progress is a bar that is drawn again and again, in colour unless NO_COLOR is set, and what is
# drawn has the width of the terminal; a terminal that cannot move its cursor gets plain lines.
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

# drawn COLUMNS: lines and redrawn lines of $work/shown without escapes, one a line; the longest has fewer than
# COLUMNS characters, so that nothing wraps.
drawn() {
  tr '\r' '\n' <"$work/shown" | sed "s/$escape\[[0-9]*[mK]//g" >"$work/drawn"
  checks=$((checks + 1))
  longest=$(wc -L <"$work/drawn")
  [ "$longest" -gt 20 ] && [ "$longest" -lt "$1" ] || fail "$longest characters on a terminal of $1: $(cat "$work/drawn")"
}

# has PATTERN: a line that was drawn has it.
has() {
  checks=$((checks + 1))
  grep -qE -- "$1" "$work/drawn" || fail "no line '$1': $(cat "$work/drawn")"
}

# columns N WORD...: on a terminal so wide.
columns() {
  local wide=$1
  shift
  printf -v command '%q ' "$BLOCKWISE" "$@"
  script -qec "stty cols $wide rows 24; $command" /dev/null </dev/null >"$work/shown" || fail "$*: $(cat "$work/shown")"
  drawn "$wide"
}

cd "$work" || exit 1
train=(pretrain --data data "${tiny[@]}" --set train.epochs=8)
losses='loss( [0-9]+\.?[0-9]*){4}'
columns 140 "${train[@]}" --out wide
has "^\[#+-*\] +[0-9]+ %, [0-9:]+ left, $losses, [0-9.]+ samples/s, [0-9]+ MB, step [0-9]+/24, epoch [0-9]$"
has "^\[#{20}\] 100 %, took [0-9:]+, $losses, "
has 'embedding std +effective rank +dead channels %  verdict$'
columns 80 "${train[@]}" --out usual
has "^\[#+-*\] +[0-9]+ %, [0-9:]+ left, $losses, [0-9.]+ samples/s, [0-9]+ MB$"
has '^block +loss +effective rank  verdict$'
has '^  [a-z]' # the rest of a line of the log
columns 60 "${train[@]}" --out small
has "^\[#+-*\] +[0-9]+ %, [0-9:]+ left, $losses"
columns 44 "${train[@]}" --out least
has '^\[#+-*\] +[0-9]+ %, [0-9:]+ left'
has '^block +loss  verdict$'
columns 40 "${train[@]}" --out narrow
has '^    4 +[0-9.]+  (learnt|weak|did not learn)$'

# Ctrl-C is answered at once, before the step is done.
cat >"$work/stop" <<'STOP'
"$@" &
for ((i = 0; i < 600; i++)); do
  [ -s stopped/metrics.jsonl ] && break
  sleep 0.05
done
kill -INT $!
wait $!
STOP
printf -v command '%q ' bash "$work/stop" "$BLOCKWISE" pretrain --data data "${tiny[@]}" --set train.epochs=100000 --out stopped
script -qec "$command" /dev/null </dev/null >"$work/shown"
code=$?
[ $code = 130 ] || fail "exit status $code"
drawn 80
has '^ending as soon as possible; Ctrl-C once more ends at once$'
has '^blockwise: pretrain: stopped after step [0-9]+ of 300000; '
finish
