#!/usr/bin/env bash
# label: slow (links against the plain library, which a sanitizer build is not)
# An installation may be moved as a whole: program and libraries find the recipes beside them, and nothing that is
# installed names the folder it was built in.
set -euo pipefail
unset BLOCKWISE_RECIPES
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
fail() { echo "relocate: $*" >&2; exit 1; }
build=$(dirname "$BLOCKWISE")

DESTDIR=$tmp/stage cmake --install "$build" --prefix /first >"$tmp/log" || { cat "$tmp/log" >&2; exit 1; }
mv "$tmp/stage/first" "$tmp/moved"
[ -z "$(find "$tmp/stage" -type f)" ] || fail "installed beside the prefix: $(find "$tmp/stage" -type f)"
for place in "$BW_SOURCE" "$build"; do
    named=$(grep -rlaF -- "$place" "$tmp/moved" || true)
    [ -z "$named" ] || fail "these name $place: $named"
done

# A recipe that the sources do not have, and one less than they have.
ours=$tmp/moved/share/blockwise/recipes
printf '# Only here\nseed: 7\n' >"$ours/only-here.yaml"
rm "$ours/cifar10.yaml"
(cd "$ours" && printf '%s\n' *.yaml | sed 's/[.]yaml$//' | LC_ALL=C sort) >"$tmp/want"
"$tmp/moved/bin/blockwise" list recipes | awk '{ print $1 }' >"$tmp/program"
diff "$tmp/want" "$tmp/program" || fail "the moved program lists other recipes"

# The same from a library: the shared one, which lies in lib, and the static one in a program that lies in bin.
cat >"$tmp/names.c" <<'END'
#include <blockwise/blockwise.h>
#include <stdio.h>
int main(void)
{
    bw_recipe recipe;
    for (int i = 0; bw_recipe_at(&recipe, i); i++)
        puts(recipe.name);
    return 0;
}
END
lib=$(dirname "$(find "$tmp/moved" -name libblockwise.so)")
cc -std=c17 -I "$tmp/moved/include" "$tmp/names.c" -L "$lib" -lblockwise -Wl,-rpath,"$lib" -o "$tmp/names"
"$tmp/names" >"$tmp/library"
diff "$tmp/want" "$tmp/library" || fail "the moved library lists other recipes"

# The user's own come first and do not hide the others.
mkdir "$tmp/own"
printf '# Mine\nseed: 8\n' >"$tmp/own/only-here.yaml"
said=$(BLOCKWISE_RECIPES=$tmp/own "$tmp/moved/bin/blockwise" list recipes)
[ "$(printf '%s\n' "$said" | wc -l)" = "$(wc -l <"$tmp/want")" ] || fail "with BLOCKWISE_RECIPES: $said"
printf '%s\n' "$said" | grep -q '^only-here  *Mine$' || fail "BLOCKWISE_RECIPES does not come first: $said"

# Without recipes it says where it looked.
mv "$ours" "$tmp/away"
said=$("$tmp/moved/bin/blockwise" pretrain --recipe cifar10 --data x --out "$tmp/x" 2>&1) && fail "a recipe from nowhere"
case $said in *"there are none in "*"set BLOCKWISE_RECIPES"*) ;; *) fail "without recipes it says: $said" ;; esac
