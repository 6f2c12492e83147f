#!/usr/bin/env bash
# Signals: SIGINT and SIGTERM save and stop, SIGUSR1 saves and goes on, and the run can be finished after.
set -u
source "$(dirname "$0")/lib/expect.sh"
data=$work/data
run=$work/run
make_data "$data" 4
long=(pretrain --data "$data" --out "$run" "${tiny[@]}" --set train.epochs=100000)

# start WORD...: the program in the background, until it has done a step. Job control gives it SIGINT, which
# a background process of a script ignores otherwise.
start() {
  local before
  before=$(lines)
  set -m
  "$BLOCKWISE" "$@" >"$work/stdout" 2>"$work/stderr" &
  pid=$!
  set +m
  for ((i = 0; i < 600; i++)); do
    [ "$(lines)" -gt "$before" ] && return
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.05
  done
  fail "no step within 30 s, or ended before: $(cat "$work/stderr")"
}

lines() {
  if [ -e "$run/metrics.jsonl" ]; then wc -l <"$run/metrics.jsonl"; else echo 0; fi
}

# stopped CODE NAME: what the process has left once it ended.
stopped() {
  local code
  checks=$((checks + 1))
  wait "$pid"
  code=$?
  [ $code = "$1" ] || fail "$2: exit status $code instead of $1: $(cat "$work/stderr")"
  grep -qE '^blockwise: pretrain: stopped after step [0-9]+ of .*--resume' "$work/stderr" ||
    fail "$2: says $(cat "$work/stderr")"
  [ ! -s "$work/stdout" ] || fail "$2: prints $(cat "$work/stdout")"
  last=$(ls "$run/checkpoints" | tail -1 | tr -dc 0-9)
  [ "$((10#${last:-0}))" = "$(lines)" ] || fail "$2: checkpoint of step $last, $(lines) lines of metrics"
}

start "${long[@]}"
kill -INT "$pid"
stopped 130 SIGINT

start "${long[@]}" --resume
kill -TERM "$pid"
stopped 143 SIGTERM

# No checkpoint is due for a long time: the one that appears is the one asked for.
run=$work/usr1
long=(pretrain --data "$data" --out "$run" "${tiny[@]}" --set train.epochs=100000 --set checkpoint.every=1000000)
start "${long[@]}"
kill -USR1 "$pid"
for ((i = 0; i < 600; i++)); do
  compgen -G "$run/checkpoints/step-*.safetensors" >"$work/saved" && break
  sleep 0.05
done
[ -s "$work/saved" ] || fail "SIGUSR1: no checkpoint"
kill -0 "$pid" || fail "SIGUSR1: the run ended"
kill -INT "$pid"
stopped 130 "SIGINT after SIGUSR1"

# The threads that help the main thread, and the loader's, take no signals.
run=$work/threads
start pretrain --data "$data" --out "$run" "${tiny[@]}" --set train.epochs=100000 --set threads=3 --set data.threads=2
checks=$((checks + 1))
blocked=$(grep -hc '^SigBlk:.*[1-9a-f]' "/proc/$pid"/task/*/status | grep -c 1)
[ "$blocked" -ge 4 ] || fail "only $blocked of 2 + 2 threads have signals blocked"
kill -INT "$pid"
stopped 130 "SIGINT with threads"

# At any moment, and there are moments when a kernel has put the stack on the heap.
run=$work/often
for ((round = 0; round < 4; round++)); do
  rm -rf "$run"
  start pretrain --data "$data" --out "$run" "${tiny[@]}" --set train.epochs=100000 --set checkpoint.every=1000000
  for ((i = 0; i < 250; i++)); do
    kill -USR1 "$pid" 2>/dev/null || break
    sleep 0.002
  done
  kill -INT "$pid"
  stopped 130 "SIGINT after many SIGUSR1, round $round"
done
finish
