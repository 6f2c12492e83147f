#!/usr/bin/env bash
# Every command of docs/tutorial.md, in its order, on a folder of pictures: the page's blocks of shell and Python as they
# stand there. The network is smaller: its recipe is found in another folder (BLOCKWISE_RECIPES), where it extends
# the real one.
# label: slow
set -u
. "$BW_SOURCE/tests/cli/lib/expect.sh"
. "$BW_SOURCE/tests/docs/lib/pictures.sh"
page=$BW_SOURCE/docs/tutorial.md

make_pictures "$work" 64 32 || exit $?
mkdir "$work/recipes"
cat >"$work/recipes/pictures.yaml" <<YAML
extends: $BW_SOURCE/recipes/pictures.yaml
threads: 1
model.width: 8
data.image_size: 32
projector.widths: [16, 16]
train.batch: 16
train.steps: 8
YAML

# blocks KIND: the page's blocks of one language, or of all, into files NN.language; those before "## 1." go apart.
awk -v folder="$work" '
  /^## 1\./ { part = "page" }
  BEGIN { part = "build" }
  /^```/ && open { open = 0; close(file); next }
  /^```/ { open = 1; language = substr($0, 4); file = sprintf("%s/%s-%02d.%s", folder, part, ++n, language); next }
  open { print > file }' "$page"

# Building is what demo.sh does, so that is not done again here.
for block in "$work"/build-*.sh; do
  while read -r line; do
    checks=$((checks + 1))
    grep -qF -- "$line" "$BW_SOURCE/demo.sh" || fail "demo.sh does not build with '$line'"
  done <"$block"
done

python=
for p in python3 /usr/bin/python3; do
  "$p" -c 'import numpy' 2>/dev/null && python=$p && break
done

cd "$work" || exit 1
export BLOCKWISE_RECIPES=$work/recipes PATH=${BLOCKWISE%/*}:$PATH
shells=0
for block in page-*; do
  checks=$((checks + 1))
  case $block in
    *.sh)
      shells=$((shells + 1))
      # Line by line, as typed; each must succeed.
      bash -euo pipefail "$block" >"$block.out" 2>"$block.err" </dev/null
      status=$?
      [ "$status" = 0 ] || fail "$(cat "$block"): exit status $status: $(tail -n 3 "$block.err")"
      ;;
    *.python)
      if [ -n "$python" ]; then
        "$python" "$block" >"$block.out" 2>&1 || fail "$(cat "$block"): $(tail -n 3 "$block.out")"
        [ "$(grep -o 'IMG_[0-9]*' "$block.out" | sort -u | wc -l)" = 6 ] || fail "not six pictures: $(cat "$block.out")"
      else
        echo "no NumPy here: $block is not run" >&2
      fi
      ;;
    *.yaml) cp "$block" "$(sed -n '1s/^# //p' "$block")" ;;
    *.text) ;; # what a program printed
    *) fail "$block: a block of a language that this test does not run" ;;
  esac
done
[ "$shells" -ge 8 ] || fail "only $shells blocks of commands were found"
for file in features.npy pictures.onnx runs/first/finished runs/first/report.html runs/second/finished runs/random/model.safetensors runs/first/probe.json; do
  checks=$((checks + 1))
  [ -s "$file" ] || fail "$file was not written"
done
checks=$((checks + 1))
grep -qh 'the run is finished' page-*.err || fail "--resume of a finished run says nothing"
finish
