#!/usr/bin/env bash
# Measures this program beside PyTorch and writes docs/performance.jsonl, and docs/performance.md from it.
#
#     bench/compare.sh [-q] [-r ROUNDS] [-s STEPS] [-w WARMUP] [-t THREADS] [-d TYPES] [-m SMALL:LARGE]
#                      [-i IMAGES] [-p PARTS] [-o NAME] [ARCH:SIZE:BATCH:ORDER]...
#
# Needs a built project and, by hand or from apt, python3-torch, python3-torchvision, libopenblas0-pthread.
# Leave the machine alone meanwhile: about 40 minutes on two cores, a quarter of an hour with -q.
#
#   -q  quick: one round of one step, no large cases       -r  rounds (3)    -s  steps timed in each (2)
#   -w  steps before them (1)    -t  threads (all cores)   -d  types ("f32 bf16"; bf16 where it is supported)
#   -m  batches between which memory growth is taken (4:16)
#   -i  folder of JPEG files (64 images of 500x375, made here)
#   -p  parts: "steps profile memory augment loader large" (all)
#   -o  where to write, without suffix (docs/performance)
#
# Cases: ResNet-50 at 224 px batch 16 and ResNet-18 (CIFAR stem) at 32 px batch 128, blockwise and end to end.
# Each round times every case here and in PyTorch, one after the other, so that both meet the same machine;
# PyTorch in both memory formats in the first round, in its better one from then on. What fails is
# recorded with its reason and the rest goes on. BLOCKWISE and PYTHON name other programs.
set -euo pipefail
cd "$(dirname "$0")/.."
command_line="bench/compare.sh $*"
blockwise=${BLOCKWISE:-build/blockwise}
python=${PYTHON:-/usr/bin/python3} # another python3 in the path may have no torch, or another one
rounds=3 steps=2 warmup=1 threads=$(nproc) types="f32 bf16" batches=4:16 images="" out=docs/performance
parts="steps profile memory augment loader large"
usage() { sed -n '4,23s/^# \{0,1\}//p' "$0" >&2; exit 2; }
while getopts qr:s:w:t:d:m:i:p:o:h option; do
    case $option in
        q) rounds=1 steps=1 parts="steps profile memory augment" ;;
        r) rounds=$OPTARG ;;
        s) steps=$OPTARG ;;
        w) warmup=$OPTARG ;;
        t) threads=$OPTARG ;;
        d) types=$OPTARG ;;
        m) batches=$OPTARG ;;
        i) images=$OPTARG ;;
        p) parts=$OPTARG ;;
        o) out=$OPTARG ;;
        *) usage ;;
    esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || set -- resnet50:224:16:simultaneous resnet50:224:16:end-to-end \
    resnet18:32:128:simultaneous resnet18:32:128:end-to-end
[ -x "$blockwise" ] || { echo "compare.sh: $blockwise is not there; build it first" >&2; exit 1; }

# A build of OpenBLAS forced to other kernels, or to one thread, would be no fair opponent.
for name in $(compgen -e | grep '^OPENBLAS_' || true); do unset "$name"; done
export OMP_NUM_THREADS=$threads
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
results=$out.jsonl.part # stays when the run is interrupted: performance.py makes a page of it too
: >"$results"

# record META COMMAND...: one line with the fields of META and of the JSON that COMMAND prints.
record() {
    local meta=$1 status=0
    shift
    printf '%5d s  %s\n' "$SECONDS" "$meta" >&2
    "$@" >"$work/stdout" 2>"$work/stderr" || status=$?
    "$python" - "$meta" "$status" "$work" >>"$results" <<'PYTHON'
import json, sys

meta, status, work = sys.argv[1:]
row = json.loads(meta)
if status == "0":
    found = json.load(open(f"{work}/stdout"))
    row |= found if isinstance(found, dict) else {"results": found}
else:
    lines = open(f"{work}/stderr").read().strip().splitlines()
    row["failed"] = lines[-1] if lines else f"exit status {status}"
    print("         failed:", row["failed"], file=sys.stderr)
print(json.dumps(row))
PYTHON
}

wants() { [[ " $parts " = *" $1 "* ]]; }

