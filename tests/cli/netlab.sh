#!/usr/bin/env bash
# label: slow
# bench/netlab.sh: ranks on hosts with slow links; their traffic crosses the links, and nothing is left behind.
set -u
source "$(dirname "$0")/lib/expect.sh"
[ -n "${BW_MPIRUN:-}" ] || exit 77
lab=$BW_SOURCE/bench/netlab.sh

# refused PATTERN WORD...: exit status 2 with this on stderr.
refused() {
  local pattern=$1 code
  shift
  checks=$((checks + 1))
  "$lab" "$@" >/dev/null 2>"$work/stderr"
  code=$?
  [ "$code" = 2 ] || fail "netlab $*: exit status $code instead of 2"
  grep -q -- "$pattern" "$work/stderr" || fail "netlab $*: '$pattern' is not in: $(cat "$work/stderr")"
}
refused 'needs HOSTS, RATE and COMMAND' 2 1gbit
refused 'HOSTS 1: not a number from 2 to 99' 1 1gbit true
refused '-r 3: not a multiple of the 2 hosts' -r 3 2 1gbit true

finish_early() {
  finish
  exit
}

# The rest makes namespaces, links and two daemons of mpirun on one machine, where Open MPI 4.1 has been seen to
# crash as it starts: run by hand, BW_NETLAB=1, where this process may make namespaces.
[ "${BW_NETLAB:-}" = 1 ] || finish_early
ip netns add "bwt$$" 2>/dev/null || exit 77
ip netns del "bwt$$"
command -v tc >/dev/null && command -v ping >/dev/null && mpirun --version | grep -q "Open MPI" || exit 77
"$BLOCKWISE" --version | grep -q "MPI: Open MPI" || exit 77
refused 'RATE 1parsec: want a number with kbit, mbit or gbit' 2 1parsec true

left() {
  checks=$((checks + 1))
  [ "$({ ip netns; ip -br link; } | grep -c "$1")" = 0 ] || fail "left behind: $(ip netns) $(ip -br link)"
}

NETLAB_JSON=$work/lab.json timeout 100 "$lab" 2 1gbit "$BLOCKWISE" bench comm --steps 1 --quiet >"$work/table" ||
  fail "exit status $?"
checks=$((checks + 2))
stdout=$(cat "$work/table")
says '^2 ranks on 2 machines, '
# Sums of 42 MB, gathers and messages: 80 MB from each host at least. Through 1 Gbit/s the largest sum takes 0.26 s.
read -r first second < <(sed -n 's/.*"bytes_sent": \[\([0-9]*\),\([0-9]*\)\].*/\1 \2/p' "$work/lab.json")
[ "${first:-0}" -gt 80000000 ] && [ "${second:-0}" -gt 80000000 ] || fail "too few bytes crossed the links: $(cat "$work/lab.json")"
awk '/^sum of f32 beside +33554432/ { exit !($6 > 0 && $8 < 1010) }' "$work/table" || fail "faster than the link: $stdout"
left '^bwl'

"$lab" 2 100mbit sleep 60 >/dev/null 2>&1 &
running=$!
sleep 4
checks=$((checks + 1))
[ "$(ip netns | grep -c "^bwl$running-")" = 2 ] || fail "no hosts of lab $running: $(ip netns)"
kill -TERM "$running"
wait "$running"
[ $? = 143 ] || fail "SIGTERM does not end the lab with 143"
left "bwl$running"
finish
