"""Links of the project's pages: relative ones name a file that is there and a heading that is in it, external ones
are well formed (nothing is fetched), every page of docs/ is in the index docs/README.md, and every page that a source
file names exists. Before it judges the project, the check is run on small trees that break each rule.

    python3 links.py FOLDER
"""

import os
import re
import sys
import tempfile
from urllib.parse import unquote, urlsplit

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from pages import files, read, without_blocks  # noqa: E402

INDEX = "docs/README.md"
NAMES_PAGES = (".c", ".h", ".sh", ".py", ".yaml", ".txt", ".in")  # whose comments may name docs/NAME.md


def prose(text):
    """The page without code, with as many lines."""
    return re.sub(r"`[^`\n]*`", lambda m: "`" * len(m.group()), without_blocks(text))


def anchors(text):
    """The names that headings get on the pages of a repository."""
    found, count = set(), {}
    text = without_blocks(text)
    for heading in re.findall(r"^#{1,6} +(.+?) *#*$", text, flags=re.M):
        heading = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        name = re.sub(r"[^\w\- ]", "", heading).replace(" ", "-")
        n = count.get(name, 0)
        count[name] = n + 1
        found.add(name if n == 0 else f"{name}-{n}")
    return found | set(re.findall(r'<a (?:id|name)="([^"]+)"', text))


def links(text):
    """(line, target) of every link and picture."""
    text = prose(text)
    for pattern in (r"\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)", r"^\[[^\]]+\]:\s*(\S+)", r"<(https?:[^>\s]*)>",
                    r"(?:src|href|srcset)=\"([^\"]+)\""):
        for m in re.finditer(pattern, text, flags=re.M):
            yield text.count("\n", 0, m.start()) + 1, m.group(1)


def well_formed(url):
    parts = urlsplit(url)
    return parts.scheme in ("http", "https") and re.fullmatch(r"[\w-]+(\.[\w-]+)+(:\d+)?", parts.netloc) is not None


def check(top):
    """What is wrong, one line each, and the number of links."""
    wrong, count, in_index = [], 0, set()
    pages = list(files(top, (".md",)))
    for page in pages:
        for line, target in links(read(os.path.join(top, page))):
            count += 1
            where = f"{page}:{line}: {target}"
            if re.match(r"[a-z]+:", target):
                if not well_formed(target):
                    wrong.append(f"{where}: not a well-formed address")
                continue
            path, _, anchor = target.partition("#")
            to = os.path.normpath(os.path.join(os.path.dirname(page), unquote(path))) if path else page
            if page == INDEX:
                in_index.add(to)
            if to.startswith("..") or not os.path.exists(os.path.join(top, to)):
                wrong.append(f"{where}: there is no {to}")
            elif anchor and anchor not in anchors(read(os.path.join(top, to))):
                wrong.append(f"{where}: {to} has no heading #{anchor}")
    for page in pages:
        if page.startswith("docs/") and page != INDEX and page not in in_index:
            wrong.append(f"{INDEX}: does not name {page}")
    for source in files(top, NAMES_PAGES):
        if source.startswith("tests/docs/"):
            continue  # this file's own examples
        for page in set(re.findall(r"\bdocs/[\w-]+\.md\b", read(os.path.join(top, source)))):
            count += 1
            if not os.path.exists(os.path.join(top, page)):
                wrong.append(f"{source}: names {page}, which is not there")
    return wrong, count


def self_test():
    good = {"README.md": "[docs](docs/README.md) [site](https://example.org/a) `[code](no.md)`\n```\n[code](no.md)\n```\n",
            INDEX: "# Pages\n[a](a.md#two-words-and-more) [top](#pages)\n", "docs/a.md": "## Two words, `and` *more*\n",
            "src/a.c": "/* docs/a.md */\n"}
    broken = {"no file": {"README.md": "[docs](docs/README.md) [x](docs/no.md)\n"},
              "no heading": {INDEX: "# Pages\n[a](a.md#three-words)\n"},
              "address": {"README.md": "[docs](docs/README.md) [x](https://example)\n"},
              "not in the index": {"docs/b.md": "# B\n"},
              "named by a source": {"src/a.c": "/* docs/b.md */\n"},
              "outside": {"README.md": "[x](../x.md)\n"}}
    for what, change in [("nothing", {})] + list(broken.items()):
        with tempfile.TemporaryDirectory() as top:
            for name, text in {**good, **change}.items():
                os.makedirs(os.path.dirname(os.path.join(top, name)), exist_ok=True)
                with open(os.path.join(top, name), "w", encoding="utf-8") as file:
                    file.write(text)
            wrong, _ = check(top)
            if bool(wrong) != bool(change) or len(wrong) > 1:
                sys.exit(f"self-test, {what}: {wrong}")


self_test()
wrong, count = check(sys.argv[1])
print("\n".join(wrong), file=sys.stderr)
print(f"{count} links checked, {len(wrong)} wrong")
sys.exit(bool(wrong) or count == 0)
