#!/usr/bin/env bash
# Measures how training scales over ranks and writes docs/scaling.jsonl, and docs/scaling.md from it.
#
#     bench/scaling.sh [-q] [-r ROUNDS] [-l ROUNDS] [-p PARTS] [-o NAME]
#
# Needs a built project with Open MPI and, for slow networks, root (bench/netlab.sh). Leave the machine alone
# meanwhile: about half an hour on two cores. Parts that are not measured keep their lines.
#
#   -q  quick: one round of one step, and no simulation from what blocks take here
#   -r  rounds of the small network (10; at most 2 on slow links)    -l  of the large one (3; 1 on slow links; 0: none)
#   -p  parts: "bytes machine network trace nodes" (all)    -o  where to write, without suffix (docs/scaling)
#
#   bytes    what ranks send in a step, counted, beside the formula
#   machine  ranks on this machine: steps of all ways to share its two threads, in turns
#   network  two hosts on slow links, in turns with the simulation of them
#   trace    what two hosts do when
#   nodes    the simulation of paper-imagenet on up to 1024 nodes
#
# Networks: ResNet-18 at 32 px, batch 32, projectors of 512, and ResNet-50 at 224 px, batch 8, projectors of 2048;
# f32, synthetic images. What fails is recorded with its reason and the rest goes on. BLOCKWISE names another
# program.
set -euo pipefail
cd "$(dirname "$0")/.."
command_line="bench/scaling.sh $*"
blockwise=${BLOCKWISE:-build/blockwise}
quick=0 rounds=10 large_rounds=3 steps=2 large_steps=2 parts="bytes machine network trace nodes" out=docs/scaling
usage() { sed -n '4,19s/^# \{0,1\}//p' "$0" >&2; exit 2; }
while getopts qr:l:p:o:h option; do
    case $option in
        q) quick=1 rounds=1 large_rounds=1 steps=1 large_steps=1 ;;
        r) rounds=$OPTARG ;;
        l) large_rounds=$OPTARG ;;
        p) parts=$OPTARG ;;
        o) out=$OPTARG ;;
        *) usage ;;
    esac
done
[ -x "$blockwise" ] || { echo "scaling.sh: $blockwise is not there; build it first" >&2; exit 1; }
for part in $parts; do [[ " bytes machine network trace nodes " = *" $part "* ]] || usage; done
wants() { [[ " $parts " = *" $1 "* ]]; }

# More ranks than cores, unbound, also as root and in containers.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_btl_vader_single_copy_mechanism=none
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
results=$out.jsonl.part # stays when the run is interrupted

python3 - "$out.jsonl" "$parts" >"$results" <<'PYTHON'
import json, os, sys

path, parts = sys.argv[1:]
for line in open(path) if os.path.exists(path) else []:
    if json.loads(line)["part"] not in parts.split():
        sys.stdout.write(line)
PYTHON

# record META COMMAND...: one line with the fields of META, of the JSON that COMMAND prints, and of the lab it ran in.
record() {
    local meta=$1 status=0
    shift
    printf '%5d s  %s\n' "$SECONDS" "$meta" >&2
    rm -f "$work/lab.json"
    "$@" >"$work/stdout" 2>"$work/stderr" || status=$?
    python3 - "$meta" "$status" "$work" >>"$results" <<'PYTHON'
import json, os, sys

meta, status, work = sys.argv[1:]
row = json.loads(meta)
if status == "0":
    row |= json.load(open(f"{work}/stdout"))
    if os.path.exists(f"{work}/lab.json"):
        row["lab"] = json.load(open(f"{work}/lab.json"))
else:
    lines = [line for line in open(f"{work}/stderr").read().splitlines() if line.strip(" -")]
    row["failed"] = lines[-1] if lines else f"exit status {status}"
    print("         failed:", row["failed"], file=sys.stderr)
print(json.dumps(row))
PYTHON
}

