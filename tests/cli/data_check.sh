#!/usr/bin/env bash
# `data check` says what is there, names what cannot be read, and refuses what is no data.
set -u
source "$(dirname "$0")/lib/expect.sh"

mkdir -p "$work/good/train/cat" "$work/good/train/dog" "$work/good/test/cat" "$work/good/test/dog" "$work/empty" \
  "$work/texts"
for split in train test; do
  cp "$BW_FIXTURES/images/grey.jpg" "$work/good/$split/cat/1.jpg"
  cp "$BW_FIXTURES/images/one_pixel.png" "$work/good/$split/dog/1.png"
done
cp "$BW_FIXTURES/images/cmyk.jpg" "$work/good/train/dog/2.jpg"
echo words >"$work/texts/words.md"

expect 0 "" data check "$work/good" --quiet
[ -z "$stderr" ] || fail "--quiet says: $stderr"
for line in '^format: class-folders$' '^train: 3 images, 2 classes, 0 unreadable$' '^  class dog: 2$' \
  '^test: 2 images, 2 classes, 0 unreadable$'; do
  printf '%s\n' "$stdout" | grep -qE "$line" || fail "data check does not print '$line': $stdout"
done

# One image of six is more than a hundredth.
cp -r "$work/good" "$work/bad"
head -c 40 "$BW_FIXTURES/images/grey.jpg" >"$work/bad/train/cat/2.jpg"
stdout=$("$BLOCKWISE" data check "$work/bad" 2>"$work/stderr")
code=$?
checks=$((checks + 1))
[ $code = 3 ] || fail "an unreadable image: exit status $code"
grep -q '1 of 4 images of the train split cannot be read' "$work/stderr" || fail "says: $(cat "$work/stderr")"
printf '%s\n' "$stdout" | grep -qE 'unreadable: .*cat/2.jpg: .' || fail "the image is not named: $stdout"

# A test split that is damaged is not one that is missing.
make_data "$work/idx" 3
expect 0 "" data check "$work/idx" --quiet
head -c 3000 "$work/idx/t10k-images-idx3-ubyte" >"$work/cut"
mv "$work/cut" "$work/idx/t10k-images-idx3-ubyte"
expect 3 "t10k-images-idx3-ubyte: the header promises 6160 bytes, the file holds only 3000" data check "$work/idx" --quiet
rm "$work"/idx/t10k-*
expect 0 "" data check "$work/idx" --quiet
[[ $stdout == *"train: 48 images"* && $stdout != *test* ]] || fail "without a test split it prints: $stdout"

expect 3 "no/[{]1[}][.]tar: no such file or folder" data check "$work/no/{1}.tar"
expect 3 "99999999999[}].tar: no such file or folder" data check "$work/s-{0..99999999999}.tar" # more than a range has
expect 3 "nowhere" data check "$work/nowhere"
expect 3 "empty" data check "$work/empty"
expect 3 "texts" data check "$work/texts"
expect 2 "clas-folders" data check "$work/good" --format clas-folders
expect 2 "needs PATH" data check
expect 2 "one argument too many" data check "$work/good" "$work/bad"
expect 2 "unknown 'chek', the nearest is 'check'" data chek
expect 0 "" data --help
finish
