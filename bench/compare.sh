#!/usr/bin/env bash
# Times the same training step here and in PyTorch, alternately in one session, so that both meet the same
# machine. Needs python3-torch and python3-torchvision. Leave the machine alone meanwhile.
#
#     bench/compare.sh [-r ROUNDS] [-s STEPS] [-t THREADS] [-d f32|bf16] [-m MODES] [ARCH:SIZE:BATCH:ORDER]...
#
# Without cases: resnet50 at 224 px batch 8 and resnet18 (CIFAR stem) at 32 px batch 128, both orders.
# MODES: PyTorch's memory formats, "nchw nhwc"; each is timed. BLOCKWISE and PYTHON name other programs.
# Prints, for every case, the median over the rounds of each program's median step, the ratio of the rates
# and of the peak memory (above 1: blockwise is faster, PyTorch needs more memory).
set -euo pipefail
cd "$(dirname "$0")/.."
blockwise=${BLOCKWISE:-build/blockwise}
python=${PYTHON:-/usr/bin/python3}
rounds=3 steps=5 threads=$(nproc) dtype=f32 modes="nchw nhwc"
usage() { sed -n '2,10s/^# \{0,1\}//p' "$0" >&2; exit 2; }
while getopts r:s:t:d:m:h option; do
    case $option in
        r) rounds=$OPTARG ;;
        s) steps=$OPTARG ;;
        t) threads=$OPTARG ;;
        d) dtype=$OPTARG ;;
        m) modes=$OPTARG ;;
        *) usage ;;
    esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || set -- resnet50:224:8:simultaneous resnet50:224:8:end-to-end \
    resnet18:32:128:simultaneous resnet18:32:128:end-to-end
[ -x "$blockwise" ] || { echo "compare.sh: $blockwise is not there; build it first" >&2; exit 1; }
"$python" -c 'import torch, torchvision' || exit 1

# A build of OpenBLAS forced to other kernels, or to one thread, would be no fair opponent.
for name in $(compgen -e | grep '^OPENBLAS_' || true); do unset "$name"; done
export OMP_NUM_THREADS=$threads
results=$(mktemp)
trap 'rm -f "$results"' EXIT

record() { # NAME COMMAND...: one line "NAME JSON"
    local name=$1
    shift
    printf '%s %s\n' "$name" "$("$@" | tr -d '\n')" >>"$results"
}

for case in "$@"; do
    IFS=: read -r arch size batch order <<<"$case"
    [ -n "${order:-}" ] || usage
    stem=imagenet
    [ "$size" -gt 64 ] || stem=cifar
    ours=("$blockwise" bench step --json --quiet --steps "$steps" --set model.arch="$arch" --set model.stem=$stem
        --set data.image_size="$size" --set train.batch="$batch" --set train.order="$order" --set dtype="$dtype"
        --set threads="$threads" --set optimizer.name=sgd --set 'projector.widths=[2048,2048,2048]')
    theirs=("$python" bench/pytorch/step.py --arch "$arch" --stem $stem --image-size "$size" --batch "$batch"
        --order "$order" --dtype "$dtype" --threads "$threads" --steps "$steps")
    for ((round = 1; round <= rounds; round++)); do
        printf '%s, round %d of %d\n' "$case" "$round" "$rounds" >&2
        record "$case blockwise" "${ours[@]}"
        for mode in $modes; do
            case $mode in
                nchw) record "$case pytorch-nchw" "${theirs[@]}" ;;
                nhwc) record "$case pytorch-nhwc" "${theirs[@]}" --channels-last ;;
                *) usage ;;
            esac
        done
    done
done

"$python" - "$results" <<'PYTHON'
import json, statistics, sys

runs = {}
for line in open(sys.argv[1]):
    case, who, text = line.split(" ", 2)
    runs.setdefault(case, {}).setdefault(who, []).append(json.loads(text))
for case, programs in runs.items():
    print(case)
    mine = None
    for who, found in programs.items():
        times = [r["step_s_median"] for r in found]
        step, memory = statistics.median(times), statistics.median(r["peak_rss_mb"] for r in found)
        rate = found[0]["batch"] / step
        mine = mine or (rate, memory)
        print(
            f"  {who:13} step {step:9.4f} s ({min(times):.4f}-{max(times):.4f})  {rate:8.2f} samples/s"
            f"  peak {memory:7.0f} MB   blockwise: rate x{mine[0] / rate:.2f}, memory 1/{memory / mine[1]:.2f}"
        )
PYTHON
