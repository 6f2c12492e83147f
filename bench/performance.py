#!/usr/bin/env python3
"""Makes docs/performance.md, or the page of another machine, from the lines that bench/compare.sh recorded; measures
nothing.

    bench/performance.py docs/performance.jsonl > docs/performance.md
"""
import json
import pathlib
import statistics
import sys

# What the project sets out to reach: (least, aim) of the rate over PyTorch's, by case and type.
SPEED = {
    ("resnet50:224:16:simultaneous", "f32"): (2.5, 3.0),
    ("resnet50:224:16:simultaneous", "bf16"): (2.0, 2.5),
    ("resnet50:224:16:end-to-end", "f32"): (1.3, None),
    ("resnet50:224:16:end-to-end", "bf16"): (1.3, None),
    ("resnet18:32:128:simultaneous", "f32"): (2.5, None),
    ("resnet18:32:128:simultaneous", "bf16"): (1.8, None),
    ("resnet18:32:128:end-to-end", "f32"): (1.3, None),
    ("resnet18:32:128:end-to-end", "bf16"): (1.3, None),
}
OWN_RATIO = 1.85  # blockwise step over end-to-end step, ResNet-50
AUGMENT = 4.0
GROWTH_BLOCKWISE, GROWTH_CHECKPOINT = 1 / 5, 0.6
RECOMPUTE_MEMORY, RECOMPUTE_TIME = 2 / 3, 1.35
PLAN_ERROR = 0.10
LOADER_SHARE = 0.95
NAMES = {"resnet18": "ResNet-18", "resnet34": "ResNet-34", "resnet50": "ResNet-50", "resnet101": "ResNet-101"}


def verdict(value, bound, at_least=True):
    return "met" if (value >= bound if at_least else value <= bound) else "**missed**"


def spread(values, digits=2):
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def table(header, rows, right=()):
    lines = ["| " + " | ".join(header) + " |"]
    lines.append("|" + "|".join("---:" if i in right else "---" for i in range(len(header))) + "|")
    return "\n".join(lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows])


def work(case):
    arch, size, batch, order = case.split(":")
    order = "blockwise" if order == "simultaneous" else "end to end"
    return f"{NAMES.get(arch, arch)}, {size} px, batch {batch}, {order}"


class Records:
    def __init__(self, path):
        with open(path, encoding="utf-8") as lines:
            self.rows = [json.loads(line) for line in lines]

    def of(self, record, **fields):
        wanted = {"record": record, **fields}
        return [r for r in self.rows if "failed" not in r and all(r.get(k) == v for k, v in wanted.items())]

    def one(self, record, **fields):
        found = self.of(record, **fields)
        return found[-1] if found else None

    def steps(self, case, dtype, who):
        """Median step of each round."""
        return {r["round"]: r["step_s_median"] for r in self.of("step", case=case, dtype=dtype, who=who)}

    def cases(self):
        return list(dict.fromkeys((r["case"], r["dtype"]) for r in self.rows if r["record"] == "step"))

    def peak(self, dtype):
        found = self.one("matmul", dtype=dtype)
        return max(r["gflops"] for r in found["results"]) if found else None


def by_round(a, b):
    """a / b in every round that has both."""
    return [a[r] / b[r] for r in sorted(a) if r in b]


def better(records, case, dtype):
    """The format that PyTorch was faster with, and its steps by round. All rounds of the better one count; the
    other was only timed in the first."""
    times = {name: records.steps(case, dtype, f"pytorch-{name}") for name in ("nchw", "nhwc")}
    times = {name: found for name, found in times.items() if found}
    if not times:
        return None, {}
    first = min(r for found in times.values() for r in found)
    name = min(times, key=lambda n: (times[n].get(first, float("inf"))))
    return name, times[name]


