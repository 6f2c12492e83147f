#!/usr/bin/env bash
# The page about a run: where it goes, what is in it, what is refused.
set -u
source "$(dirname "$0")/lib/expect.sh"
make_data "$work/data" 4
pretrain=(pretrain --data "$work/data" "${tiny[@]}" --set health.every=6 --quiet)
expect 0 "" "${pretrain[@]}" --out "$work/run" --set train.epochs=8 --set probe.every=4

# has FILE PATTERN: the data of the page, one line, has this.
has() {
  checks=$((checks + 1))
  sed -n 's|^<script type="application/json" id="data">\(.*\)</script>$|\1|p' "$1" | grep -qE -- "$2" ||
    fail "'$2' is not in the data of $1"
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
expect 3 "nothing: not a run folder" report "$work/run" "$work/nothing" --out "$work/half.html"
nothing_at "$work/half.html"
expect 1 "no/such" report "$work/run" --out "$work/no/such/page.html"
cp -r "$work/run" "$work/damaged"
echo nonsense >>"$work/damaged/metrics.jsonl"
expect 3 "metrics.jsonl:25: " report "$work/damaged" --out "$work/damaged.html"
nothing_at "$work/damaged.html"
finish
