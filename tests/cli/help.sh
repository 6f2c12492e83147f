#!/usr/bin/env bash
# The help of every verb names its options with their defaults; wrong words are answered with near ones.
set -u
source "$(dirname "$0")/lib/expect.sh"

# Option names each verb must show.
declare -A options=(
  [pretrain]="data train out recipe config set resume init format json quiet verbose"
  [probe]="data train test block concat feature protocol epochs images seed save threads format json quiet"
  [knn]="data train test raw k temperature block feature images seed threads format json quiet"
  [finetune]="data train test label-fraction label-list write-list feature epochs batch lr-trunk lr-classifier weight-decay test-images seed threads format json quiet"
  [robustness]="data train test block feature corrupted corruptions baseline epochs images test-images seed threads format json quiet"
  [embed]="data out labels names block feature split threads format quiet"
  [export]="format out block feature probe"
  [inspect]="json"
  [list]=""
  ["data check"]="format json quiet"
  ["bench step"]="data format recipe config set steps warmup profile json quiet verbose"
  ["bench loader"]="data format recipe config set steps warmup json quiet"
  [plan]="recipe config set nodes price gflops data images json quiet"
  ["bench matmul"]="set steps json quiet"
  [selftest]="ranks json quiet"
  ["bench comm"]="recipe config set step steps warmup json quiet"
)

overview=$("$BLOCKWISE" --help) || fail "--help exits with $?"
for verb in "${!options[@]}"; do
  expect 0 "" $verb --help
  # One line per option: a line that begins with an option starts it.
  printf '%s\n' "$stdout" | awk '/^ +(-., )?--/ { if (line) print line; line = "" } { line = line " " $0 } END { print line }' |
    tr -s ' ' >"$work/options"
  for option in ${options[$verb]}; do
    checks=$((checks + 1))
    grep -E -- "^ --$option(=| |\$)" "$work/options" | grep -qE 'default: |\(required|The same as' ||
      fail "$verb --help does not show --$option with its default"
  done
  printf '%s' "$overview" | grep -q "^  $verb " || fail "--help does not name the verb $verb"
done

expect 0 "" --version
printf '%s' "$stdout" | grep -qE '^blockwise [0-9]+\.[0-9]+\.[0-9]+ \(' || fail "--version says: $stdout"
expect 0 "" bench --help
for what in step loader matmul comm; do
  printf '%s' "$stdout" | grep -q "Usage: blockwise bench $what" || fail "bench --help does not show $what"
done
expect 2 "^blockwise: needs a verb"
for line in '^  pretrain +' '^First steps' '^  blockwise pretrain --data PATH --out RUN'; do
  printf '%s\n' "$stderr" | grep -qE -- "$line" || fail "the program alone does not say '$line': $stderr"
done
expect 0 "" help
[ "$stdout" = "$overview" ] || fail "help is not --help"
expect 0 "" knn --help
knn=$stdout
expect 0 "" help knn
[ "$stdout" = "$knn" ] || fail "'help knn' is not 'knn --help'"
expect 0 "" help bench
says "Usage: blockwise bench matmul"
expect 0 "" version
says '^blockwise [0-9]'
expect 2 "unknown option --verison, the nearest is --version" --verison
expect 2 "^blockwise: --data: the verb comes first: blockwise knn" --data x knn
expect 2 "unknown verb 'pretrian', the nearest is 'pretrain'" pretrian
expect 2 "unknown verb 'knm', the nearest is 'knn'" help knm
expect 2 "^blockwise: bench: needs step\|loader\|matmul\|comm" bench
expect 2 "unknown 'stpe', the nearest is 'step'" bench stpe
expect 2 "unknown verb 'lst', the nearest is 'list'" lst
expect 2 "unknown verb 'zzzzzzzz'; see" zzzzzzzz
expect 2 "unknown option --halp, the nearest is --help" list --halp
expect 2 "unknown option -x" list -x
expect 2 "needs " list
expect 2 "the nearest is 'losses'" list loses
finish
