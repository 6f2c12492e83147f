"""The messages in the tables of pages (first column, headed "message") are texts of the source: each is found, with what
"..." or one capital letter stands for, in one text of the program. Before it judges, it is run on messages that are not there.

    python3 messages.py FOLDER
"""

import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from pages import files, pages, read  # noqa: E402

TOP = sys.argv[1]
LITERAL = re.compile(r'"((?:[^"\\\n]|\\.)*)"')


def texts():
    """Texts of the source: neighbouring literals are one, PRId64 and its like are part of a format, comments are none."""
    found = []
    for path in files(os.path.join(TOP, "src"), (".c", ".h")):
        text = read(os.path.join(TOP, "src", path))
        text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
        text = re.sub(r"^\s*#\s*include.*$", "", text, flags=re.M)
        for m in re.finditer(r'"(?:[^"\\\n]|\\.)*"(?:\s*(?:PRI\w+\s*)?"(?:[^"\\\n]|\\.)*")*', text):
            found.append("".join(LITERAL.findall(m.group())).replace('\\"', '"').replace("%%", "%"))
    return found


TEXTS = texts()


def exists(message):
    message = re.sub(r"\b[A-Z]\b", "...", message)
    parts = [re.escape(part.strip()) for part in message.split("...") if part.strip(" :;,.")]
    return bool(parts) and any(re.search(".*".join(parts), text) for text in TEXTS)


def messages():
    for page, text in pages(TOP):
        inside = False
        for n, line in enumerate(text.split("\n"), 1):
            cells = line.split("|")
            inside = line.startswith("|") and (inside or cells[1].strip() == "message")
            if inside and cells[1].strip().startswith("`"):
                yield f"{page}:{n}", re.findall(r"`([^`]+)`", cells[1])


for message, right in (("unknown key '...'; did you mean '...'?", True), ("unknown key '...'; did he mean '...'?", False),
                       ("...", False), ("... parts do not divide train.batch ...", True)):
    if exists(message) != right:
        sys.exit(f"self-test: {message}")
wrong, count = [], 0
for where, quoted in messages():
    for message in quoted:
        count += 1
        if not exists(message):
            wrong.append(f"{where}: the program does not say: {message}")
print("\n".join(wrong), file=sys.stderr)
print(f"{count} messages checked, {len(wrong)} wrong")
sys.exit(bool(wrong) or count == 0)
