#!/usr/bin/env bash
# Hosts on a slow network, on one machine: runs a command on ranks that talk over links of a given rate.
#
#     bench/netlab.sh [-r RANKS] HOSTS RATE COMMAND...
#     bench/netlab.sh 2 1gbit build/blockwise bench comm
#
# Every host is a network namespace with one link (a veth pair) to a common bridge. Both directions of each link pass a
# token bucket (tc qdisc tbf) of RATE, in tc's words: 100mbit, 1gbit. RANKS (default: one a host) are started by Open
# MPI's mpirun with a launch agent that enters the namespace; they talk TCP over these links alone. A host has its
# share of the cores, so that two hosts do not compute on one core where there are enough.
#
# Delay is not made: the kernel needs netem for that. What there is, the way through the bridge and the queue before the
# token bucket, is measured: ping between the first two hosts, idle and while the command runs. Bytes that each host
# sent while the command ran are those its link counted, so traffic that goes another way would be missing.
#
# These go to stderr, or as one line of JSON to the file that NETLAB_JSON names. Needs root, iproute2, iputils-ping,
# util-linux (taskset) and Open MPI. What was made is removed at the end, also after Ctrl-C.
set -u

usage() {
  sed -n '4,5s/^# *//p' "$0" >&2
  echo "netlab: $*" >&2
  exit 2
}

