#!/usr/bin/env bash
# Runs the example on a data set of 24 images of 28 x 28 made here, and looks at what it wrote.
set -euo pipefail
program=$1
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
images=24

# IDX, the format of MNIST: a big-endian header, then bytes. Every image is another pattern of bars.
mkdir "$tmp/data"
{
    printf '\0\0\10\3\0\0\0\30\0\0\0\34\0\0\0\34'
    awk -v n=$images 'BEGIN { for (i = 0; i < n; i++) for (y = 0; y < 28; y++) for (x = 0; x < 28; x++)
        printf "%c", 33 + (x * (i % 5 + 1) + y * (i % 7) + 11 * i) % 94 }'
} >"$tmp/data/train-images-idx3-ubyte"
{
    printf '\0\0\10\1\0\0\0\30'
    awk -v n=$images 'BEGIN { for (i = 0; i < n; i++) printf "%c", (i % 2) ? 49 : 48 }' | tr 01 '\0\1'
} >"$tmp/data/train-labels-idx1-ubyte"

"$program" "$tmp/data" "$tmp/run" 3 >"$tmp/features" 2>"$tmp/log" || { cat "$tmp/log" >&2; exit 1; }

fail() {
    echo "$1" >&2
    cat "$tmp/log" >&2
    exit 1
}
[ -s "$tmp/run/model.safetensors" ] || fail "no weights written"
[ "$(grep -c '^step ' "$tmp/log")" -eq 3 ] || fail "expected 3 steps"
# ResNet-18 of width 8 ends with 64 channels: a name and 64 finite numbers a line, not all the same.
awk -v n=$images 'NF != 65 { bad = 1 }
    { for (i = 2; i <= NF; i++) { if ($i !~ /^[-+0-9.e]+$/) bad = 1; if ($i != first[i] && NR > 1) differ = 1 }
      if (NR == 1) for (i = 2; i <= NF; i++) first[i] = $i }
    END { exit (bad || !differ || NR != n) }' "$tmp/features" || fail "features are not as expected"

# The run folder is there now: the same call must be refused, not overwrite it.
if "$program" "$tmp/data" "$tmp/run" 3 >/dev/null 2>&1; then fail "an existing run folder was overwritten"; fi
