#!/usr/bin/env bash
# Rows of a grid of ranks own blocks: what they train together is what one process trains, to the bit, and goes
# on on any other grid; they stop together. label: slow
set -u
source "$(dirname "$0")/lib/expect.sh"
data=$work/data
make_data "$data" 4
tiny+=(--set noise.kind=all --set probe.every=3 --set health.every=5 --set train.epochs=8 --set checkpoint.every=7)
source "$(dirname "$0")/lib/jobs.sh"

# same A B NAME: the files of two runs that training determines.
same() {
  checks=$((checks + 1))
  cmp "$1/model.safetensors" "$2/model.safetensors" || fail "$3: the trunks differ"
  cmp "$1/heads.safetensors" "$2/heads.safetensors" || fail "$3: the heads differ"
  diff <(values "$1") <(values "$2") >/dev/null || fail "$3: the metrics differ: $(diff <(values "$1") <(values "$2") | head -4)"
}

# runs N RUN WORD...: a run that N ranks bring to its end.
runs() {
  local n=$1 run=$2
  shift 2
  checks=$((checks + 1))
  ranks "$n" pretrain --data "$data" --out "$run" "$@" >"$work/stdout" 2>"$work/stderr" ||
    fail "$run: exit status $?: $(cat "$work/stderr")"
}

"$BLOCKWISE" pretrain --data "$data" --out "$work/one" "${tiny[@]}" >/dev/null 2>&1 || fail "one process: status $?"
for rows in 2 4; do
  runs "$rows" "$work/rows$rows" "${tiny[@]}" --set parallel.block=$rows
  same "$work/one" "$work/rows$rows" "$rows rows"
done

# Every block in a row of its own, and each row two ranks: the same as two ranks without rows.
runs 2 "$work/data2" "${tiny[@]}"
runs 4 "$work/grid" "${tiny[@]}" --set parallel.block=2
same "$work/data2" "$work/grid" "2 x 2 ranks"

# A signal to a rank of the last row stops them all behind the same step; then one process, then rows again.
long=(--set train.epochs=40 --set checkpoint.every=1000000)
"$BLOCKWISE" pretrain --data "$data" --out "$work/long" "${tiny[@]}" "${long[@]}" >/dev/null 2>&1 || fail "long: status $?"
start "$work/stopped" 2 "${tiny[@]}" "${long[@]}" --set parallel.block=2
kill -TERM "$(cat "$work/pid.1")"
ended 143 "stopped after step [0-9]+ of 120" "SIGTERM to the last row"
last=$(ls "$work/stopped/checkpoints" | tail -1 | tr -dc 0-9)
[ "$((10#${last:-0}))" = "$(lines "$work/stopped")" ] || fail "checkpoint ${last:-none}, $(lines "$work/stopped") lines"
"$BLOCKWISE" pretrain --data "$data" --out "$work/stopped" --resume "${tiny[@]}" "${long[@]}" \
  --set train.steps=auto >"$work/stdout" 2>"$work/stderr" &
job=$!
for ((i = 0; i < 200; i++)); do
  [ "$(lines "$work/stopped")" -gt $((10#${last:-0} + 2)) ] && break
  sleep 0.02
done
kill -TERM "$job" 2>/dev/null
wait "$job"
[ -e "$work/stopped/finished" ] || goes_on "$work/stopped" 4 "${tiny[@]}" "${long[@]}" --set parallel.block=4
same "$work/long" "$work/stopped" "stopped and gone on with"

# A rank of a row that dies ends the job, and the rest is done by another grid.
start "$work/killed" 4 "${tiny[@]}" "${long[@]}" --set checkpoint.every=2 --set parallel.block=4
kill -9 "$(cat "$work/pid.2")"
ended any "" "kill -9 of a row"
goes_on "$work/killed" 2 "${tiny[@]}" "${long[@]}" --set parallel.block=2
same "$work/long" "$work/killed" "killed and gone on with"

at_once 2 "parallel.block 2 x|needs [0-9]+ ranks|parallel.data" "a grid that ranks do not fill" 2 \
  pretrain --data "$data" --out "$work/none" "${tiny[@]}" --set parallel.block=2 --set parallel.data=2
at_once 2 "parallel.block" "more rows than blocks" 2 \
  pretrain --data "$data" --out "$work/none" "${tiny[@]}" --set parallel.block=2 --set train.order=end-to-end
finish
