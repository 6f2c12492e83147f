#!/usr/bin/env bash
# Completion in zsh: lines typed into one, with TAB at their end.
set -u
command -v zsh >/dev/null || { echo "no zsh here"; exit 77; }
source "$(dirname "$0")/lib/expect.sh"
cd "$work" || exit 1
unset BLOCKWISE_RECIPES
export HOME=$work PATH=$(dirname "$BLOCKWISE"):$PATH
mkdir photos
touch notes.txt

# The line as it stands after TAB, between < and >: Ctrl-X writes it into a file.
cat >"$work/type.zsh" <<'END'
zmodload zsh/zpty
zpty shell "TERM=dumb zsh -f -i"
zpty -w shell "fpath=($1 \$fpath); autoload -U compinit; compinit -u -D; unsetopt automenu"
zpty -w shell "show() { print -r -- \"<\$BUFFER>\" >$2/line; BUFFER= }; zle -N show; bindkey '^X' show; : >$2/ready"
while [[ ! -e $2/ready ]]; do sleep 0.05; done
while read -r line; do
    rm -f $2/line
    zpty -w -n shell "${line//_/ }"$'\t'$'\x18'
    repeat 200; do [[ -s $2/line ]] && break; sleep 0.05; done
    print -r -- "$line $(<$2/line)"
    zpty -r -t shell >/dev/null
done
zpty -d shell
END
cat >"$work/cases" <<'END'
blockwise_pro <blockwise probe >
blockwise_bench_s <blockwise bench step >
blockwise_probe_net_--fea <blockwise probe net --feature >
blockwise_probe_net_--feature=t <blockwise probe net --feature=trunk >
blockwise_pretrain_--set_model.ar <blockwise pretrain --set model.arch=>
blockwise_pretrain_--set_model.stem=c <blockwise pretrain --set model.stem=cifar >
blockwise_pretrain_--data_ph <blockwise pretrain --data photos/>
blockwise_pretrain_--config=no <blockwise pretrain --config=notes.txt >
blockwise_probe_net_--threads_ <blockwise probe net --threads >
END
cut -d' ' -f1 "$work/cases" | timeout 60 zsh -f "$work/type.zsh" "$BW_SOURCE/completions" "$work" >"$work/said"
checks=$((checks + $(wc -l <"$work/cases")))
diff "$work/cases" "$work/said" || fail "zsh completes otherwise"
finish