def machine_part(records):
    m, check = records.one("machine"), records.one("check")
    if not m:
        return ""
    rows = [
        ("processor", f"{m['cpu']}, {m['cores']} cores usable, {', '.join(m['instruction_sets'])}"),
        ("memory", f"{m['memory_gb']} GB"),
        ("system", f"{m['system']}, Linux {m['kernel']}"),
        ("blockwise", f"{m['blockwise']}, oneDNN {m['onednn']}"),
    ]
    if check:
        blas = [b.rsplit("/", 1)[-1] for b in check["blas"] if "openblasp" in b] or check["blas"]
        rows.append(
            (
                "PyTorch",
                f"{check['torch']} with oneDNN {check['onednn']} and {blas[0]}, {check['threads']} threads; torchvision "
                f"{check['torchvision']}, Pillow {check['pillow']}, Python {check['python']}",
            )
        )
        worst = max(check["errors"], key=check["errors"].get)
        rows.append(
            (
                "its results",
                f"matrix product and convolutions in float32 against float64: relative error at most "
                f"{check['errors'][worst]:.1e} ({worst}), {check['limit']:.0e} allowed",
            )
        )
    rows.append(("environment", ", ".join(f"{k}={v}" for k, v in sorted(m["limits"].items())) + ", OPENBLAS_* unset"))
    peaks = [f"{peak:.0f} GFLOP/s {dtype}" for dtype in ("f32", "bf16") if (peak := records.peak(dtype))]
    if peaks:
        rows.append(("`bench matmul`", f"at most {', '.join(peaks)}: what shares below refer to"))
    return "## Machine\n\n" + table(("", ""), rows)


def speed_part(records):
    rows = []
    for case, dtype in records.cases():
        mine = records.steps(case, dtype, "blockwise")
        name, theirs = better(records, case, dtype)
        if not mine or not theirs:
            continue
        batch = int(case.split(":")[2])
        ratios = by_round(theirs, mine)
        gflops = statistics.median(r["gflops"] for r in records.of("step", case=case, dtype=dtype, who="blockwise"))
        peak = records.peak(dtype)
        share = f" ({gflops / peak:.0%})" if peak else ""
        least, aim = SPEED.get((case, dtype), (None, None))
        bound = "-"
        if least:
            bound = f"at least {least}{f', aim {aim}' if aim else ''}: {verdict(statistics.median(ratios), least)}"
        rates = f"{batch / statistics.median(theirs.values()):.2f} {name}"
        other = "nchw" if name == "nhwc" else "nhwc"
        slower = records.steps(case, dtype, f"pytorch-{other}")
        if slower:
            rates += f", {batch / statistics.median(slower.values()):.2f} {other}"
        rows.append(
            (
                work(case),
                dtype,
                f"{batch / statistics.median(mine.values()):.2f}",
                f"{gflops:.0f}{share}",
                rates,
                spread(ratios),
                bound,
            )
        )
    if not rows:
        return ""
    header = ("work", "type", "samples/s", "GFLOP/s (share)", "PyTorch samples/s", "ours / PyTorch", "wanted")
    text = (
        "## Speed of a step\n\n"
        "A sample is one image, both its views. Ratios are taken round by round: median (least-most). PyTorch's better\n"
        "memory format counts.\n\n"
    )
    return text + table(header, rows, right=(2, 3))


def ratios_part(records):
    rows = []
    for dtype in ("f32", "bf16"):
        for case, _ in [c for c in records.cases() if c[1] == dtype and c[0].endswith(":simultaneous")]:
            big = case.startswith("resnet50:224:")
            plain = records.steps(case, dtype, "blockwise")
            whole = records.steps(case.replace("simultaneous", "end-to-end"), dtype, "blockwise")
            ratios = by_round(plain, whole)
            if ratios:
                wanted = f"at most {OWN_RATIO}: {verdict(statistics.median(ratios), OWN_RATIO, False)}" if big else "-"
                rows.append((f"{work(case)}, {dtype}: step over our end-to-end step", spread(ratios), wanted))
            again = by_round(records.steps(case, dtype, "blockwise-recompute"), plain)
            if again:
                wanted = "-"
                if big:
                    wanted = f"at most {RECOMPUTE_TIME}: {verdict(statistics.median(again), RECOMPUTE_TIME, False)}"
                rows.append((f"{work(case)}, {dtype}: step with `train.recompute` over without", spread(again), wanted))
    for r in records.of("loader"):
        share = r["synthetic_step_s"] / r["step_s"]
        big = r["case"].startswith("resnet50:224:")
        wanted = f"at least {LOADER_SHARE}: {verdict(share, LOADER_SHARE)}" if big else "-"
        what = f"{work(r['case'])}, {r['dtype']}: rate of a run on JPEG files over that of steps on synthetic input"
        rows.append((what, f"{share:.2f}", wanted))
    mine = {r["round"]: r["samples_per_s"] for r in records.of("augment", who="blockwise")}
    theirs = {r["round"]: r["samples_per_s"] for r in records.of("augment", who="torchvision")}
    ratios = by_round(mine, theirs)
    if ratios:
        source = records.of("augment")[0]["source"]
        rows.append(
            (
                f"two augmented views at 224 px on one core, from {source}: {statistics.median(mine.values()):.0f} samples/s "
                f"over torchvision's and Pillow's {statistics.median(theirs.values()):.0f}",
                spread(ratios),
                f"at least {AUGMENT:.0f}: {verdict(statistics.median(ratios), AUGMENT)}",
            )
        )
    return "## Other ratios\n\n" + table(("what", "ratio", "wanted"), rows, right=(1,)) if rows else ""


