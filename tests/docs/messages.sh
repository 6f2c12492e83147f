#!/usr/bin/env bash
# Messages that pages quote are messages of the program (messages.py).
set -u
command -v python3 >/dev/null || { echo "needs python3" >&2; exit 77; }
exec env PYTHONDONTWRITEBYTECODE=1 python3 "$(dirname "$0")/messages.py" "${BW_SOURCE:?folder of the project}"
