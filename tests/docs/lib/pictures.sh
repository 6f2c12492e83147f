# Pictures for the tests of pages: real ones, of Fashion-MNIST (Debian: dataset-fashion-mnist).
#
# make_pictures FOLDER TRAIN TEST: FOLDER/photos, TRAIN pictures in folders that are no classes, and FOLDER/labelled with
# train/ and test/, each with the folders of three classes, TRAIN and TEST pictures in all. PNG files of 28 x 28 pixels,
# written by `blockwise data pack`. Status 77 where the data set is not installed.
make_pictures() {
  local top=$1 train=$2 test=$3 split n source name key label
  source=$(dpkg -L dataset-fashion-mnist 2>/dev/null | sed -n 's|/train-images-idx3-ubyte[^/]*$||p')
  [ -n "$source" ] || { echo "needs the Debian package dataset-fashion-mnist" >&2; return 77; }
  mkdir -p "$top/idx" "$top/photos/2021/summer" "$top/photos/2022"
  for split in train:train:$train t10k:test:$test; do
    IFS=: read -r key split n <<<"$split"
    # The first images and labels, with the number in the header put right, and of them three classes.
    { printf '\0\0\10\3\0\0'; be16 $((4 * n)); printf '\0\0\0\34\0\0\0\34'
      zcat "$source/$key-images-idx3-ubyte.gz" | tail -c +17 | head -c $((4 * n * 784)); } >"$top/idx/$key-images-idx3-ubyte"
    { printf '\0\0\10\1\0\0'; be16 $((4 * n))
      zcat "$source/$key-labels-idx1-ubyte.gz" | tail -c +9 | head -c $((4 * n)); } >"$top/idx/$key-labels-idx1-ubyte"
    "$BLOCKWISE" data pack --quiet "$top/idx" --split "$split" --out "$top/idx/$split.tar" >/dev/null || return 1
    mkdir -p "$top/idx/$split" "$top/labelled/$split"/{boot,shirt,trousers}
    tar -xf "$top/idx/$split.tar" -C "$top/idx/$split" || return 1
    local count=0
    for name in $(find "$top/idx/$split" -name '*.cls' | sort); do
      [ "$count" -lt "$n" ] || break
      case $(cat "$name") in
        0) label=shirt ;; 1) label=trousers ;; 9) label=boot ;; *) continue ;;
      esac
      count=$((count + 1))
      cp "${name%.cls}.png" "$top/labelled/$split/$label/$(printf %04d.png $count)"
      [ "$split" = test ] && continue
      [ $((count % 2)) = 0 ] && key=2022 || key=2021/summer
      cp "${name%.cls}.png" "$top/photos/$key/$(printf IMG_%04d.png $count)"
    done
    [ "$count" = "$n" ] || { echo "only $count pictures of three classes" >&2; return 1; }
  done
  rm -r "$top/idx"
}

be16() { printf "\\$(printf %o $(($1 / 256)))\\$(printf %o $(($1 % 256)))"; } # two bytes, the high one first
