#!/usr/bin/env bash
# label: slow
# The page in a real browser: errors, plots, phone width, dark mode, keyboard, several runs, and one that grows.
# Needs Chromium, its driver and selenium (scripts/setup.sh --ci).
set -u
for program in chromium chromedriver /usr/bin/python3; do
  command -v "$program" >/dev/null || { echo "skipped: no $program"; exit 77; }
done
/usr/bin/python3 -c 'import selenium' 2>/dev/null || { echo "skipped: no python3-selenium"; exit 77; }
here=$(dirname "$0")
source "$here/../cli/lib/expect.sh"
make_data "$work/data" 4
pretrain=(pretrain --data "$work/data" "${tiny[@]}" --set health.every=6 --set probe.every=2 --quiet)
expect 0 "" "${pretrain[@]}" --out "$work/run" --set train.epochs=8
expect 0 "" "${pretrain[@]}" --out "$work/other" --set train.epochs=4 --set optimizer.lr=0.1
# Names that would be HTML.
mv "$work/other" "$work/<b>other & \"quoted\""
expect 0 "" "${pretrain[@]}" --out "$work/whole" --set train.order=end-to-end --set train.epochs=2
echo '[{"block":3,"feature":"head","top1":30,"top5":90},{"block":4,"feature":"head","top1":40,"top5":95}]' \
  >"$work/whole/probe.json"
expect 0 "" report "$work/run" --quiet
expect 0 "" report "$work/whole" --quiet
expect 0 "" report "$work/run" "$work/<b>other & \"quoted\"" --out "$work/two.html" --quiet
expect 0 "" report "$work/run" "$work/whole" --out "$work/mixed.html" --quiet

# A run of which ten steps are there.
cp -r "$work/run" "$work/growing"
rm "$work/growing/finished"
head -10 "$work/run/metrics.jsonl" >"$work/growing/metrics.jsonl"
"$BLOCKWISE" report "$work/growing" --watch --port 0 >"$work/address" 2>"$work/watch.log" &
watch=$!
for ((i = 0; i < 300; i++)); do
  [ -s "$work/address" ] && break
  sleep 0.1
done
checks=$((checks + 1))
grep -qE '^http://127\.0\.0\.1:[0-9]+/$' "$work/address" || fail "no address: $(cat "$work/address" "$work/watch.log")"
# The port is taken now.
port=$(sed 's|.*:\([0-9]*\)/|\1|' "$work/address")
expect 1 "127.0.0.1:$port: cannot serve: .*--port" report "$work/run" --watch --port "$port"
expect 3 "not a run folder" report "$work/data" --watch --port 0

checks=$((checks + 1))
timeout 240 /usr/bin/python3 "$here/browser.py" "$work/run/report.html" "$work/two.html" "$work/mixed.html" "$work/whole/report.html" "$(cat "$work/address")" \
  "$work/run/metrics.jsonl" "$work/growing" "$work" || fail "the browser found mistakes"
checks=$((checks + 1))
kill -INT "$watch"
wait "$watch" || fail "--watch ended with status $? after SIGINT: $(cat "$work/watch.log")"
finish
