#!/usr/bin/env bash
# The page about a run: where it goes, what is in it, what is refused.
set -u
source "$(dirname "$0")/lib/expect.sh"
make_data "$work/data" 4
mkdir "$work/unlabelled"
cp "$work/data/train-images-idx3-ubyte" "$work/unlabelled"
pretrain=(pretrain --data "$work/data" "${tiny[@]}" --set health.every=6 --quiet)
expect 0 "" "${pretrain[@]}" --out "$work/run" --set train.epochs=8 --set probe.every=4

# has FILE PATTERN: the data of the page, one line, has this.
has() {
  checks=$((checks + 1))
  sed -n 's|^<script type="application/json" id="data">\(.*\)</script>$|\1|p' "$1" | grep -qE -- "$2" ||
    fail "'$2' is not in the data of $1"
}
# has_not FILE PATTERN: nor this.
has_not() {
  checks=$((checks + 1))
  grep '^<script type="application/json"' "$1" | grep -qE -- "$2" && fail "'$2' is in the data of $1"
}
# nothing_at FILE: a failure left nothing, nor a part of it.
nothing_at() {
  checks=$((checks + 1))
  compgen -G "$1*" >/dev/null && fail "$(echo "$1"*) was written"
}

# report.html in the run's folder, said on standard output.
expect 0 "" report "$work/run"
says "^$work/run/report.html$"
page=$work/run/report.html
has "$page" '"verdict":"(learnt|weak|did not learn)"'
has "$page" '"steps":24,"environment"'
has "$page" '"total_steps":24'
has "$page" '"on_diag":\['
has "$page" '"probe_top1":\['
has "$page" '"effective_rank":\['
has "$page" '"flops":[0-9]+'
has "$page" '"config":"[^"]*train:'
has "$page" '"environment":\{"version"'
checks=$((checks + 1))
[ "$(wc -c <"$page")" -lt 2000000 ] || fail "the page of a tiny run has $(wc -c <"$page") bytes"

