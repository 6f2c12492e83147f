#!/usr/bin/env bash
# The API reference is made from the public headers without a warning: parameters that are documented are those
# there are, references lead somewhere, comments are closed.
set -u
command -v doxygen >/dev/null || { echo "needs doxygen" >&2; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# reference SOURCE FOLDER: status 0 if nothing was wrong.
reference() {
  mkdir -p "$2"
  sed -e "s|@CMAKE_SOURCE_DIR@|$1|g" -e "s|@BW_DOCS_DIR@|$2|" -e 's|@PROJECT_VERSION@|0|' "$BW_SOURCE/docs/Doxyfile.in" >"$2/Doxyfile"
  doxygen "$2/Doxyfile" >"$2/said" 2>&1
}

# The check itself must be able to fail.
mkdir -p "$work/tree/docs" && cp -r "$BW_SOURCE/include" "$BW_SOURCE/examples" "$work/tree" && cp "$BW_SOURCE/docs/api.md" "$work/tree/docs"
sed -i 's/@param steps_per_epoch/@param steps_per_era/' "$work/tree/include/blockwise/trainer.h"
if reference "$work/tree" "$work/wrong"; then
  echo "self-test: a parameter that does not exist was accepted" >&2
  exit 1
fi

if ! reference "$BW_SOURCE" "$work/made"; then
  cat "$work/made/said" >&2
  exit 1
fi
for name in bw_pretrain bw_dataset_open bw_config_set; do
  grep -rqE "memname\">.*[> ]$name <" "$work/made/html" --include='*_8h.html' || { echo "$name is not in the reference" >&2; exit 1; }
done
echo "$(find "$work/made/html" -name '*.html' | wc -l) pages made"
