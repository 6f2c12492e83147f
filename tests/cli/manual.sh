#!/usr/bin/env bash
# Manual pages: one for each verb, with every option of its help, examples that the program takes, and nothing that
# mandoc or groff complain about.
set -u
source "$(dirname "$0")/lib/expect.sh"
unset BLOCKWISE_RECIPES
man=$work/man
mkdir "$man"
expect 0 "" --manual "$man" 2026-01-31
expect 1 "nowhere/man1/blockwise.1: No such file" --manual "$work/nowhere" 2026-01-31

verbs=$("$BLOCKWISE" --help | sed -n '/^Verbs:/,/^$/s/^  \([a-z]*\( [a-z]*\)\?\)  .*/\1/p')
[ "$(ls "$man/man1" | wc -l)" = $(($(printf '%s\n' "$verbs" | wc -l) + 1)) ] || fail "pages: $(ls "$man/man1"); verbs: $verbs"
while read -r verb; do
  page=$man/man1/blockwise-${verb// /-}.1
  checks=$((checks + 1))
  [ -f "$page" ] || { fail "no page of $verb"; continue; }
  grep -qF "(1)" "$page" && grep -q "^.TH .* 1 2026-01-31 \"blockwise [0-9]" "$page" || fail "$verb: $(head -3 "$page")"
  for option in $("$BLOCKWISE" $verb --help | sed -nE 's/^ {2,6}(-[?], )?--([a-z-]+).*/\2/p'); do
    checks=$((checks + 1))
    grep -qF -- "\\-\\-${option//-/\\-}" "$page" || fail "the page of $verb does not have --$option"
  done
  # Its examples are command lines that the program understands, with settings that exist.
  examples=$(sed -n '/^[.]EX/,/^[.]EE/p' "$page" | grep -v '^[.]E' | sed 's/\\-/-/g')
  [ -n "$examples" ] || fail "the page of $verb has no example"
  while read -r line; do
    read -ra words <<<"${line#mpirun -np [0-9] }"
    expect 0 "" "${words[@]:1}" --help
    case " ${words[*]}" in *" blockwise $verb"*) ;; *) fail "an example of $verb is: $line" ;; esac
    for word in "${words[@]}"; do
      case $word in [a-z]*.[a-z]*=*)
        checks=$((checks + 1))
        "$BLOCKWISE" list config | grep -q "^${word%%=*}: " || fail "$line: there is no setting ${word%%=*}"
      esac
    done
  done <<<"$examples"
done <<<"$verbs"

page=$man/man5/blockwise-config.5
for key in $("$BLOCKWISE" list config | sed -nE 's/^([a-z_0-9.]+): .*/\1/p' | grep -v extends); do
  checks=$((checks + 1))
  grep -q "^.B ${key//./[.]}\$" "$page" || fail "blockwise-config.5 does not have $key"
done
for recipe in "$BW_SOURCE"/recipes/*.yaml; do
  recipe=$(basename "$recipe" .yaml)
  grep -q "^.B ${recipe//-/\\\\-}\$" "$page" || fail "blockwise-config.5 does not have recipe $recipe"
done

readers=0
if command -v mandoc >/dev/null; then
  readers=1
  mandoc -T lint -W all "$man"/man?/* >"$work/lint" || fail "mandoc: $(cat "$work/lint")"
  [ ! -s "$work/lint" ] || fail "mandoc: $(cat "$work/lint")"
  mandoc -T utf8 "$man/man1/blockwise-probe.1" | sed 's,.\x08,,g' | grep -q '^ *--feature=head|trunk|both' || fail "mandoc shows another page"
fi
if command -v groff >/dev/null; then
  readers=1
  for page in "$man"/man?/*; do
    groff -man -ww -Tutf8 -z -rCHECKSTYLE=3 "$page" >"$work/lint" 2>&1
    [ ! -s "$work/lint" ] || fail "groff: $(cat "$work/lint")"
  done
fi
[ "$failures" != 0 ] || [ "$readers" = 1 ] || { echo "neither mandoc nor groff here"; exit 77; }
finish
