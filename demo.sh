#!/usr/bin/env bash
# Pretrains a small ResNet block by block on Fashion-MNIST (60,000 real images, from Debian), then shows
# what every block learnt beside the same network at its random initialisation and beside raw pixels.
#
#     [DEMO_SEED=N] ./demo.sh [option of `blockwise pretrain`]...
#
# Exit status 1 if any block does not beat its random initialisation.
set -euo pipefail
cd "$(dirname "$0")"

scripts/setup.sh
cmake -S . -B build -G Ninja -DCMAKE_BUILD_TYPE=Release >/dev/null
cmake --build build --target blockwise

recipe=fashion-mnist-demo
data=$(dpkg -L dataset-fashion-mnist | awk '/train-images-idx3-ubyte/ { sub(/\/[^\/]*$/, ""); print }')
mkdir -p runs
suffix= # runs are never overwritten: the second pair is numbered 2
for ((n = 2; ; n++)); do
    run=runs/$recipe$suffix
    random=runs/$recipe-random$suffix
    [ -e "$run" ] || [ -e "$random" ] || break
    suffix=-$n
done
images=20000 # labelled ones that probe and neighbours use, of 60,000; the test set is whole
options=(--recipe "$recipe" --data "$data" ${DEMO_SEED:+--set "seed=$DEMO_SEED"} "$@")

SECONDS=0
step() { printf '\n== %s (%d s)\n' "$*" "$SECONDS" >&2; }
step "pretraining, every block on its own loss: $run"
build/blockwise pretrain "${options[@]}" --out "$run"
step "the same network before training: $random"
build/blockwise pretrain "${options[@]}" --out "$random" --set train.steps=0
for model in "$run" "$random"; do
    step "linear probe and nearest neighbours of every block: $model"
    build/blockwise probe "$model" --data "$data" --feature head --images "$images" --json >"$model/demo-probe.json"
    build/blockwise knn "$model" --data "$data" --feature head --images "$images" --k 20 --json >"$model/demo-knn.json"
done
step "nearest neighbours on raw pixels"
build/blockwise knn "$run" --raw --data "$data" --images "$images" --k 20 --json >"$run/demo-raw.json"
took=$SECONDS

# The results are arrays of flat JSON objects: one record for each "}".
awk -v run="$run" -v took="$took" -v images="$images" '
    function value(key,    text) {
        if (!match($0, "\"" key "\"[ \n]*:[ \n]*[^,}]*")) return ""
        text = substr($0, RSTART, RLENGTH)
        sub(/^[^:]*:[ \n]*/, "", text)
        return text + 0
    }
    BEGIN { RS = "}" }
    /"top1"/ {
        kind = FILENAME
        sub(/^.*demo-/, "", kind)
        sub(/\.json$/, "", kind)
        who = index(FILENAME, run "/") == 1 ? "trained" : "random"
        block = kind == "raw" ? 0 : value("block")
        top1[kind, who, block] = value("top1")
        if (block > blocks) blocks = block
        results++
    }
    END {
        print ""
        printf "Fashion-MNIST test set, top-1 in per cent; %d labelled training images\n", images
        print ""
        print "          linear probe          kNN (k=20)"
        print "block   trained   random     trained   random"
        failed = blocks < 1 || results != 4 * blocks + 1
        for (k = 1; k <= blocks; k++) {
            printf "%5d   %7.2f  %7.2f     %7.2f  %7.2f\n", k, top1["probe", "trained", k], \
                top1["probe", "random", k], top1["knn", "trained", k], top1["knn", "random", k]
            if (!(top1["probe", "trained", k] > top1["probe", "random", k] && \
                  top1["knn", "trained", k] > top1["knn", "random", k])) failed = 1
        }
        printf "\nkNN on raw pixels: %.2f\n", top1["raw", "trained", 0]
        printf "Time: %d s\n", took
        if (failed) print "NOT LEARNT: a block does not beat its random initialisation"
        printf "Weights: %s/model.safetensors\n", run
        exit failed
    }' "$run"/demo-probe.json "$run"/demo-knn.json "$run"/demo-raw.json \
    "$random"/demo-probe.json "$random"/demo-knn.json