# ours|theirs CASE TYPE STEPS WARMUP [MORE...]: the command in the array `call`.
split_case() {
    IFS=: read -r arch size batch order <<<"$1"
    [ -n "${order:-}" ] || usage
    stem=imagenet
    [ "$size" -gt 64 ] || stem=cifar
}
settings() { # CASE TYPE
    split_case "$1"
    setting=(--set model.arch="$arch" --set model.stem=$stem --set data.image_size="$size" --set train.batch="$batch"
        --set train.order="$order" --set dtype="$2" --set threads="$threads" --set optimizer.name=sgd
        --set 'projector.widths=[2048,2048,2048]')
}
ours() {
    settings "$1" "$2"
    call=("$blockwise" bench step --json --quiet --steps "$3" --warmup "$4" "${setting[@]}" "${@:5}")
}
theirs() {
    split_case "$1"
    call=("$python" bench/pytorch/step.py --arch "$arch" --stem $stem --image-size "$size" --batch "$batch"
        --order "$order" --dtype "$2" --threads "$threads" --steps "$3" --warmup "$4" "${@:5}")
}

# best CASE TYPE: nchw or nhwc, whichever PyTorch was faster with in the first round.
best() {
    "$python" - "$results" "$1" "$2" <<'PYTHON'
import json, sys

path, case, dtype = sys.argv[1:]
times = {}
for row in map(json.loads, open(path)):
    wanted = {"record": "step", "round": 1, "case": case, "dtype": dtype}
    if all(row.get(k) == v for k, v in wanted.items()) and "step_s_median" in row:
        times[row["who"]] = row["step_s_median"]
print("nhwc" if times.get("pytorch-nhwc", 1e9) < times.get("pytorch-nchw", 1e9) else "nchw")
PYTHON
}

record '{"record": "check"}' "$python" bench/pytorch/check.py --threads "$threads"
! grep -q '"failed"' "$results" || exit 1
record '{"record": "machine"}' "$python" bench/machine.py "$blockwise" "${command_line% }"

usable=()
for type in $types; do
    ours resnet18:32:4:simultaneous "$type" 1 0 --set model.width=8 --set 'projector.widths=[16]'
    if [ "$type" = bf16 ] && ! grep -qwE 'avx512_bf16|amx_bf16' /proc/cpuinfo; then
        call=(bash -c 'echo "this processor has no bf16 instructions (avx512_bf16, amx_bf16)" >&2; exit 1')
    fi
    if "${call[@]}" >/dev/null 2>"$work/stderr"; then
        usable+=("$type")
        record "{\"record\": \"matmul\", \"dtype\": \"$type\"}" \
            "$blockwise" bench matmul --json --quiet --set threads="$threads" --set dtype="$type"
    else
        record "{\"record\": \"skipped\", \"what\": \"$type\"}" "${call[@]}"
    fi
done
if [ -z "$images" ] && { wants augment || wants loader; }; then
    images=$work/images
    "$python" bench/pytorch/augment.py --make 64 "$images"
    image_note="64 made JPEG files of 500x375"
else
    image_note="the JPEG files of a folder"
fi

step_round() { # ROUND CASE TYPE
    local meta="\"record\": \"step\", \"round\": $1, \"case\": \"$2\", \"dtype\": \"$3\""
    local formats="nchw nhwc" format
    ours "$2" "$3" "$steps" "$warmup"
    record "{$meta, \"who\": \"blockwise\"}" "${call[@]}"
    [ "$1" = 1 ] || formats=$(best "$2" "$3")
    for format in $formats; do
        theirs "$2" "$3" "$steps" "$warmup"
        [ "$format" = nchw ] || call+=(--channels-last)
        record "{$meta, \"who\": \"pytorch-$format\"}" "${call[@]}"
    done
    if [[ $2 = *:simultaneous ]] && [ "$size" -gt 64 ]; then
        ours "$2" "$3" "$steps" "$warmup" --set train.recompute=true
        record "{$meta, \"who\": \"blockwise-recompute\"}" "${call[@]}"
    fi
}

