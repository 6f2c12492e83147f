#!/usr/bin/env bash
# The tables of docs/file-formats.md are what a run writes: files, keys of metrics, of environment.json, metadata of
# weights, results of a probe. Formats of images in docs/data.md are those of the program.
set -u
. "$BW_SOURCE/tests/cli/lib/expect.sh"
page=$BW_SOURCE/docs/file-formats.md

# keys_of HEADING [COLUMN]: names between backquotes in a column (the first) of the tables below a heading.
keys_of() {
  awk -v heading="## $1" -v column="$((${2:-1} + 1))" -F '|' '
    /^## / { inside = $0 == heading }
    inside && /^\| / { n = split($column, part, "`"); for (i = 2; i <= n; i += 2) print part[i] }' "$page" | sort -u
}

# same WHAT PAGE FOUND
same() {
  checks=$((checks + 1))
  [ -n "$3" ] || fail "$1: nothing was found"
  local difference
  difference=$(diff <(printf '%s\n' "$2") <(printf '%s\n' "$3")) || fail "$1 (< the page, > a run): $difference"
}

top_keys() { grep -oE '"[a-z_0-9]+": ?' "$@" | tr -d '": ' | sort -u; } # of JSON without text that looks like a key

same "formats of images" "$(awk -F '|' '/^\| `/ && !seen { n = split($2, part, "`"); for (i = 2; i <= n; i += 2) print part[i] }
  /^## / { seen = 1 }' "$BW_SOURCE/docs/data.md" | sort -u)" "$("$BLOCKWISE" list formats | awk '{ print $1 }' | sort -u)"
make_data "$work/data" 3
losses=$(keys_of metrics.jsonl | grep -x -e barlow-twins -e vicreg -e simclr -e cross-entropy -e custom)
same "losses" "$losses" "$("$BLOCKWISE" list losses | sort -u)"
for loss in $losses; do
  [ "$loss" = custom ] && continue # its terms are named by a program
  widths=()
  [ "$loss" = cross-entropy ] && widths=(--set 'projector.widths=[]')
  expect 0 '' pretrain --quiet --data "$work/data" --out "$work/$loss" "${tiny[@]}" --set loss.name="$loss" "${widths[@]}" \
    --set probe.every=1
done
run=$work/barlow-twins
expect 0 '' probe "$run" --quiet --data "$work/data" --epochs 1 --json
expect 0 '' report "$run" --quiet --images 0

same "keys of metrics.jsonl" "$({ keys_of metrics.jsonl; keys_of metrics.jsonl 2; } | grep -vxF "$losses" | grep -v '^train\.' | sort -u)" \
  "$(top_keys -h "$work"/*/metrics.jsonl | sort -u)"
same "files of a run" "$(keys_of "Run folder" | grep -v -e step- -e '\.keep$' -e '\.every$' -e metrics.jsonl$ -e environment- -e resume | tr -d / | cat - <(echo metrics.jsonl) | sort -u)" \
  "$(cd "$run" && ls -A | sed 's/\(events.out.tfevents\).*/\1.*/' | sort -u)"
same "keys of environment.json" "$({ keys_of environment.json; keys_of environment.json 2; } | sort -u)" \
  "$(top_keys "$run/environment.json")"
same "keys of probe.json" "$(keys_of "Results: probe.json and --json")" "$(top_keys "$run/probe.json")"

# metadata FILE: keys of a safetensors header's __metadata__.
metadata() {
  head -c $((8 + $(od -An -N8 -td8 "$1"))) "$1" | tail -c +9 | sed 's/.*"__metadata__":{//' |
    grep -oE '"[a-z_]+":"' | tr -d '":' | grep -vx dtype | sort -u
}
wanted=$(awk '/^`__metadata__`/ { on = 1 } on' "$page" | awk -F '|' '
  /^\| `/ { n = split($2, part, "`"); for (i = 2; i <= n; i += 2) print part[i] }
  /^$/ && seen++ { exit }' | sort -u)
same "metadata of model.safetensors" "$wanted" "$(metadata "$run/model.safetensors")"
finish
