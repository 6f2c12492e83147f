#!/usr/bin/env bash
# Started as several ranks, the program speaks once: help, wrong usage and wrong settings come from one rank,
# with the exit status that one process has, and soon. A build without MPI says that it is one.
set -u
source "$(dirname "$0")/lib/expect.sh"
library=$("$BLOCKWISE" --version | sed -n 's/^MPI: //p')
checks=1
[ -n "$library" ] || fail "--version does not name the MPI library"
pretrain=(pretrain --data "$work/none" --out "$work/run")

# once CODE OUT_LINES PATTERN COMMAND...: exit status, lines on stdout, and one line of the program on stderr,
# which PATTERN describes. A hang ends with status 124.
once() {
  local code=$1 lines=$2 pattern=$3 got said
  shift 3
  checks=$((checks + 1))
  timeout 60 "$@" >"$work/stdout" 2>"$work/stderr"
  got=$?
  [ "$got" = "$code" ] || fail "$*: exit status $got instead of $code: $(cat "$work/stderr")"
  [ "$(wc -l <"$work/stdout")" = "$lines" ] || fail "$*: not $lines lines on stdout: $(cat "$work/stdout")"
  said=$(grep '^blockwise: ' "$work/stderr")
  if [ -n "$pattern" ]; then
    [ "$(printf '%s\n' "$said" | wc -l)" = 1 ] || fail "$*: not said once: $said"
    printf '%s\n' "$said" | grep -qE -- "$pattern" || fail "$*: '$pattern' is not in: $said"
  else
    [ -z "$said" ] || fail "$*: $said"
  fi
}

if [ "$library" = none ]; then
  # The environment is all that such a build has of a launcher.
  for rank in 0 3; do
    message="^blockwise: pretrain: started as one of 4 ranks, but this build has no MPI"
    [ "$rank" = 0 ] || message="^blockwise: pretrain: rank 3 of 4 on $(uname -n): started as one of 4 ranks, but this"
    once 2 0 "$message" env OMPI_COMM_WORLD_SIZE=4 OMPI_COMM_WORLD_RANK="$rank" "$BLOCKWISE" "${pretrain[@]}"
    once 2 0 "$message" env PMI_SIZE=4 PMI_RANK="$rank" "$BLOCKWISE" "${pretrain[@]}"
  done
  finish
  exit
fi

[ -n "${BW_MPIRUN:-}" ] || exit 77
read -ra mpirun <<<"$BW_MPIRUN"
run=("${mpirun[@]}" 3 "$BLOCKWISE")
once 0 "$("$BLOCKWISE" --help | wc -l)" "" "${run[@]}" --help
once 0 2 "" "${run[@]}" --version
once 0 "$("$BLOCKWISE" pretrain --help | wc -l)" "" "${run[@]}" pretrain --help
once 2 0 "unknown option --typo" "${run[@]}" pretrain --typo
once 2 0 "needs --out RUN" "${run[@]}" pretrain --data x
once 2 0 "runs in one process, but 3 were started" "${run[@]}" probe "$work"
once 2 0 "unknown key 'modle.arch'; did you mean" "${run[@]}" "${pretrain[@]}" --set modle.arch=x
once 2 0 "pretrain: --config: $work/none.yaml: " "${run[@]}" "${pretrain[@]}" --config "$work/none.yaml"
# What one rank alone meets comes from that one, with its host. Settings are those of rank 0.
make_data "$work/data" 4
once 3 0 "rank 2 of 3 on $(uname -n): $work/none: " "${mpirun[@]}" 3 bash -c '
  data=$1 rank=${OMPI_COMM_WORLD_RANK:-${PMI_RANK:-}}
  [ "$rank" = 2 ] && data=$2
  lr=-1; [ "$rank" = 0 ] && lr=0.1
  shift 2
  exec "$@" --data "$data" --set optimizer.lr=$lr' \
  bash "$work/data" "$work/none" "$BLOCKWISE" pretrain --out "$work/run" "${tiny[@]}" --set train.batch=24
[ ! -e "$work/run" ] || fail "a run that could not begin has left a folder"
# One host has a program without MPI, or all have. MPICH's launcher does not end the other ranks for that.
if [ "${library#Open MPI}" != "$library" ]; then
  once 2 0 "rank 1 of 2 on $(uname -n): started as one of 2 ranks, but this build has no MPI" "${mpirun[@]}" 2 bash -c '
    [ "$OMPI_COMM_WORLD_RANK" = 1 ] && shift
    exec "$1" "${@: -5}"' bash "$BLOCKWISE" "$BLOCKWISE_ALONE" "${pretrain[@]}"
  once 2 0 "pretrain: started as one of 3 ranks, but this build has no MPI" "${mpirun[@]}" 3 "$BLOCKWISE_ALONE" "${pretrain[@]}"
fi
# The launcher of another library: every rank would be alone.
other=(PMI_SIZE=3 PMI_RANK=0)
[ "${library#Open MPI}" != "$library" ] || other=(OMPI_COMM_WORLD_SIZE=3 OMPI_COMM_WORLD_RANK=0)
once 2 0 "3 ranks, but they do not find each other" env "${other[@]}" "$BLOCKWISE" "${pretrain[@]}"
finish