memory_at() { # BATCH TYPE; the network of the first case
    local meta="\"record\": \"memory\", \"batch\": $1, \"dtype\": \"$2\"" case who
    split_case "$first"
    case=$arch:$size:$1
    here() { record "{$meta, \"case\": \"$arch:$size\", \"who\": \"$who\"}" "${call[@]}"; }
    who=blockwise && ours "$case:simultaneous" "$2" 1 1 && here
    who=blockwise-recompute && ours "$case:simultaneous" "$2" 1 1 --set train.recompute=true && here
    who=pytorch && theirs "$case:simultaneous" "$2" 1 1 && here
    who=pytorch-forwards-first && theirs "$case:simultaneous" "$2" 1 1 --forwards-first && here
    who=pytorch-checkpoint && theirs "$case:end-to-end" "$2" 1 1 --checkpoint && here
    settings "$case:simultaneous" "$2"
    record "{\"record\": \"plan\", \"case\": \"$case:simultaneous\", \"dtype\": \"$2\"}" \
        "$blockwise" plan --json "${setting[@]}"
}

augment_round() { # ROUND
    local meta="\"record\": \"augment\", \"round\": $1, \"source\": \"$image_note\""
    record "{$meta, \"who\": \"blockwise\"}" "$blockwise" bench loader --json --quiet --data "$images" \
        --steps 20 --warmup 3 --set train.batch=16 --set data.image_size=224 --set data.threads=1 --set threads=1
    record "{$meta, \"who\": \"torchvision\"}" "$python" bench/pytorch/augment.py --samples 200 "$images"
}

# Wall time of a run of N steps over the images; the difference of two runs has no start and no end in it.
run_seconds() { # CASE TYPE STEPS
    settings "$1" "$2"
    local start=$EPOCHREALTIME
    rm -rf "$work/run"
    "$blockwise" pretrain --quiet --data "$images" --out "$work/run" "${setting[@]}" --set train.steps="$3" \
        --set checkpoint.every=1000000 --set health.every=1000000 >/dev/null || return
    "$python" -c 'import sys; print(float(sys.argv[2]) - float(sys.argv[1]))' "$start" "$EPOCHREALTIME"
}
# The synthetic step beside it is one without a loader: in turns within one process (bench step --data) the loader
# would use up the time of the synthetic steps as well.
loader_on() { # CASE TYPE
    local few many n=$((4 * steps))
    ours "$1" "$2" $((steps + 1)) "$warmup"
    few=$(run_seconds "$1" "$2" 1) && many=$(run_seconds "$1" "$2" $((n + 1))) || return
    "${call[@]}" >"$work/synthetic" || return
    "$python" - "$few" "$many" "$n" "$work/synthetic" <<'PYTHON'
import json, sys

few, many, n = map(float, sys.argv[1:4])
print(json.dumps({"step_s": (many - few) / n, "synthetic_step_s": json.load(open(sys.argv[4]))["step_s_median"]}))
PYTHON
}

first=$1
for ((round = 1; round <= rounds; round++)); do
    for type in "${usable[@]}"; do
        for case in "$@"; do
            ! wants steps || step_round "$round" "$case" "$type"
        done
    done
    ! wants augment || augment_round "$round"
done
for type in "${usable[@]}"; do
    if wants profile; then
        ours "$first" "$type" $((steps + 1)) "$warmup" --profile
        record "{\"record\": \"profile\", \"case\": \"$first\", \"dtype\": \"$type\"}" "${call[@]}"
    fi
    if wants loader; then
        record "{\"record\": \"loader\", \"case\": \"$first\", \"dtype\": \"$type\"}" loader_on "$first" "$type"
    fi
    if wants memory; then
        memory_at "${batches%:*}" "$type"
        memory_at "${batches#*:}" "$type"
    fi
    if wants large; then
        ours resnet50:224:32:simultaneous "$type" 1 0 --set 'projector.widths=[8192,8192,8192]'
        record "{\"record\": \"large\", \"what\": \"projectors 8192-8192-8192, batch 32, $type\"}" "${call[@]}"
    fi
    # Once, in the smaller type the processor has.
    if wants large && [ "$type" = "${usable[-1]}" ]; then
        ours resnet50:224:256:simultaneous "$type" 1 0
        record "{\"record\": \"large\", \"what\": \"batch 256, $type\"}" "${call[@]}"
    fi
done

mv "$results" "$out.jsonl"
"$python" bench/performance.py "$out.jsonl" >"$out.md"
echo "compare.sh: $out.md, $SECONDS s" >&2
