#!/usr/bin/env bash
# The commands and programs of docs/exchange.md, block by block as they stand there. A block says what it needs; where
# that is missing it is left out and named. Without OpenCV, which makes the pictures, all of it is skipped (77).
# label: slow
set -u
. "$BW_SOURCE/tests/cli/lib/expect.sh"
python=/usr/bin/python3
"$python" -c 'import cv2, numpy' 2>/dev/null || exit 77
page=$BW_SOURCE/docs/exchange.md
cd "$work" || exit 1

"$python" - <<'PY'
import os
import cv2, numpy
random = numpy.random.default_rng(1)
for split, count in (("train", 8), ("test", 6)):
    for label, name in enumerate(("ant", "bee")):
        os.makedirs(f"photos/{split}/{name}")
        for i in range(count):
            picture = random.integers(0, 256, (32, 32, 3)) // (1 + label)
            cv2.imwrite(f"photos/{split}/{name}/{i}.png", picture.astype(numpy.uint8))
PY
expect 0 '' pretrain --data photos --out runs/small "${tiny[@]}" --set data.image_size=32 --set train.batch=8 --set train.steps=2 --quiet
expect 0 '' pretrain --data photos --out runs/photos --set model.arch=resnet18 --set data.image_size=32 --set train.batch=4 \
  --set train.steps=0 --set 'projector.widths=[8]' --set threads=1 --quiet

# Programs of the page find: blockwise, what stands in for the package `safetensors` where that is missing, modules of node.
mkdir bin && ln -s "$BLOCKWISE" bin/blockwise
export PATH=$work/bin:$PATH PYTHONPATH=$BW_SOURCE/examples/python:$work/stand-in:${PYTHONPATH:-}
if ! "$python" -c 'import safetensors.torch' 2>/dev/null; then
  mkdir -p stand-in/safetensors
  : >stand-in/safetensors/__init__.py
  echo 'from safetensors_file import load_file' >stand-in/safetensors/torch.py
fi
export NODE_PATH=${NODE_PATH:-}:${XDG_CACHE_HOME:-${HOME:-}/.cache}/blockwise/node_modules

has() {
  case $1 in
  onnxruntime-node) command -v node >/dev/null && node -e "require('$1')" 2>/dev/null ;;
  *) "$python" -c "import $1" 2>/dev/null ;;
  esac
}

# block-1.sh, block-2.python, ...: the first line says "kind needs ..."
awk '/^```[a-z]+/ { n++; file = sprintf("block-%02d", n); print substr($0, 4) >file; inside = 1; next }
     /^```$/ { inside = 0; close(file); next }
     inside { print >file }' "$page"
blocks=0
for block in block-*; do
  read -r kind needs <"$block"
  missing=
  for need in ${needs#needs}; do has "$need" || missing="$missing $need"; done
  if [ -n "$missing" ]; then
    echo "$block ($kind): left out, without$missing"
    continue
  fi
  sed 1d "$block" >program
  case $kind in
  sh) bash -eu program >said 2>&1 ;;
  python) "$python" program >said 2>&1 ;;
  js) node program >said 2>&1 ;;
  *) fail "$block: what is '$kind'?" ;;
  esac || fail "$block ($kind) of docs/exchange.md: $(cat said)"
  blocks=$((blocks + 1))
  checks=$((checks + 1))
done
[ "$blocks" -ge 5 ] || fail "only $blocks blocks of $page were run"

# The example of timm, where there is one.
if has timm; then
  "$python" "$BW_SOURCE/examples/python/load_in_timm.py" net >said 2>&1 || fail "load_in_timm.py: $(cat said)"
fi
finish
