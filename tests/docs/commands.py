"""Commands on the project's pages, in code blocks and in code of a line, and the examples of --help: `blockwise VERB ...` names a verb there is and
options of its --help, --recipe a recipe, --set a setting, and README.md names every verb. The program is asked, so a page
cannot outlive what it describes. Before it judges, the check is run on commands that are wrong.

    python3 commands.py FOLDER PROGRAM
"""

import os
import re
import shlex
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from pages import blocks, pages, prose_code  # noqa: E402

TOP, PROGRAM = sys.argv[1:3]
END = {"|", "||", "&&", ";", ">", ">>", "<", "2>", "2>&1", "&", "#"}


def said(*words):
    return subprocess.run([PROGRAM, *words], stdout=subprocess.PIPE, check=True, text=True).stdout


VERBS = re.findall(r"^  ([a-z]+(?: [a-z]+)?) {2,}\S", said("--help").split("Verbs:")[1].split("\n\n")[0], flags=re.M)
OPTIONS = {verb: set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", said(*verb.split(), "--help"))) | {"--help"} for verb in VERBS}
RECIPES = set(re.findall(r"^(\S+)", said("list", "recipes"), flags=re.M))
KEYS = set(re.findall(r"^([a-z][\w.]*): ", said("list", "config"), flags=re.M))


def is_key(key):
    key = re.sub(r"^blocks\[[\dkK]+\]\.", "", key)
    return key in KEYS or re.sub(r"^augment\.", "augment.view1.", key) in KEYS or "KEY" in key


def check(command):
    """What is wrong with the words after `blockwise`, or None."""
    if not command or command[0].startswith("--"):
        return None if not command or command[0] in ("--help", "--version") else f"no option {command[0]}"
    verb = " ".join(command[:2]) if " ".join(command[:2]) in VERBS else command[0]
    if verb in ("data", "bench") and len(command) == 1:
        return None  # the family is meant
    if verb in ("VERB", "..."):
        return None
    if verb not in VERBS:
        return f"no verb '{verb}'"
    words = iter(command[len(verb.split()):])
    for word in words:
        name, given, value = word.partition("=")
        if not word.startswith("--"):
            continue
        if name not in OPTIONS[verb]:
            return f"'{verb}' has no option {name}"
        if name in ("--recipe", "--set"):
            value = value if given else next(words, "")
        if name == "--recipe" and value not in RECIPES and not value.isupper():
            return f"no recipe '{value}'"
        if name == "--set" and not value.isupper() and not is_key(value.split("=")[0]):
            return f"no setting '{value}'"
    return None


def commands(text):
    """The words after every `blockwise` of a piece of shell."""
    for line in re.sub(r"\\\n\s*", "", text).split("\n"):
        try:
            words = shlex.split(re.sub(r"([;|&<>]+)", r" \1 ", line), comments=True)
        except ValueError:
            words = line.split()
        at = [i for i, w in enumerate(words) if w == "blockwise" or w.endswith("/blockwise")]
        for i in at:
            rest = words[i + 1:]
            end = next((n for n, w in enumerate(rest) if w in END or set(w) <= set(";|&<>")), len(rest))
            yield rest[:end]


def self_test():
    for line, right in (("blockwise pretrain --data x --out y --recipe cifar10 --set train.batch=4 | cat --no", True),
                        ("mpirun -np 2 build/blockwise bench step --set 'blocks[2].head.pool=gsp'", True),
                        ("blockwise pretrian", False), ("blockwise knn RUN --dat x", False),
                        ("blockwise plan --recipe cifar", False), ("blockwise plan --set train.bach=4", False)):
        found = [check(c) for c in commands(line)]
        if len(found) != 1 or (found[0] is None) != right:
            sys.exit(f"self-test: {line}: {found}")


self_test()
wrong, count = [], 0
for page, text in pages(TOP):
    pieces = [b.text for b in blocks(text) if b.language in ("", "sh", "bash")]
    pieces += [c for c in prose_code(text) if re.match(r"(?:\S*/)?blockwise ", c) or " blockwise " in c]
    for piece in pieces:
        for command in commands(piece):
            count += 1
            why = check(command)
            if why:
                wrong.append(f"{page}: blockwise {' '.join(command)}: {why}")
for verb in VERBS:
    examples = said(*verb.split(), "--help").partition("\nExamples:\n")[2]
    for command in commands(examples):
        count += 1
        why = check(command)
        if why:
            wrong.append(f"{verb} --help: blockwise {' '.join(command)}: {why}")
readme = next(text for page, text in pages(TOP) if page == "README.md")
wrong += [f"README.md: does not name the verb '{verb}'" for verb in VERBS
          if not all(re.search(rf"\b{word}\b", readme) for word in verb.split())]
print("\n".join(wrong), file=sys.stderr)
print(f"{count} commands checked, {len(wrong)} wrong")
sys.exit(bool(wrong) or count == 0)
