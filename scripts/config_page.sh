#!/usr/bin/env bash
# Writes docs/config.md to standard output from what the program says about itself. PROGRAM: the built blockwise,
# build/blockwise unless given. After a change of a setting or a recipe:
#   scripts/config_page.sh > docs/config.md
set -euo pipefail
program=${1:-$(dirname "$0")/../build/blockwise}
unset BLOCKWISE_RECIPES

cat <<'PAGE'
# Settings

<!-- Made by scripts/config_page.sh from `blockwise list config` and `blockwise list recipes`. -->

A run is defined by settings. They come from a recipe (`--recipe NAME`), a YAML file (`--config FILE`) and single
assignments (`--set KEY=VALUE`, the value in YAML); later wins in this order. The run's `config.yaml` has every one of
them as it was used. A mistake is named with file, line and the nearest key; values that contradict each other are
refused with the reason, exit status 2.

```yaml
extends: cifar10            # a recipe, or a .yaml file named from the folder of this one
train.batch: 128            # dotted keys
optimizer:                  # or maps
  lr: auto                  # worked out from the others: the base rate for this batch
augment.blur_prob: 0.5      # both views; augment.view1.blur_prob is that of one
blocks[4].head.pool: gsp    # block 4 alone, counted from 1
blocks[1]:
  noise: {kind: none}
```

* **Blocks.** `blocks[k].KEY` gives block k its own value of any key of `head`, `projector`, `loss`, `noise` and
  `optimizer`. A block that names another optimiser or loss than the run takes the default `optimizer.lr`,
  `loss.scale` and `projector.widths` that go with it, unless it gives its own. Which blocks there are follows from
  `model.cuts` and `train.order`; a setting for any other is refused.
* **Extends.** `extends:` at the top of a file or recipe begins with another one. What the file says itself wins,
  wherever the line stands.
* **Without effect.** A setting that nothing in the run uses, such as `loss.temperature` without `simclr`, is refused
  when it comes from `--set`, and said in the log when it comes from a file, which may extend one that was written for
  another loss.

PAGE

echo "## Recipes"
echo
echo "| name | what it is |"
echo "|---|---|"
"$program" list recipes | while read -r name help; do echo "| \`$name\` | $help |"; done
echo
echo "Comments in the files, in \`recipes/\`, say which values are published and which are ours."

# NAME: HELP, then an indented line "TYPE; RANGE; [only with KEY WORDS; ]default VALUE".
own=$("$program" list config | sed -n 's/.*any key of \(.*\), as in .*/\1/p') # groups that single blocks may have
"$program" list config | awk -v own=" $own " '
  function group(name) { return index(name, ".") ? substr(name, 1, index(name, ".") - 1) : "the run" }
  /^(blocks|extends)/ { exit }
  /^[^ ]/ {
    name = substr($0, 1, index($0, ": ") - 1)
    help = substr($0, index($0, ": ") + 2)
    next
  }
  {
    text = substr($0, 5)
    at = 0
    for (rest = text; (i = index(rest, "; default ")) > 0; rest = substr(rest, i + 1)) at += i
    standard = substr(text, at + length("; default "))
    range = substr(text, 1, at - 1)
    sub(/^[^;]*; /, "", range)
    if (match(range, /; only with .*$/)) {
      used = substr(range, RSTART + length("; only with "))
      sub(/^[^ ]*/, "`&`", used)
      help = help ". Only with " used
      range = substr(range, 1, RSTART - 1)
    }
    gsub(/\|/, "\\|", range)
    if (group(name) != before) {
      before = group(name)
      printf "\n## %s\n\n", before
      if (own ~ "[ ,]" before "[ ,]") printf "Single blocks may have their own: `blocks[k].%s.KEY`.\n\n", before
      printf "| key | default | allowed | meaning |\n|---|---|---|---|\n"
    }
    printf "| `%s` | `%s` | %s | %s |\n", name, standard, range, help
  }'