def growth(records, dtype, who):
    """MB per sample between the smallest and the largest batch, and the peaks."""
    peaks = {r["batch"]: r["peak_rss_mb"] for r in records.of("memory", dtype=dtype, who=who)}
    if len(peaks) < 2:
        return None, peaks
    small, large = min(peaks), max(peaks)
    return (peaks[large] - peaks[small]) / (large - small), peaks


def memory_part(records):
    parts = []
    people = {
        "blockwise": "ours",
        "blockwise-recompute": "ours, `train.recompute`",
        "pytorch": "PyTorch blockwise, each block's backward before the next block's forward",
        "pytorch-forwards-first": "PyTorch blockwise, all forwards first as in the authors' code",
        "pytorch-checkpoint": "PyTorch end to end, every residual unit checkpointed",
    }
    for dtype in ("f32", "bf16"):
        found = {who: growth(records, dtype, who) for who in people}
        mine = found["blockwise"][0]
        if not mine:
            continue
        case = records.of("memory", dtype=dtype)[0]["case"]
        wanted = {
            "blockwise-recompute": (RECOMPUTE_MEMORY, lambda g: g / mine, "at most 0.67"),
            "pytorch": (GROWTH_BLOCKWISE, lambda g: mine / g, "at most 1/5, aim 1/6"),
            "pytorch-forwards-first": (GROWTH_BLOCKWISE, lambda g: mine / g, "at most 1/5, aim 1/6"),
            "pytorch-checkpoint": (GROWTH_CHECKPOINT, lambda g: mine / g, "at most 0.6, aim 0.5"),
        }
        rows = []
        for who, (g, peaks) in found.items():
            if g is None:
                continue
            ratio, bound = "", ""
            if who in wanted and g > 0:  # tiny cases drown in the noise of allocators
                limit, value, text = wanted[who]
                ratio = f"{value(g):.2f}" if value(g) >= 0.3 else f"1/{1 / value(g):.1f}"
                bound = f"{text}: {verdict(value(g), limit, False)}" if case == "resnet50:224" else "-"
            shown = ", ".join(f"{peaks[b]:.0f} at {b}" for b in sorted(peaks))
            rows.append((people[who], shown, f"{g:.1f}", ratio, bound))
        arch, size = case.split(":")
        parts.append(
            f"{NAMES.get(arch, arch)}, {size} px, {dtype}:\n\n"
            + table(
                ("who", "peak MB at batch", "MB per sample", "ratio", "wanted"), rows, right=(2, 3)
            )
        )
    plans = []
    for row in records.of("plan"):
        batch = int(row["case"].split(":")[2])
        measured = records.one("memory", dtype=row["dtype"], who="blockwise", batch=batch)
        if measured:
            predicted = row["peak_bytes"] / 1e6
            off = predicted / measured["peak_rss_mb"] - 1
            plans.append(
                (
                    work(row["case"]) + ", " + row["dtype"],
                    f"{predicted:.0f}",
                    f"{measured['peak_rss_mb']:.0f}",
                    f"{off:+.1%}",
                    f"within 10 %: {verdict(abs(off), PLAN_ERROR, False)}",
                )
            )
    if plans:
        parts.append(
            "Peak that `blockwise plan` predicts against the one measured:\n\n"
            + table(("work", "predicted MB", "measured MB", "off by", "wanted"), plans, right=(1, 2, 3))
        )
    large = [
        (f"ResNet-50, 224 px, {r['what']}", f"{r['peak_rss_mb'] / 1e3:.1f} GB", f"{r['step_s_median']:.1f} s")
        for r in records.of("large")
    ]
    if large:
        parts.append("One step of what is large:\n\n" + table(("work", "peak", "step"), large, right=(1, 2)))
    if not parts:
        return ""
    text = (
        "## Memory\n\n"
        "Peak resident memory of the process after two steps; growth between two batch sizes. The ratio is of growth: ours\n"
        "to PyTorch's, and with `train.recompute` to without.\n\n"
    )
    return text + "\n\n".join(parts)


