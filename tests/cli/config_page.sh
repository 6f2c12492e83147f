#!/usr/bin/env bash
# docs/config.md says what the program says.
set -u
page=$BW_SOURCE/docs/config.md
"$BW_SOURCE/scripts/config_page.sh" "$BLOCKWISE" | diff "$page" - && exit 0
echo "docs/config.md is out of date: run scripts/config_page.sh > docs/config.md" >&2
exit 1
