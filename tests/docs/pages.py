"""The project's pages (.md files), their code blocks and the code in their lines, for the checks beside this file."""

import os
import re
from collections import namedtuple

Block = namedtuple("Block", "line language text")  # line: of the first line inside
PASSED_OVER = {"node_modules", "runs", ".git"}  # and build folders
FENCE = re.compile(r"^(?P<fence>```|~~~)(?P<language>[^\n]*)\n(?P<text>.*?)^(?P=fence)[^\n]*$", re.S | re.M)


def files(top, endings):
    """Paths below `top`, relative to it, of files with these endings."""
    for folder, folders, names in os.walk(top):
        folders[:] = sorted(f for f in folders if f not in PASSED_OVER and not f.startswith("build"))
        for name in sorted(names):
            if name.endswith(endings):
                yield os.path.relpath(os.path.join(folder, name), top)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def pages(top):
    """(path, text) of every page."""
    return [(path, read(os.path.join(top, path))) for path in files(top, (".md",))]


def without_blocks(text):
    """The page without its fenced blocks, with as many lines."""
    return FENCE.sub(lambda m: "\n" * m.group().count("\n"), text)


def blocks(text):
    """Fenced blocks, and indented ones, which have no language."""
    found = [Block(text.count("\n", 0, m.start("text")) + 1, m["language"].strip(), m["text"]) for m in FENCE.finditer(text)]
    rest = without_blocks(text)
    for m in re.finditer(r"(?:(?<=\n\n)|\A)(?: {4}[^\n]*\n)+", rest):
        found.append(Block(rest.count("\n", 0, m.start()) + 1, "", re.sub(r"^ {4}", "", m.group(), flags=re.M)))
    return sorted(found)


def prose_code(text):
    """What stands between backquotes in the text."""
    return [" ".join(c.split()) for c in re.findall(r"`([^`]+)`", without_blocks(text))]