def profile_part(records):
    parts = []
    for r in records.of("profile"):
        rows, peak = [], records.peak(r["dtype"])
        for p in r["profile"]:
            gflops = p["gflops"]
            share = f" ({gflops / peak:.0%})" if gflops and peak else ""
            rows.append(
                (
                    p["operation"],
                    p["pass"],
                    p["calls"] or "",
                    f"{p['s_per_step'] * 1e3:.0f}",
                    f"{p['share']:.1%}",
                    f"{gflops:.0f}{share}" if gflops else "",
                )
            )
        parts.append(
            f"{work(r['case'])}, {r['dtype']}; step {r['step_s_median']:.2f} s, {r['gflops']:.0f} GFLOP/s:\n\n"
            + table(("operation", "pass", "calls", "ms", "share", "GFLOP/s (share)"), rows, right=(2, 3, 4, 5))
        )
    if not parts:
        return ""
    text = "## Where the time goes\n\n`bench step --profile`: time around each call, the outermost of nested ones.\n\n"
    return text + "\n\n".join(parts)


def matmul_part(records):
    found = [{**row, "dtype": r["dtype"]} for r in records.of("matmul") for row in r["results"]]
    if not found:
        return ""
    rows = [(r["m"], r["n"], r["k"], r["dtype"], f"{r['gflops']:.0f}") for r in found]
    text = "## Matrix products\n\n`bench matmul`, best of its repetitions:\n\n"
    return text + table(("m", "n", "k", "type", "GFLOP/s"), rows, right=(0, 1, 2, 4))


def failures_part(records):
    rows = []
    for r in records.rows:
        if "failed" in r:
            what = [str(r[k]) for k in ("what", "case", "dtype", "who", "batch") if k in r]
            rows.append((f"{r['record']} {', '.join(what)}".replace("skipped ", ""), r["failed"]))
    return "## Not measured\n\n" + table(("what", "why"), dict.fromkeys(rows)) if rows else ""


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__.strip())
    records = Records(sys.argv[1])
    m = records.one("machine") or {"commit": "?", "date": "?", "command": "?", "changed": False}
    changed = " with changes that are not committed" if m["changed"] else ""
    head = (
        "# Performance\n\n"
        f"Measured on {m['date']} at commit `{m['commit']}`{changed} by\n\n    {m['command']}\n\n"
        "which timed this program and PyTorch in turns: the same network, heads, projector (2048-2048-2048), type and\n"
        "batch, no noise, SGD with momentum, synthetic input. `bench/performance.py` makes this page from the recorded\n"
        "lines beside it (`.jsonl`)."
    )
    parts = (machine_part, speed_part, ratios_part, memory_part, profile_part, matmul_part, failures_part)
    # Written by hand, for each page its own: what docs/NAME.jsonl says is explained in bench/NAME_notes.md.
    notes = pathlib.Path(__file__).with_name(pathlib.Path(sys.argv[1]).name.split(".")[0] + "_notes.md")
    texts = [head] + [text for part in parts if (text := part(records))]
    print("\n\n".join(texts + ([notes.read_text().strip()] if notes.exists() else [])))


if __name__ == "__main__":
    main()
