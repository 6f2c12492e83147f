#!/usr/bin/env bash
# `plan` for many nodes: rows of blocks, grids, words for rates and delays.
set -u
source "$(dirname "$0")/lib/expect.sh"

# number KEY: the first of the JSON object in the last standard output.
number() {
  printf '%s\n' "$stdout" | sed -n "s/^ *\"$1\": \([0-9.e+-]*\),\{0,1\}\$/\1/p" | head -n 1
}
# holds EXPRESSION: of awk.
holds() {
  checks=$((checks + 1))
  awk "BEGIN { exit !($1) }" || fail "not true: $1; $stdout"
}
small=("${tiny[@]}" --images 640 --gflops 1 --set train.batch=64)

# Rows of blocks.
expect 0 "" plan "${small[@]}" --set parallel.block=2
says '^ +1 +1-?[123]? +[0-9.e-]+ +[0-9]+ % +[0-9.]+$'
says '^Blocks are shared so that the slowest row is as quick as can be, by what they compute.$'
says ' on 2 nodes, .* node-hours$'
says '^Time between nodes is not counted.$'
[ "$(printf '%s\n' "$stdout" | grep -cE '^ +[1-4] +[0-9]+ +[0-9]+ +[0-9]+ +[0-9.]+ +[1-9][0-9.]* +[1-9][0-9.]*$')" = 4 ] ||
  fail "not four blocks, each with the figures of its row: $stdout"
expect 0 "" plan "${small[@]}" --set parallel.block=4 --set parallel.data=2 --json
[ "$(number nodes)" = 8 ] && [ "$(number batch_of_a_node)" = 32 ] || fail "not 8 nodes of 32 images: $stdout"
[ "$(printf '%s\n' "$stdout" | grep -c '"first_block"')" = 4 ] || fail "not four rows: $stdout"
expect 0 "" plan "${tiny[@]}" --images 640 --set parallel.block=2 --quiet
says 'by what they take here.$'
says '^step .*: blocks measured here in [0-9.]+ s, on a grid of 1 x 2$'
expect 2 'parallel.data 1 x parallel.block 2 is 2 nodes, and --nodes says 3' plan "${small[@]}" --nodes 3 \
  --set parallel.block=2
expect 2 'parallel.block 9: there are only 4 blocks to share' plan "${small[@]}" --set parallel.block=9

# Nodes on a network.
expect 0 "" plan "${small[@]}" --nodes 8 --network 1gbit,50us
says '^8 nodes on links of 1000 Mbit/s, 50 us: blocks by their operations at 74 % of the rate that --gflops says$'
for grid in '8 x 1' '4 x 2' '2 x 4'; do
  says "^$grid +[0-9.e-]+ +[0-9.]+ +[0-9]+ % .*[0-9.]+ (minutes|hours|days); 1"
done
says '^ +8 +[0-9.e-]+ +[0-9]+ % +- +[0-9.e-]+ +[0-9]+ %  [0-9] x [0-9], '
says '^Nodes do at least 50 % of what they do alone: data parallel up to [0-9]+ of them, block parallel up to [124] \(of 4 blocks\), in the best grid up to [0-9]+.$'
expect 0 "" plan "${small[@]}" --nodes 2 --network 1gbit,50us --set parallel.block=2
says '^run .* on 2 nodes'

seconds() { # NODES NETWORK: of a step, all nodes sharing batches
  expect 0 "" plan "${small[@]}" --set parallel.data="$1" --network "$2" --json
  step=$(number step_s)
}
seconds 1 1mbit,10ms
alone=$step
expect 0 "" plan "${small[@]}" --json
holds "$alone / $(number step_s) < 1.02 && $alone / $(number step_s) > 0.98"
seconds 4 1000tbit,0
holds "$step > 0.249 * $alone && $step < 0.252 * $alone"
seconds 4 1gbit,1ms
first=$step
for same in 1000mbit,0.001s 1e6kbit,1000us 1Gbit,1MS 0.001tbit,1000000ns 1000000000bit,1ms; do
  seconds 4 "$same"
  holds "$step == $first"
done
seconds 4 1gbit,2ms # two delays more for each of the messages, four in a sum
holds "$step > $first"

for wrong in 1gbit 1gbit, ,50us 1gbit,fast 1parsec,50us 0mbit,1us -1gbit,1us 1gbit,-1us 1gbit,5 gbit,5us nan,1us infgbit,1us 0x10gbit,50us 1e-300bit,1us; do
  expect 2 "--network $wrong: (want RATE,DELAY|the rate is not a number with kbit, mbit or gbit, of at least 1bit|the delay is not a number with)" \
    plan "${small[@]}" --nodes 2 --network "$wrong"
done
expect 0 "" plan "${small[@]}" --set parallel.data=64 --network 1gbit,50us # an image each, as a run would
expect 2 '7 nodes: no parallel.data x parallel.block of so many deals a train.batch of 64 evenly' \
  plan "${small[@]}" --nodes 7 --network 1gbit,50us
finish
