#!/usr/bin/env bash
# `blockwise robustness`: its tables, its JSON and its refusals.
set -u
source "$(dirname "$0")/lib/expect.sh"
data=$work/data
run=$work/run
make_data "$data" 4
expect 0 "" pretrain --train "$data" --out "$run" "${tiny[@]}" --set train.steps=0 --quiet
quick=(--data "$data" --epochs 2 --threads 1 --quiet)

expect 0 "" robustness "$run" "${quick[@]}" --corruptions contrast,jpeg_compression
says '^block 4, head: top-1 [0-9.]+ clean$'
says '^contrast( +[0-9]+\.[0-9]{2}){6}$'
says '^jpeg_compression( +[0-9]+\.[0-9]{2}){6}$'
says '^mean error [0-9.]+, not normalised: there is no --baseline$'
says '^protocol: robustness: .*2 corruptions x 5 severities'
expect 0 "" robustness "$run" "${quick[@]}" --corruptions pixelate --block all --feature both \
  --baseline "$run" --test-images 9 --json
checks=$((checks + 1))
[ "$(printf '%s\n' "$stdout" | grep -c '"block": [1-4],')" = 8 ] || fail "not 4 blocks with 2 features: $stdout"
for key in clean_top1 mean_error relative_mce ce relative_ce; do says "\"$key\": "; done
says '"name": "pixelate"'
says '"top1": \['
says '9 test images each, mCE relative to the baseline model'
says '"mce": 100\.0,' # of the baseline itself
expect 0 "" robustness "$run" "${quick[@]}" --corruptions pixelate --json
says '"mce": null'

expect 2 "corruption 'fog' cannot be made here; there are gaussian_noise" robustness "$run" "${quick[@]}" --corruptions fog
expect 2 "block 5" robustness "$run" "${quick[@]}" --block 5
expect 3 "nowhere" robustness "$run" "${quick[@]}" --corrupted "$work/nowhere"
mkdir -p "$work/c/fog/1" "$work/c/fog/2"
expect 3 "fog: severity 3 is missing" robustness "$run" "${quick[@]}" --corrupted "$work/c"
expect 0 "" list corruptions
says '^gaussian_noise +normal noise'
finish
