#!/usr/bin/env bash
# What `embed` writes, read by NumPy: features, labels and names, row by row those of the images, whatever bytes
# names have. Skipped where /usr/bin/python3 has no NumPy.
set -u
. "$BW_SOURCE/tests/cli/lib/expect.sh"
/usr/bin/python3 -c 'import numpy' 2>/dev/null || exit 77

mkdir -p "$work/p/train/b" "$work/p/train/a" "$work/p/test/b" "$work/p/test/a" "$work/flat"
png="$BW_FIXTURES/images/$(ls "$BW_FIXTURES/images" | grep -m 1 'png$')"
for name in test/b/z test/b/1 'test/a/ü 雪😀' $'test/a/caf\xe9' train/a/x train/b/y; do cp "$png" "$work/p/$name.png"; done
printf 'no image' >"$work/p/test/a/broken.png"
cp "$png" "$work/flat/one.png"
cp "$png" "$work/flat/two"$'\n'"lines.png"
expect 0 '' pretrain --data "$work/p" --out "$work/run" "${tiny[@]}" --set train.steps=0 --set train.batch=2 --set data.max_bad=0.5
args=(--out "$work/f.npy" --labels "$work/l.npy" --quiet --threads 1)
expect 0 'broken' embed "$work/run" --data "$work/p" "${args[@]}" --names "$work/n.npy"
expect 0 'broken' embed "$work/run" --data "$work/p" --out "$work/f2.npy" --names "$work/n.txt" --quiet
expect 0 '' embed "$work/run" --data "$work/p" --split train --out "$work/t.npy" --names "$work/t.txt" --quiet
expect 0 '' embed "$work/run" --data "$work/flat" --out "$work/u.npy" --labels "$work/ul.npy" --names "$work/un.npy" --quiet
expect 3 'line feed' embed "$work/run" --data "$work/flat" --out "$work/v.npy" --names "$work/v.txt" --quiet
[ ! -e "$work/v.txt" ] || fail "a partial list of names is left"
/usr/bin/python3 - "$work" <<'PY' || fail "NumPy reads something else"
import os
import sys

import numpy

os.chdir(sys.argv[1])
load = lambda name: numpy.load(name, allow_pickle=False)
features, labels, names = load("f.npy"), load("l.npy"), load("n.npy")
assert features.dtype == numpy.float32 and features.shape == (4, 64), (features.dtype, features.shape)
assert labels.dtype == numpy.int64 and labels.tolist() == [0, 0, 1, 1], labels
# torchvision's ImageFolder order: classes sorted, files sorted, by bytes here
want = sorted((os.path.join("p/test", c, f) for c in ("a", "b") for f in os.listdir("p/test/" + c) if f != "broken.png"),
              key=os.fsencode)
assert [str(n) for n in names] == [os.path.relpath(w, "p") for w in want] or [str(n) for n in names] == want, (names, want)
assert all(os.path.exists(os.path.join("p", n)) for n in names), names  # os.fsencode() gives the very bytes back
lines = open("n.txt", "rb").read().split(b"\n")
assert lines[-1] == b"" and lines[:-1] == [os.fsencode(str(n)) for n in names], lines
assert numpy.array_equal(load("f2.npy"), features)
assert open("t.txt").read().split() == ["train/a/x.png", "train/b/y.png"] and len(load("t.npy")) == 2
assert load("ul.npy").tolist() == [-1, -1] and "two\nlines.png" in str(load("un.npy")[1]), load("un.npy")
PY
finish
