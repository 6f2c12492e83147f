#!/usr/bin/env bash
# Ranks that fail, are killed or are stopped: the job ends soon with one message, what is in the run folder is
# whole, and the run goes on from it, on another number of ranks too. label: slow
set -u
source "$(dirname "$0")/lib/expect.sh"
data=$work/data image=grey.jpg size=2300k
make_data "$data" 4
tiny+=(--set optimizer.name=sgd)
source "$(dirname "$0")/lib/jobs.sh"

# Killed, and gone on with on as many ranks: the same bits as undisturbed.
steps=(--set train.epochs=40 --set checkpoint.every=4)
ranks 2 pretrain --data "$data" --out "$work/straight" "${tiny[@]}" "${steps[@]}" >/dev/null 2>&1 ||
  fail "the undisturbed run: exit status $?"
[ "$(lines "$work/straight")" = 120 ] || fail "the undisturbed run has $(lines "$work/straight") steps"
for rank in 1 0; do
  start "$work/killed" 2 "${tiny[@]}" "${steps[@]}" --resume
  [ ! -e "$work/killed/finished" ] || fail "the run was over before it was killed"
  kill -9 "$(cat "$work/pid.$rank")"
  ended any "" "kill -9 of rank $rank"
done
goes_on "$work/killed" 2 "${tiny[@]}" "${steps[@]}"
checks=$((checks + 1))
diff <(values "$work/straight") <(values "$work/killed") >/dev/null || fail "metrics differ after kill -9"
cmp "$work/straight/model.safetensors" "$work/killed/model.safetensors" || fail "weights differ after kill -9"

at_once 2 "$work/killed: exists and is not empty" "an existing folder" 2 \
  pretrain --data "$data" --out "$work/killed" "${tiny[@]}"

# A signal to any rank saves and stops all; 2 ranks, then 1, then 4, which take their own number of threads.
start "$work/signals" 2 "${tiny[@]}" "${steps[@]}" --set parallel.data=2 --set checkpoint.every=1000000
kill -USR1 "$(cat "$work/pid.1")"
for ((i = 0; i < 600; i++)); do
  compgen -G "$work/signals/checkpoints/step-*.safetensors" >/dev/null && break
  sleep 0.05
done
kill -TERM "$(cat "$work/pid.1")"
ended 143 "stopped after step [0-9]+ of 120.*--resume" "SIGTERM to rank 1"
for step in 1 4; do
  last=$(ls "$work/signals/checkpoints" | tail -1 | tr -dc 0-9)
  [ "$((10#${last:-0}))" = "$(lines "$work/signals")" ] ||
    fail "checkpoint of step $last, $(lines "$work/signals") lines of metrics"
  [ "$step" = 1 ] || break
  start "$work/signals" 1 --resume
  kill -INT "$(cat "$work/pid.0")"
  ended 130 "stopped after step" "SIGINT to the one rank"
done
goes_on "$work/signals" 4
[ "$(lines "$work/signals")" = 120 ] || fail "the run has $(lines "$work/signals") lines of metrics"
grep -q '"ranks": 4' "$work"/signals/environment-*.json || fail "no record of the 4 ranks"

# SIGTERM to mpirun itself: Open MPI waits as long as it is told before SIGTERM and once more before SIGKILL.
if "$BLOCKWISE" --version | grep -q 'MPI: Open MPI'; then
  export OMPI_MCA_odls_base_sigkill_timeout=3
  start "$work/launcher" 2 "${tiny[@]}" --set train.epochs=100000 --set checkpoint.every=1000000
  unset OMPI_MCA_odls_base_sigkill_timeout
  kill -TERM "$(ps -o ppid= -p "$(cat "$work/pid.0")")"
  ended any "stopped after step" "SIGTERM to mpirun"
  compgen -G "$work/launcher/checkpoints/step-*.safetensors" >/dev/null || fail "SIGTERM to mpirun: nothing saved"
fi

# Images that cannot be read, on whatever rank.
mkdir -p "$work/damaged"
for ((i = 0; i < 32; i++)); do
  if [ $((i % 3)) = 0 ]; then echo "no image" >"$work/damaged/$i.jpg"; else cp "$BW_FIXTURES/images/$image" "$work/damaged/$i.${image##*.}"; fi
done
at_once 3 "[0-9]+ of 32 images cannot be read, more than data.max_bad 0.1" "damaged images" 2 \
  pretrain --data "$work/damaged" --out "$work/bad" "${tiny[@]}" --set data.max_bad=0.1
for n in 2 4; do
  at_once 3 "rank 0 of $n on .*: [0-9]+ of 32 images cannot be read" "damaged images and rows of $n ranks" $n \
    pretrain --data "$work/damaged" --out "$work/bad$n" "${tiny[@]}" --set data.max_bad=0.1 --set parallel.block=2
done

# A failure that one rank meets alone, while the others wait for it in the end.
start "$work/alone" 2 "${tiny[@]}" --set train.epochs=40
rm "$work/alone/metrics.jsonl"
ended 3 "rank 0 of 2 on $(uname -n): .*metrics.jsonl" "a file that was taken away"

# A full disk: nothing under the name of a checkpoint that is not whole. Needs leave to mount.
full=$work/full
mkdir "$full"
mount=(unshare -m)
[ "$(id -u)" = 0 ] || mount=(unshare -rm)
if "${mount[@]}" mount -t tmpfs -o size=1m none "$full" 2>/dev/null; then
  plain=("${mpirun[@]}")
  mpirun=("${mount[@]}" bash -c 'mount -t tmpfs -o size=$1 none "$2"; full=$2; shift 2; "$@"; code=$?
    find "$full" -type f >"$full.files"; exit $code' bash "$size" "$full" "${plain[@]}")
  at_once 1 "^blockwise: pretrain: $full/.*: No space left" "a full disk" 2 \
    pretrain --data "$data" --out "$full/run" "${tiny[@]}" "${steps[@]}"
  mpirun=("${plain[@]}")
  checks=$((checks + 1))
  grep -q 'step-00000004' "$full.files" || fail "full disk: no first checkpoint: $(cat "$full.files")"
  ! grep -q 'step-00000008\|tmp-' "$full.files" || fail "full disk: half a checkpoint: $(cat "$full.files")"
else
  echo "no leave to mount: the full disk was not tried"
fi
finish
