#!/usr/bin/env bash
# `data pack` writes shards that other programs read, and every verb works with shards as with what they were made
# from: same weights, same features, same results.
set -u
source "$(dirname "$0")/lib/expect.sh"

for split in train val; do
  for class in cat dog fox; do
    mkdir -p "$work/in/$split/$class"
    for image in rgb.jpg grey.png cmyk.jpg; do cp "$BW_FIXTURES/images/$image" "$work/in/$split/$class/"; done
  done
done
mkdir -p "$work/wds/train" "$work/wds/val"
expect 0 "" data pack "$work/in" --out "$work/wds/train/part-%06d.tar" --images 4 --json
says '"shards": *3'
says '"labelled": *9'
expect 0 "" data pack "$work/in" --split test --out "$work/wds/val/part-%06d.tar"
says "part-%06d.tar: 1 shards, 9 images, 9 with labels of 3 classes"
expect 2 "part-00000[0-2].tar: is there already" data pack "$work/in" --out "$work/wds/train/part-%d.tar"
expect 2 "write %d where" data pack "$work/in" --out "$work/x.tar" --images 4
expect 2 "needs --out" data pack "$work/in"
expect 2 "one %d or %06d" data pack "$work/in" --out "$work/x-%s.tar"
expect 3 "nowhere" data pack "$work/nowhere" --out "$work/x.tar"
checks=$((checks + 1))
[ ! -e "$work/x.tar" ] || fail "a refused pack left a file"

# Other programs read them.
checks=$((checks + 1))
[ "$(tar tf "$work/wds/train/part-000000.tar" | head -3 | tr '\n' ' ')" = \
  "train/cat/cmyk.jpg train/cat/cmyk.cls train/cat/grey.png " ] ||
  fail "tar lists: $(tar tf "$work/wds/train/part-000000.tar")"
mkdir "$work/out"
for shard in "$work"/wds/train/*.tar "$work"/wds/val/*.tar; do tar xf "$shard" -C "$work/out" || fail "tar: $shard"; done
find "$work/out" -name '*.cls' -delete
checks=$((checks + 1))
diff -r "$work/in" "$work/out" || fail "unpacked images differ"
if command -v python3 >/dev/null; then
  checks=$((checks + 1))
  said=$(python3 - "$work/wds/train/part-000001.tar" <<'PY'
import sys, tarfile
with tarfile.open(sys.argv[1]) as t:
    print(*[(m.name, m.size, m.mtime, m.uid, m.uname) for m in t][:2], t.extractfile(t.getmembers()[1]).read())
PY
)
  size=$(stat -c %s "$BW_FIXTURES/images/grey.png")
  [ "$said" = "('train/dog/grey.png', $size, 0, 0, '') ('train/dog/grey.cls', 1, 0, 0, '') b'1'" ] ||
    fail "tarfile says: $said"
fi

# Shards made by tar itself, with a folder for each class and none for the data.
mkdir "$work/plain"
tar cf "$work/plain/all.tar" -C "$work/in/train" .
expect 0 "" data check "$work/plain/all.tar"
says '^format: tar$'
says '^train: 9 images, 3 classes, 0 unreadable$'

expect 0 "" data check "$work/wds"
says '^train: 9 images, 3 classes, 0 unreadable$'
says '^test: 9 images, 3 classes, 0 unreadable$'
says '^  class dog: 3$'

# The same order, images and labels: the same run, bit for bit, and the same results.
small=("${tiny[@]}" --set train.batch=4 --set train.epochs=2 --set 'projector.widths=[16]')
expect 0 "loss" pretrain --data "$work/in" --out "$work/folders" "${small[@]}"
expect 0 "loss" pretrain --data "$work/wds/train/part-{000000..000002}.tar" --out "$work/shards" "${small[@]}"
checks=$((checks + 1))
cmp "$work/folders/model.safetensors" "$work/shards/model.safetensors" || fail "weights differ"
for split in train test; do
  expect 0 "" embed "$work/folders" --data "$work/in" --split $split --out "$work/a.npy" --labels "$work/al.npy"
  expect 0 "" embed "$work/folders" --data "$work/wds" --split $split --out "$work/b.npy" --labels "$work/bl.npy"
  checks=$((checks + 1))
  cmp "$work/a.npy" "$work/b.npy" && cmp "$work/al.npy" "$work/bl.npy" || fail "features of the $split split differ"
done
for verb in "probe --epochs 2" "knn --k 3"; do
  expect 0 "" $verb "$work/folders" --data "$work/in" --json
  before=$stdout
  expect 0 "" $verb "$work/folders" --data "$work/wds" --json
  checks=$((checks + 1))
  [ "$before" = "$stdout" ] || fail "$verb on shards: $stdout; on folders: $before"
done
expect 0 "" plan --data "$work/wds" "${small[@]}"

# What is missing or damaged is named.
expect 3 "1 of 4 shards are missing: part-000003.tar; copy" \
  pretrain --data "$work/wds/train/part-{000000..000003}.tar" --out "$work/none" "${small[@]}"
shard=$work/wds/train/part-000001.tar
truncate -s $(($(stat -c %s "$shard") - 4000)) "$shard"
expect 3 "part-000001.tar: the file ends inside of an entry at byte [0-9]+ of" \
  pretrain --data "$work/wds" --out "$work/none" "${small[@]}"
checks=$((checks + 1))
[ ! -e "$work/none" ] || fail "what cannot be trained on left a run folder"
expect 0 "warning: .*part-000001.tar: the file ends inside" \
  pretrain --data "$work/wds" --out "$work/fewer" "${small[@]}" --set data.max_bad=0.9
stdout=$("$BLOCKWISE" data check "$work/wds" 2>"$work/stderr")
code=$?
checks=$((checks + 1))
[ $code = 3 ] && grep -q 'of the train split is lost in damaged shards' "$work/stderr" ||
  fail "data check of a damaged shard: exit status $code, $(cat "$work/stderr")"
says 'problem: .*part-000001.tar: the file ends inside of an entry at byte'
cp "$work/wds/val/part-000000.tar" "$work/one.tar" && gzip "$work/one.tar"
expect 3 "compressed.*gunzip" data check "$work/one.tar.gz"

# Stopped by a signal: nothing is left. The source is slow to read: thousands of small files in a list.
for ((i = 0; i < 3000; i++)); do echo "in/train/cat/rgb.jpg"; done >"$work/many.txt"
for ((i = 0; i < 40; i++)); do cat "$work/many.txt"; done >"$work/list.txt"
mkdir "$work/stopped"
"$BLOCKWISE" data pack "$work/list.txt" --out "$work/stopped/x-%d.tar" --images 100 >"$work/said" 2>"$work/stderr" &
pid=$!
for ((i = 0; i < 100; i++)); do
  [ -z "$(ls -A "$work/stopped")" ] || break
  sleep 0.05
done
kill -INT $pid
wait $pid
code=$?
checks=$((checks + 1))
if [ $code = 0 ]; then
  echo "packing was faster than the signal; not tested" >&2
else
  [ $code = 130 ] || fail "interrupted pack: exit status $code"
  [ -z "$(ls -A "$work/stopped")" ] || fail "interrupted pack left: $(ls -A "$work/stopped" | head -3)"
  [ ! -s "$work/said" ] || fail "interrupted pack printed: $(cat "$work/said")"
fi
finish
