#!/usr/bin/env bash
# A run that is killed with -9 again and again, and stopped by signals, ends with the same metrics and the
# same bytes of weights as one that nobody disturbed.
set -euo pipefail
export LC_ALL=C
tmp=$(mktemp -d)
pid=
cleanup() {
  [ -z "$pid" ] || kill -9 "$pid" 2>/dev/null || true
  rm -rf "$tmp"
}
trap cleanup EXIT
fail() { echo "FAILED: $*" >&2; exit 1; }

# 40 grey images of 20 x 19 pixels in the form of MNIST.
mkdir "$tmp/data"
{
  printf '\000\000\010\003\000\000\000\050\000\000\000\024\000\000\000\023'
  awk 'BEGIN { for (i = 0; i < 40; i++) for (y = 0; y < 20; y++) for (x = 0; x < 19; x++)
                 printf "%c", 1 + (x * (i + 3) + y * y * (i % 5 + 1) + i * 37) % 127 }'
} >"$tmp/data/train-images-idx3-ubyte"
[ "$(stat -c %s "$tmp/data/train-images-idx3-ubyte")" = 15216 ] || fail "the images were not written"

cat >"$tmp/run.yaml" <<'Y'
seed: 5
threads: 1
model: {arch: resnet18, stem: cifar, width: 8}
projector: {widths: [24, 20]}
train: {batch: 8, epochs: 8}
data: {image_size: 32, threads: 1}
checkpoint: {every: 3, keep: 2}
health: {every: 5}
Y
total=40

pretrain() { # RUN [options]; in the place of the caller's process
  local run=$1
  shift
  exec "$BLOCKWISE" pretrain --quiet --data "$tmp/data" --config "$tmp/run.yaml" --out "$tmp/$run" "$@" >/dev/null
}
lines() { if [ -e "$tmp/$1/metrics.jsonl" ]; then wc -l <"$tmp/$1/metrics.jsonl"; else echo 0; fi; }
values() { sed 's/,"samples_per_s".*//' "$tmp/$1/metrics.jsonl"; }

# Starts RUN in the background and waits until its metrics have COUNT lines.
start_until() { # RUN COUNT [options]
  local run=$1 count=$2
  shift 2
  pretrain "$run" "$@" 2>>"$tmp/log" &
  pid=$!
  for _ in $(seq 6000); do
    [ "$(lines "$run")" -lt "$count" ] || return 0
    kill -0 "$pid" 2>/dev/null || fail "$run ended before line $count: $(cat "$tmp/log")"
    sleep 0.01
  done
  fail "$run has no line $count after a minute"
}
end_with() { # SIGNAL; the exit code goes to $code
  kill "-$1" "$pid"
  code=0
  wait "$pid" 2>/dev/null || code=$?
  pid=
}
same_as_straight() { # RUN
  [ "$(lines "$1")" = "$total" ] || fail "$1 has $(lines "$1") lines of metrics"
  diff <(values straight) <(values "$1") || fail "metrics of $1 differ"
  cmp "$tmp/straight/model.safetensors" "$tmp/$1/model.safetensors" || fail "weights of $1 differ"
  cmp "$tmp/straight/heads.safetensors" "$tmp/$1/heads.safetensors" || fail "heads of $1 differ"
}

(pretrain straight)
[ "$(lines straight)" = "$total" ] || fail "the undisturbed run has $(lines straight) lines of metrics"

# Killed four times: before the first checkpoint, and in the middle of epochs.
for count in 2 8 16 25; do
  start_until killed "$count" --resume
  end_with KILL
  [ "$code" = 137 ] || fail "kill -9 gives exit $code"
  [ ! -e "$tmp/killed/finished" ] || fail "the run was over before it was killed"
done
(pretrain killed --resume --set data.threads=2)
same_as_straight killed

# Signals: SIGUSR1 saves and goes on, SIGINT and SIGTERM save and exit.
start_until signals 4
kill -USR1 "$pid"
sleep 0.05
end_with TERM
[ "$code" = 143 ] || fail "SIGTERM gives exit $code, should be 143"
stopped=$(lines signals)
[ -e "$(printf '%s/signals/checkpoints/step-%08d.safetensors' "$tmp" "$stopped")" ] ||
  fail "SIGTERM left no checkpoint of step $stopped"
start_until signals $((stopped + 3)) --resume
end_with INT
[ "$code" = 130 ] || fail "SIGINT gives exit $code, should be 130"
(pretrain signals --resume)
same_as_straight signals

# Finished: nothing to do, whatever became of the data; other settings are refused by name.
rm -r "$tmp/data"
(pretrain killed --resume)
code=0
message=$( (pretrain killed --resume --set loss.lambda=0.5) 2>&1) || code=$?
[ "$code" = 2 ] || fail "another setting gives exit $code, should be 2"
case $message in *loss.lambda*) ;; *) fail "the setting is not named: $message" ;; esac
echo "ok"
