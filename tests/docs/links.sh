#!/usr/bin/env bash
# Every link of every page leads somewhere (links.py).
set -u
command -v python3 >/dev/null || { echo "needs python3" >&2; exit 77; }
exec env PYTHONDONTWRITEBYTECODE=1 python3 "$(dirname "$0")/links.py" "${BW_SOURCE:?folder of the project}"
