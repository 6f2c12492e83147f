#!/usr/bin/env python3
"""Makes results.md and results.svg from the lines that experiments/cifar10_quick.sh recorded; measures nothing.

    experiments/results.py docs/results.jsonl docs

Text that explains the numbers is in experiments/results_notes.md. Wants matplotlib.
"""
import json
import pathlib
import re
import sys

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "blockwise"  # the same lines give the same bytes
import matplotlib.pyplot as plt  # noqa: E402

TITLES = {
    "end-to-end": "end to end",
    "blockwise": "blockwise",
    "blockwise-noise": "blockwise with noise",
    "sequential": "sequential",
    "supervised-blockwise": "supervised blockwise",
    "random": "random initialisation",
}
# Okabe and Ito's colours, which colour-blind readers tell apart; shapes say the same again.
STYLE = {
    "end-to-end": ("#000000", "o"),
    "blockwise": ("#0072B2", "s"),
    "blockwise-noise": ("#56B4E9", "^"),
    "sequential": ("#009E73", "D"),
    "supervised-blockwise": ("#D55E00", "v"),
    "random": ("#999999", "x"),
}


def percent(value):
    return "" if value is None else f"{value:.1f}"


def row(cells):
    return "| " + " | ".join(cells) + " |\n"


def blocks_of(runs):
    return sorted({int(b) for r in runs for f in r["probe"].values() for b in f})


def table(runs, kind, feature):
    blocks = blocks_of(runs)
    text = row(["run"] + [f"block {b}" for b in blocks]) + row(["---"] * (len(blocks) + 1))
    for r in runs:
        values = r[kind].get(feature, {})
        text += row([TITLES[r["name"]]] + [percent(values.get(str(b))) for b in blocks])
    return text


def summary(runs):
    text = row(["run", "settings", "steps", "minutes", "samples/s", "peak memory, MB", "probe of the last block, head",
                "trunk", "kNN, head", "trunk"])
    text += row(["---"] * 10)
    for r in runs:
        last = str(blocks_of(runs)[-1])
        trained = r["steps"] > 0
        text += row(
            [
                TITLES[r["name"]],
                ", ".join(f"`{s}`" for s in r["settings"]) or "the recipe",
                str(r["steps"]),
                f"{r['seconds'] / 60:.1f}" if trained else "",
                f"{r['samples_per_s']:.0f}" if trained else "",
                f"{r['peak_rss_mb']:.0f}" if trained else "",
                percent(r["probe"].get("head", {}).get(last)),
                percent(r["probe"].get("trunk", {}).get(last)),
                percent(r["knn"].get("head", {}).get(last)),
                percent(r["knn"].get("trunk", {}).get(last)),
            ]
        )
    return text


def plot(runs, raw, path):
    figure, axes = plt.subplots(1, 2, figsize=(10.5, 3.8), sharey=True, layout="constrained")
    for axis, feature in zip(axes, ["trunk", "head"]):
        for r in runs:
            values = r["probe"].get(feature, {})
            blocks = sorted(int(b) for b in values)
            color, marker = STYLE[r["name"]]
            axis.plot(blocks, [values[str(b)] for b in blocks], color=color, marker=marker, label=TITLES[r["name"]])
        if raw:
            axis.axhline(raw["knn"], color="#999999", linestyle=":", label="kNN on raw pixels")
        axis.set_title(f"linear probe on the {feature}'s features")
        axis.set_xlabel("block")
        axis.set_xticks(blocks_of(runs))
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("top-1, per cent")
    axes[1].legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.02, 1.0))
    figure.savefig(path, metadata={"Date": None})


def main():
    source, folder = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    records = [json.loads(line) for line in source.read_text(encoding="utf-8").splitlines()]
    runs = [r for r in records if r["record"] == "run"]
    raw = next((r for r in records if r["record"] == "raw"), None)
    machine = runs[0]["machine"]
    commits = sorted({re.search(r"\((\w+)\)", r["machine"]["blockwise"]).group(1) for r in runs})
    notes = (pathlib.Path(__file__).parent / "results_notes.md").read_text(encoding="utf-8")
    plot(runs, raw, folder / "results.svg")
    text = f"""# A first result: CIFAR-10 in minutes

Recipe `cifar10-quick`: a ResNet-18 of width 16 on the 50,000 training images of CIFAR-10 (as JPEG files), a few minutes
for each run: a look at every variant on equal terms, not the best any of them can do. One seed ({runs[0]["seed"]}).
Accuracies are top-1 on the 10,000 test images in per cent.

Made by `{machine["command"]} DATA` at commit {", ".join(commits)} on {machine["cores"]} cores of an {machine["cpu"]}
({", ".join(machine["instruction_sets"])}), oneDNN {machine["onednn"]}, {machine["date"]}; the lines are in
[results.jsonl](results.jsonl), this page is made from them by `experiments/results.py`.

![Linear probe of every block](results.svg)

## Runs

{summary(runs)}
Minutes, samples/s (median of steps) and memory are of the training alone. A sample is one image, both its views. The end-to-end
network has no convolution in its head, so its head's feature is its trunk's.
{f"kNN (k = 20) on raw pixels: {raw['knn']:.1f}." if raw else ""}

## Linear probe of every block

Head (what the block's loss saw, and the paper's probe):

{table(runs, "probe", "head")}
Trunk (average over the block's own output):

{table(runs, "probe", "trunk")}
## Nearest neighbours of every block (k = 20)

Head:

{table(runs, "knn", "head")}
Trunk:

{table(runs, "knn", "trunk")}
Probe: {runs[0]["protocol"]["probe"]}. Nearest neighbours: {runs[0]["protocol"]["knn"]}.

{notes}"""
    (folder / "results.md").write_text(text, encoding="utf-8")


main()
