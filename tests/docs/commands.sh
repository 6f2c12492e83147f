#!/usr/bin/env bash
# Every command on every page names verbs, options, recipes and settings that there are (commands.py).
set -u
command -v python3 >/dev/null || { echo "needs python3" >&2; exit 77; }
exec env PYTHONDONTWRITEBYTECODE=1 python3 "$(dirname "$0")/commands.py" "${BW_SOURCE:?folder of the project}" "${BLOCKWISE:?the program}"