# What is made of the images where the run had them: 48 to find among, 24 of the test split to ask about.
has "$page" '"knn":\{"protocol":"[^"]*24 test images by their neighbours among 48 training images'
has "$page" '"top1":[0-9.]+,"random_top1":[0-9.]+'
has "$page" '"correlation":\{"blocks":\[\{"block":1,"dim":16,"shown":16,'
has "$page" '"images":48,"noise"'
has "$page" '"neighbours":\{"items":\[\{"query":[0-9]+,"blocks":\[\[\{"image":[0-9]+,"cosine":'
has "$page" '"picture":"data:image/png;base64,'
has "$page" '"map":\{"x":\[[^]]*\],"y":\[[^]]*\],"label":\['
has "$page" '"filters":\{"trained":"data:image/png;base64,[^"]*","count":8,"size":3'
has_not "$page" '"problem"'
# kNN at the beginning, at the checkpoint before the last step, and at the end.
has "$page" '"knn_over_time":\{"step":\[0,21,24\],"block":\[\{"knn_top1":\[[0-9.]+,[0-9.]+,[0-9.]+\]\}(,\{"knn_top1":\[[0-9.,]+\]\}){3}\]'
# A run under way is seen by its newest checkpoint, which here is what the run ended with; then by none.
cp -r "$work/run" "$work/cut"
rm "$work"/cut/{finished,model.safetensors,heads.safetensors,report.html}
expect 0 "" report "$work/cut"
has "$work/cut/report.html" '"problem":"The run has not finished: [^"]*checkpoint of step 24'
checks=$((checks + 1))
pictures() { sed -n 's/.*\("knn":{"protocol".*\),"correlation".*/\1/p' "$1"; }
[ -n "$(pictures "$page")" ] && [ "$(pictures "$page")" = "$(pictures "$work/cut/report.html")" ] || fail "a checkpoint's pictures are not those of the run it ends"
echo damaged >"$work/cut/checkpoints/step-00000021.safetensors"
expect 0 "" report "$work/cut"
has "$work/cut/report.html" '"knn_over_time":\{"step":\[0,24\]'
rm "$work"/cut/checkpoints/*
expect 0 "" report "$work/cut"
has "$work/cut/report.html" '"problem":"[^"]*neither finished nor a checkpoint'
has_not "$work/cut/report.html" '"filters"'
expect 0 "" report "$work/run" --out "$work/few.html" --images 10 --quiet
has "$work/few.html" '5 test images by their neighbours among 10 training images'
expect 0 "" report "$work/run" --out "$work/none.html" --images 0
has "$work/none.html" '"problem":"Neighbours, [^"]*--images 0'
has_not "$work/none.html" '"knn"'
# One split without labels: neighbours and a map, nothing that needs classes.
expect 0 "" report "$work/run" --out "$work/bare.html" --data "$work/unlabelled"
has "$work/bare.html" '"split":"training","bank":32,"queries":16'
has "$work/bare.html" '"classes":\[\]'
has_not "$work/bare.html" '"knn"'
expect 3 "nowhere" report "$work/run" --out "$work/half.html" --data "$work/nowhere"
nothing_at "$work/half.html"
# Without heads.safetensors; and with images that are gone, or no more what they were.
cp -r "$work/run" "$work/bare"
rm "$work/bare/heads.safetensors"
expect 0 "" report "$work/bare"
has "$work/bare/report.html" '"feature":"trunk"'
has "$work/bare/report.html" '"problem":"The correlation of embeddings needs heads.safetensors'
mv "$work/data" "$work/moved"
expect 0 "" report "$work/run" --out "$work/gone.html"
has "$work/gone.html" '"problem":"[^"]*/data\), which are not there: make the page again with --data PATH'
has "$work/gone.html" '"filters":'
mkdir "$work/data"
expect 0 "" report "$work/run" --out "$work/gone.html"
has "$work/gone.html" '"problem":"[^"]* could not be made: [^"]*/data'
rmdir "$work/data"
mv "$work/moved" "$work/data"
# Test images that are damaged are not passed over in silence.
cp -r "$work/data" "$work/cut_data"
head -c 3000 "$work/data/t10k-images-idx3-ubyte" >"$work/cut_data/t10k-images-idx3-ubyte"
expect 0 "" report "$work/run" --out "$work/cut.html" --data "$work/cut_data"
has "$work/cut.html" '"problem":"The test images cannot be used: [^"]*t10k-images-idx3-ubyte: the header promises'
has "$work/cut.html" '"split":"training"'

# Names and settings are text, whatever they look like.
expect 0 "" report "$work/run" --out "$work/named.html" --title '</script><b>"bold"'
has "$work/named.html" '"title":"\\u003c/script>\\u003cb>\\"bold\\""'

# The folder of a run that has not begun.
expect 0 "" "${pretrain[@]}" --out "$work/random" --set train.steps=0
expect 0 "" report "$work/random"
has "$work/random/report.html" '"steps":0'

# Several runs go to the current folder.
program=$(readlink -f "$BLOCKWISE")
checks=$((checks + 1))
(cd "$work" && "$program" report run random >/dev/null && [ -s report.html ]) || fail "no report.html of two runs"
has "$work/report.html" '"name":"run".*"name":"random"'

# Refusals.
expect 2 "needs RUN" report
expect 3 "data: not a run folder: it has no config.yaml" report "$work/data"
expect 3 "rum: no such run folder; did you mean '$work/run'\?" report "$work/rum"
expect 3 "nothing: no such run folder" report "$work/run" "$work/nothing" --out "$work/half.html"
nothing_at "$work/half.html"
expect 1 "no/such" report "$work/run" --out "$work/no/such/page.html"
[ "$(printf '%s\n' "$stderr" | wc -l)" = 1 ] || fail "--out: found out after the work: $stderr"
cp -r "$work/run" "$work/damaged"
echo nonsense >>"$work/damaged/metrics.jsonl"
expect 3 "metrics.jsonl:25: " report "$work/damaged" --out "$work/damaged.html"
nothing_at "$work/damaged.html"
finish