ranks=
if [ "${1:-}" = -r ]; then
  [ $# -ge 2 ] || usage "-r needs a number"
  ranks=$2
  shift 2
fi
[ $# -ge 3 ] || usage "needs HOSTS, RATE and COMMAND"
hosts=$1 rate=$2
shift 2
ranks=${ranks:-$hosts}
[[ $hosts =~ ^[1-9][0-9]?$ && $hosts -ge 2 ]] || usage "HOSTS $hosts: not a number from 2 to 99"
[[ $ranks =~ ^[1-9][0-9]*$ && $((ranks % hosts)) = 0 ]] || usage "-r $ranks: not a multiple of the $hosts hosts"
[ "$(id -u)" = 0 ] || { echo "netlab: needs root, for network namespaces" >&2; exit 1; }
for tool in ip tc ping taskset mpirun; do
  command -v "$tool" >/dev/null || { echo "netlab: $tool is missing; see scripts/setup.sh" >&2; exit 1; }
done
mpirun --version | grep -q 'Open MPI' || { echo "netlab: mpirun is not Open MPI's" >&2; exit 1; }

lab=bwl$$            # names of links have 15 characters at most
subnet=10.77.$(($$ % 250))
if ip -4 addr | grep -q " $subnet\."; then
  echo "netlab: $subnet.0/24 is in use; try again" >&2
  exit 1
fi
work=$(mktemp -d "${TMPDIR:-/tmp}/netlab-XXXXXX")
mpi= pinger=

# shellcheck disable=SC2317 # run by traps
cleanup() {
  trap - EXIT INT TERM
  for process in $mpi $pinger; do
    kill "$process" 2>/dev/null && wait "$process" 2>/dev/null
  done
  for ((i = 0; i < hosts; i++)); do
    ip netns pids "$lab-$i" 2>/dev/null | xargs -r kill -9 2>/dev/null
    ip link del "${lab}h$i" 2>/dev/null
    ip netns del "$lab-$i" 2>/dev/null
  done
  ip link del "$lab" 2>/dev/null
  rm -rf "$work"
}
trap cleanup EXIT
trap 'cleanup; exit 130' INT
trap 'cleanup; exit 143' TERM

must() {
  "$@" || { echo "netlab: failed: $*" >&2; exit 1; }
}

# The bucket holds a quarter of a millisecond, and ten packets at least; the queue before it 50 ms.
bytes_per_s=$(awk -v r="$rate" 'BEGIN {
  n = r + 0; u = tolower(r); sub(/^[0-9.]+/, "", u)
  f["bit"] = 1; f["kbit"] = 1e3; f["mbit"] = 1e6; f["gbit"] = 1e9
  if (n <= 0 || !(u in f)) exit 1
  printf "%.0f", n * f[u] / 8 }') || usage "RATE $rate: want a number with kbit, mbit or gbit"
burst=$((bytes_per_s / 4000))
[ "$burst" -ge 15140 ] || burst=15140

limit() { # COMMAND-PREFIX... DEVICE
  local device=${*: -1}
  must "${@:1:$#-1}" tc qdisc add dev "$device" root tbf rate "$rate" burst "$burst" latency 50ms
}

must ip link add "$lab" type bridge
must ip addr add "$subnet.254/24" dev "$lab"
must ip link set "$lab" up
cores=($(taskset -cp $$ | sed 's/.*: //' | tr , '\n' | awk -F- '{ for (i = $1; i <= ($2 == "" ? $1 : $2); i++) print i }'))
share=$((${#cores[@]} / hosts))
[ "$share" -ge 1 ] || share=1
for ((i = 0; i < hosts; i++)); do
  must ip netns add "$lab-$i"
  must ip link add "${lab}h$i" type veth peer name eth0 netns "$lab-$i"
  must ip link set "${lab}h$i" master "$lab" up
  must ip -n "$lab-$i" addr add "$subnet.$((i + 1))/24" dev eth0
  must ip -n "$lab-$i" link set lo up
  must ip -n "$lab-$i" link set eth0 up
  limit ip netns exec "$lab-$i" eth0
  limit env "${lab}h$i"
  own=()
  for ((c = 0; c < share; c++)); do own+=("${cores[$(((i * share + c) % ${#cores[@]}))]}"); done
  echo "$subnet.$((i + 1)) slots=$((ranks / hosts))" >>"$work/hosts"
  (IFS=,; echo "${own[*]}") >"$work/cores.$((i + 1))"
done

# As a remote shell: HOST COMMAND..., perhaps with options before the host.
cat >"$work/agent" <<AGENT
#!/bin/sh
while [ "\${1#-}" != "\$1" ]; do shift; done
n=\${1##*.}
shift
exec ip netns exec $lab-\$((n - 1)) taskset -c "\$(cat $work/cores.\$n)" /bin/sh -c "\$*"
AGENT
chmod +x "$work/agent"

sent() { # bytes that every host has sent, in their order
  for ((i = 0; i < hosts; i++)); do cat "/sys/class/net/${lab}h$i/statistics/rx_bytes"; done
}
rtt() { # "least mean most" in ms of what ping said
  sed -n 's|^rtt min/avg/max/mdev = \([0-9.]*\)/\([0-9.]*\)/\([0-9.]*\)/.*|\1 \2 \3|p' "$1"
}

must ip netns exec "$lab-0" ping -q -i 0.02 -c 50 "$subnet.2" >"$work/idle"
mapfile -t before < <(sent)
ip netns exec "$lab-0" ping -q -i 0.1 "$subnet.2" >"$work/busy" 2>&1 &
pinger=$!
begin=$(date +%s.%N)
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
mpirun -np "$ranks" --hostfile "$work/hosts" --map-by node --bind-to none --mca rtc_hwloc_vmhole none --mca plm rsh --mca plm_rsh_agent "$work/agent" \
  --mca btl tcp,self --mca btl_tcp_if_include "$subnet.0/24" --mca oob_tcp_if_include "$subnet.0/24" "$@" <&0 &
mpi=$!
wait "$mpi"
code=$?
mpi=
end=$(date +%s.%N)
kill -INT "$pinger" && wait "$pinger"
pinger=
mapfile -t after < <(sent)

bytes=()
for ((i = 0; i < hosts; i++)); do bytes+=($((after[i] - before[i]))); done
read -r idle_least idle_mean idle_most < <(rtt "$work/idle")
read -r busy_least busy_mean busy_most < <(rtt "$work/busy")
if [ -n "${NETLAB_JSON:-}" ]; then
  (
    IFS=,
    echo "{\"hosts\": $hosts, \"ranks\": $ranks, \"rate\": \"$rate\", \"burst_bytes\": $burst," \
      "\"idle_rtt_ms\": [$idle_least,$idle_mean,$idle_most]," \
      "\"busy_rtt_ms\": [${busy_least:-null},${busy_mean:-null},${busy_most:-null}]," \
      "\"seconds\": $(awk -v a="$begin" -v b="$end" 'BEGIN { printf "%.2f", b - a }')," \
      "\"bytes_sent\": [${bytes[*]}], \"exit_status\": $code}"
  ) >"$NETLAB_JSON"
else
  {
    echo "netlab: $hosts hosts with links of $rate, $ranks ranks; round trip in ms (least mean most) idle" \
      "$idle_least $idle_mean $idle_most, while it ran ${busy_least:--} ${busy_mean:--} ${busy_most:--}"
    echo "netlab: bytes that the hosts sent: ${bytes[*]}"
  } >&2
fi
exit "$code"
