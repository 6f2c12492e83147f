#!/usr/bin/env bash
# The first result: recipe cifar10-quick end to end, blockwise and its variants, one seed, and what every block
# learnt. Runs that are whole are kept and not done again; an interrupted one goes on. One line of results for
# each run goes to docs/results.jsonl, and docs/results.md and its plot are made from all of them.
#
#     experiments/cifar10_quick.sh DATA [RUNS]
#
# DATA: folder with train/ and test/, each with a folder of pictures for every class of CIFAR-10.
# RUNS: where runs are kept, default runs/cifar10-quick. Wants python3 with matplotlib for the plot.
set -euo pipefail
[ $# -ge 1 ] || { sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2; }
cd "$(dirname "$0")/.."
data=$1
runs=${2:-runs/cifar10-quick}
blockwise=build/blockwise
images=20000 # labelled ones that probe and neighbours use, of 50,000; the test set is whole
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-2}

cmake -S . -B build -G Ninja -DCMAKE_BUILD_TYPE=Release >/dev/null
cmake --build build --target blockwise >/dev/null
mkdir -p "$runs"

# NAME, then settings on top of the recipe
run() {
    local name=$1 folder=$runs/$1 set=() s
    shift
    for s in "$@"; do set+=(--set "$s"); done
    [ -e "$folder/result.json" ] && return
    printf '\n== %s (%d s)\n' "$name" "$SECONDS" >&2
    local begin=$SECONDS
    $blockwise pretrain --recipe cifar10-quick --data "$data" --out "$folder" "${set[@]}" --resume
    echo $((SECONDS - begin)) >"$folder/seconds"
    $blockwise probe "$folder" --data "$data" --feature both --images "$images" --json >"$folder/first-probe.json"
    $blockwise knn "$folder" --data "$data" --feature both --images "$images" --k 20 --json >"$folder/first-knn.json"
    experiments/collect.py "$folder" "$name" "experiments/cifar10_quick.sh" "$@" >"$folder/result.json.part"
    mv "$folder/result.json.part" "$folder/result.json"
}

run random train.steps=0
run end-to-end train.order=end-to-end
run blockwise
run blockwise-noise noise.kind=all
run sequential train.order=sequential train.steps=4400 # 1100 for each of four blocks
run supervised-blockwise loss.name=cross-entropy loss.scale=1
raw=$runs/raw.json
[ -e "$raw" ] || $blockwise knn "$runs/random" --raw --data "$data" --images "$images" --k 20 --json >"$raw"

{
    for name in end-to-end blockwise blockwise-noise sequential supervised-blockwise random; do
        cat "$runs/$name/result.json"
    done
    experiments/collect.py --raw "$raw" "experiments/cifar10_quick.sh"
} >docs/results.jsonl.part
mv docs/results.jsonl.part docs/results.jsonl
experiments/results.py docs/results.jsonl docs
echo "docs/results.md, docs/results.svg: made from docs/results.jsonl" >&2