small=resnet18:32:32 large=resnet50:224:8
settings() { # CASE [BATCH]
    IFS=: read -r arch size batch <<<"$1"
    local stem=cifar width=512
    [ "$arch" = resnet18 ] || stem=imagenet width=2048
    setting=(--set model.arch="$arch" --set model.stem=$stem --set data.image_size="$size"
        --set "projector.widths=[$width,$width,$width]" --set train.batch="${2:-$batch}")
}
grid() { # DATA ROWS THREADS
    setting+=(--set parallel.data="$1" --set parallel.block="$2" --set threads="$3")
}
on() { # RANKS COMMAND...
    local ranks=$1
    shift
    [ "$ranks" = 1 ] || set -- mpirun -np "$ranks" "$@"
    "$@"
}
on_hosts() { # RATE COMMAND...: one rank on each of two
    NETLAB_JSON=$work/lab.json bench/netlab.sh 2 "$@" && return
    # Open MPI 4.1 has been seen to crash as it starts on hosts of one machine: once more.
    NETLAB_JSON=$work/lab.json bench/netlab.sh 2 "$@"
}

machine() { # PART
    record "{\"part\": \"$1\", \"record\": \"machine\"}" python3 bench/machine.py "$blockwise" "${command_line% }"
}

measure_bytes() {
    local case shape
    for case in $large $small; do
        for shape in 2:1 1:2 2:2; do
            settings $case
            grid ${shape%:*} ${shape#*:} 1
            record "{\"part\": \"bytes\", \"record\": \"bytes\", \"case\": \"$case\"}" \
                on $((${shape%:*} * ${shape#*:})) "$blockwise" bench comm --step --json --quiet "${setting[@]}"
        done
    done
}

# shape DATA:ROWS:THREADS[:BATCH]
step_on_machine() { # ROUND CASE STEPS SHAPE
    local data rows threads batch
    IFS=: read -r data rows threads batch <<<"$4"
    settings "$2" $batch
    grid $data $rows $threads
    record "{\"part\": \"machine\", \"record\": \"step\", \"round\": $1, \"case\": \"$2\", \"shape\": \"$4\"}" \
        on $((data * rows)) "$blockwise" bench step --json --quiet --steps "$3" --warmup 1 "${setting[@]}"
}
measure_machine() {
    local round shape
    for ((round = 1; round <= rounds; round++)); do
        for shape in 1:1:2 2:1:1 1:2:1 1:1:1:16 4:1:1:64; do
            step_on_machine $round $small $steps $shape
        done
    done
    for ((round = 1; round <= large_rounds; round++)); do
        for shape in 1:1:2 2:1:1 1:2:1; do
            step_on_machine $round $large $large_steps $shape
        done
    done
}

# The simulation, with blocks measured by two processes at once, each on the core of one host, as the ranks are.
predict() { # CASE RATE DELAY
    settings "$1"
    local cores core n=0 waiting=()
    cores=$(taskset -cp $$ | sed 's/.*: //' | tr , '\n' | awk -F- '{ for (i = $1; i <= ($2 == "" ? $1 : $2); i++) print i }')
    for core in $(head -n 2 <<<"$cores"); do
        taskset -c "$core" "$blockwise" plan --json --quiet "${setting[@]}" --set threads=1 --nodes 2 --network "$2,$3" \
            --images 1000000 >"$work/plan.$n" &
        waiting+=($!)
        n=$((n + 1))
    done
    for n in "${waiting[@]}"; do wait "$n" || return; done
    python3 - "$work" <<'PYTHON'
import json, statistics, sys

plans = [json.load(open(f"{sys.argv[1]}/plan.{i}"))["network"] for i in (0, 1)]
grids = [{k: v for k, v in g.items() if isinstance(v, (int, float))} for g in plans[0]["grids"]]
for i, g in enumerate(grids):
    for key in ("step_s", "compute_s", "statistics_s", "gradients_s", "link_s"):
        g[key] = statistics.mean(p["grids"][i][key] for p in plans)
print(json.dumps({"delay_s": plans[0]["delay_s"], "grids": grids}))
PYTHON
}
network_round() { # ROUND CASE STEPS RATE DELAY
    local meta="\"part\": \"network\", \"round\": $1, \"case\": \"$2\", \"rate\": \"$4\"" shape
    for shape in 2:1 1:2; do
        settings "$2"
        grid ${shape%:*} ${shape#*:} 1
        record "{$meta, \"record\": \"step\", \"shape\": \"$shape\"}" on_hosts "$4" "$blockwise" bench step --json --quiet \
            --steps "$3" --warmup 1 "${setting[@]}"
    done
    record "{$meta, \"record\": \"simulation\"}" predict "$2" "$4" "$5"
}
measure_network() {
    local rate round delay
    for rate in 1gbit 100mbit; do
        record "{\"part\": \"network\", \"record\": \"comm\", \"rate\": \"$rate\"}" on_hosts $rate "$blockwise" bench comm --json \
            --quiet --steps 3
        delay=$(python3 -c 'import json, sys
rows = json.loads(open(sys.argv[1]).read().splitlines()[-1]).get("operations", [])
print("%.1fus" % (1e6 * next((r["seconds"] for r in rows if r["operation"] == "send" and r["bytes"] == 8), 2e-5)))' "$results")
        for ((round = 1; round <= rounds && round <= 2; round++)); do
            network_round $round $small $steps $rate "$delay"
        done
        [ "$large_rounds" = 0 ] || network_round 1 $large $large_steps $rate "$delay"
    done
}

traced() { # SHAPE STEPS
    on_hosts 1gbit "$blockwise" bench step --json --quiet --steps "$2" --warmup 1 --trace "$work/trace.json" "${setting[@]}" >"$work/step" || return
    python3 - "$work" <<'PYTHON'
import json, sys

events = json.load(open(f"{sys.argv[1]}/trace.json"))["traceEvents"]
row = json.load(open(f"{sys.argv[1]}/step"))
tracks = {e["tid"]: e["args"]["name"] for e in events if e["name"] == "thread_name"}
spans = [e for e in events if e["ph"] == "X" and (tracks[e["tid"]] != "operations" or e["name"].startswith("ranks"))]
row["spans"] = [[e["pid"], tracks[e["tid"]], e["name"], e["args"].get("block", 0), round(e["ts"]), round(e["dur"])] for e in spans]
print(json.dumps(row))
PYTHON
}
measure_trace() {
    local shape
    for shape in 2:1:1 1:2:3; do
        settings $small
        grid ${shape%%:*} "$(cut -d: -f2 <<<$shape)" 1
        record "{\"part\": \"trace\", \"record\": \"trace\", \"case\": \"$small\", \"rate\": \"1gbit\", \"shape\": \"${shape%:*}\"}" \
            traced "${shape%:*}" "${shape##*:}"
    done
}

measure_nodes() {
    local network
    for network in 10gbit,30us 1gbit,50us; do
        [ "$quick" = 1 ] ||
            record "{\"part\": \"nodes\", \"record\": \"nodes\", \"network\": \"$network\", \"node\": \"as this machine\"}" \
                plan_nodes "$network"
        record "{\"part\": \"nodes\", \"record\": \"nodes\", \"network\": \"$network\", \"node\": \"2000 GFLOP/s\"}" \
            plan_nodes "$network" --gflops 2000
    done
}
plan_nodes() { # NETWORK OPTION...
    "$blockwise" plan --json --quiet --recipe paper-imagenet --nodes 1024 --network "$@" >"$work/plan" || return
    python3 - "$work/plan" <<'PYTHON'
import json, sys

plan = json.load(open(sys.argv[1]))
found = plan["network"]
del found["grids"]
for count in found["counts"]:
    for way in ("data", "block", "best"):
        if count[way]:
            del count[way]["rows"]
print(json.dumps({"simulation": found, "threads": plan["threads"], "steps": plan["steps"]}))
PYTHON
}

for part in $parts; do
    machine "$part"
    "measure_$part"
done
mv "$results" "$out.jsonl"
python3 bench/scaling.py "$out.jsonl" >"$out.md"
echo "scaling.sh: $out.md, $SECONDS s" >&2
