# For the script tests of ranks, behind expect.sh: jobs of several ranks, how they end and how they go on. Wants
# $data, and $BW_MPIRUN with the words that start ranks; leaves where there are none.
[ -n "${BW_MPIRUN:-}" ] || exit 77
read -ra mpirun <<<"$BW_MPIRUN"

# Every rank leaves its process number.
cat >"$work/rank" <<'R'
#!/usr/bin/env bash
rank=${OMPI_COMM_WORLD_RANK:-${PMI_RANK:-0}}
echo $$ >"$(dirname "$0")/pid.$rank"
exec "$@"
R
chmod +x "$work/rank"

# ranks N WORD...: the program on N ranks, ended after two minutes at the latest.
ranks() {
  local n=$1
  shift
  timeout 120 "${mpirun[@]}" "$n" "$work/rank" "$BLOCKWISE" "$@"
}

lines() { if [ -e "$1/metrics.jsonl" ]; then wc -l <"$1/metrics.jsonl"; else echo 0; fi; }
values() { sed 's/,"samples_per_s".*//' "$1/metrics.jsonl"; }

# start RUN N WORD...: in the background, until the run has done a few more steps.
start() {
  local run=$1 n=$2 before i
  shift 2
  before=$(lines "$run")
  ranks "$n" pretrain --data "$data" --out "$run" "$@" >"$work/stdout" 2>"$work/stderr" &
  job=$!
  for ((i = 0; i < 1200; i++)); do
    [ "$(lines "$run")" -gt $((before + 1)) ] && return
    kill -0 "$job" 2>/dev/null || break
    sleep 0.05
  done
  fail "$run: no step within a minute, or ended before: $(cat "$work/stderr")"
}

# ended CODE PATTERN NAME: what the job has left, no later than 30 s after what happened to it. CODE may be
# "any" failure. PATTERN "" wants no message of the program.
ended() {
  local code=$1 pattern=$2 name=$3 got said begin=$SECONDS
  checks=$((checks + 1))
  wait "$job"
  got=$?
  [ $((SECONDS - begin)) -lt 30 ] || fail "$name: took $((SECONDS - begin)) s to end"
  if [ "$code" = any ]; then
    [ "$got" != 0 ] && [ "$got" != 124 ] || fail "$name: exit status $got"
  else
    [ "$got" = "$code" ] || fail "$name: exit status $got instead of $code: $(cat "$work/stderr")"
  fi
  said=$(grep '^blockwise: ' "$work/stderr")
  if [ -n "$pattern" ]; then
    [ "$(printf '%s\n' "$said" | wc -l)" = 1 ] || fail "$name: not said once: $said"
    printf '%s\n' "$said" | grep -qE -- "$pattern" || fail "$name: '$pattern' is not in: $said"
  else
    [ -z "$said" ] || fail "$name: $said"
  fi
  ! grep -q "model.safetensors" "$work/stdout" || fail "$name: prints $(cat "$work/stdout")" # Hydra prints there too
}

# at_once CODE PATTERN NAME N WORD...: a job that ends by itself.
at_once() {
  local code=$1 pattern=$2 name=$3 n=$4
  shift 4
  ranks "$n" "$@" >"$work/stdout" 2>"$work/stderr" &
  job=$!
  ended "$code" "$pattern" "$name"
}

# goes_on RUN N WORD...: the run is finished by N ranks.
goes_on() {
  local run=$1 n=$2
  shift 2
  checks=$((checks + 1))
  ranks "$n" pretrain --data "$data" --out "$run" --resume "$@" >"$work/stdout" 2>"$work/stderr" ||
    fail "$run on $n ranks: exit status $?: $(cat "$work/stderr")"
  [ "$(cat "$work/stdout")" = "$run/model.safetensors" ] || fail "$run: prints $(cat "$work/stdout")"
  [ -e "$run/finished" ] || fail "$run is not finished"
}
