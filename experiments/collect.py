#!/usr/bin/env python3
"""Prints one run's result as a line of JSON: settings, machine, speed, memory, probe and kNN of every block.

    experiments/collect.py RUN NAME COMMAND [KEY=VALUE]...
    experiments/collect.py --raw KNN.json COMMAND
"""
import json
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent


def load(path):
    return json.loads(pathlib.Path(path).read_text(encoding="utf-8"))


def machine(command):
    text = subprocess.run(
        [HERE.parent / "bench" / "machine.py", HERE.parent / "build" / "blockwise", command],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return json.loads(text)


def table(entries):
    """{"head": {"1": top1, ...}, "trunk": ...}"""
    out = {}
    for e in entries:
        out.setdefault(e["feature"], {})[str(e["block"])] = e["top1"]
    return out


def last_share(lines, key, share=0.05):
    """Mean over the last of each block's own steps: in sequential order no block has all of them."""
    out = []
    for column in zip(*(line[key] for line in lines)):
        values = [v for v in column if v is not None]
        out.append(statistics.mean(values[-max(1, int(len(values) * share)) :]))
    return out


def main():
    if sys.argv[1] == "--raw":
        entry = load(sys.argv[2])[0]
        record = {"record": "raw", "name": "raw pixels", "knn": entry["top1"], "protocol": entry["protocol"]}
        print(json.dumps(record | {"machine": machine(sys.argv[3])}))
        return
    run, name, command, *settings = sys.argv[1:]
    run = pathlib.Path(run)
    steps = []
    if (run / "metrics.jsonl").exists():
        steps = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    probe, knn = load(run / "first-probe.json"), load(run / "first-knn.json")
    print(
        json.dumps(
            {
                "record": "run",
                "name": name,
                "settings": settings,
                "seed": 0,
                "steps": len(steps),
                "seconds": int((run / "seconds").read_text()) if steps else 0,
                "samples_per_s": round(statistics.median(s["samples_per_s"] for s in steps), 1) if steps else None,
                "peak_rss_mb": round(max(s["peak_rss_mb"] for s in steps), 1) if steps else None,
                "loss": last_share(steps, "loss") if steps else None,
                "probe": table(probe),
                "knn": table(knn),
                "protocol": {"probe": probe[0]["protocol"], "knn": knn[0]["protocol"]},
                "machine": machine(command),
            }
        )
    )


main()
