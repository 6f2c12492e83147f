#!/usr/bin/env python3
"""Makes docs/scaling.md from the lines that bench/scaling.sh recorded; measures nothing.

    bench/scaling.py docs/scaling.jsonl > docs/scaling.md
"""
import pathlib
import statistics
import sys

from performance import NAMES, Records, spread, table, verdict

# What the project sets out to reach.
EFFICIENCY = {"2:1:1": 0.9, "1:2:1": 0.8}  # two ranks of one thread over one of two
SIMULATION_ERROR = 0.20
COLUMNS = 100  # of a timeline
PAYLOAD = 1448 / 1547  # as src/train/simulate_nodes.c has it


def work(case):
    arch, size, batch = case.split(":")
    return f"{NAMES.get(arch, arch)}, {size} px, batch {batch}"


def number(x, digits=3):
    return f"{x:.{digits}g}" if x < 1000 else f"{x:.0f}"


def ways(data, rows):
    if rows == 1:
        return f"data parallel, {data} ranks" if data > 1 else "one rank"
    return f"block parallel, {rows} rows" if data == 1 else f"both, {data} x {rows} ranks"


def machine_part(records):
    found = {r["part"]: r for r in records.of("machine")}
    if not found:
        return ""
    m = list(found.values())[-1]
    rows = [
        ("processor", f"{m['cpu']}, {m['cores']} cores usable, {', '.join(m['instruction_sets'])}"),
        ("memory", f"{m['memory_gb']} GB"),
        ("system", f"{m['system']}, Linux {m['kernel']}"),
        ("oneDNN", m["onednn"]),
    ]
    rows += [("MPI", r["mpi"]) for r in records.of("comm")[:1]]
    for part, r in found.items():
        changed = " with changes that are not committed" if r["changed"] else ""
        rows.append((f"part `{part}`", f"`{r['command']}` at commit `{r['commit']}`{changed}, {r['date']}; {r['blockwise']}"))
    return "## Machine\n\n" + table(("", ""), rows)


def before_activations(record):
    """Bytes in front of the activations of a message, which the formula leaves out: src/train/relay.c."""
    return 64 + -(-4 * record["batch"] // record["data"] // 64) * 64


def bytes_part(records):
    rows, kinds = [], ("sums of statistics and losses", "sums of gradients", "activations to the next row")
    equal = True
    for r in records.of("bytes"):
        counted = {k: [0, 0] for k in kinds}
        for row in r["rows"]:
            for s in row["sent"]:
                more = before_activations(r) if s["what"] == kinds[2] else 0
                equal = equal and s["calls"] == s["formula_calls"] and s["bytes"] == s["formula_bytes"] + more * s["calls"]
                if s["what"] in counted:
                    counted[s["what"]][0] += s["calls"]
                    counted[s["what"]][1] += s["bytes"]
        cells = [f"{c} / {b / 1e6:.2f}" if c else "-" for c, b in counted.values()]
        rows.append(
            (
                work(r["case"]),
                ways(r["data"], r["block"]),
                *cells,
                f"{r['wire_bytes_per_step'] / 1e6:.2f}",
                f"{r['wire_bytes_per_sample'] / 1e6:.3f}",
            )
        )
    if not rows:
        return ""
    header = ("work", "ranks", "statistics, losses", "gradients", "activations", "all ranks send MB a step", "MB a sample")
    text = (
        "## Bytes\n\n"
        "Calls / MB of one step, counted (`bench comm --step`), of one rank of each row added up. "
        + (
            "Every counter is what the formula\n(`src/train/traffic.h`) says, call for call and byte for byte; a message of activations has a head of\n64 bytes and labels more, 4 bytes each, up to a multiple of 64.\n"
            if equal
            else "**Counters and formula differ.**\n"
        )
        + "What all ranks send is that by an algorithm that sends as little as can be: a sum of n bytes over R ranks\n"
        "2 n (R - 1) / R from each. Gradients do not grow with the batch, activations do: a larger batch turns the\n"
        "balance towards data parallel.\n\n"
    )
    return text + table(header, rows, right=(5, 6))


def rounds_of(records, case, shape):
    return {
        r["round"]: r["step_s_median"] for r in records.of("step", part="machine", case=case, shape=shape)
    }


def efficiency_part(records):
    rows = []
    for case in dict.fromkeys(r["case"] for r in records.of("step", part="machine")):
        whole = rounds_of(records, case, "1:1:2")
        for shape in ("2:1:1", "1:2:1"):
            steps = rounds_of(records, case, shape)
            ratios = [whole[r] / steps[r] for r in sorted(steps) if r in whole]
            if not ratios:
                continue
            wanted, data, block = EFFICIENCY[shape], *map(int, shape.split(":")[:2])
            rows.append(
                (
                    work(case),
                    ways(data, block) + " of one thread",
                    spread([steps[r] for r in steps]),
                    spread([whole[r] for r in whole]),
                    spread(ratios),
                    len(ratios),
                    f"at least {wanted}: {verdict(statistics.median(ratios), wanted)}",
                )
            )
    if not rows:
        return ""
    header = ("work", "ranks", "step s", "one rank of two threads: step s", "efficiency", "rounds", "wanted")
    text = (
        "## Ranks on one machine\n\n"
        "The same two threads in all: two ranks of one thread against one rank of two. Ways take turns; efficiency is taken\n"
        "round by round: median (least-most). Blocks of the rows are balanced by what they cost, as in a run.\n\n"
    )
    return text + table(header, rows, right=(5,))


def weak_part(records):
    rows = []
    for case in dict.fromkeys(r["case"] for r in records.of("step", part="machine")):
        batch = int(case.split(":")[2])
        one = rounds_of(records, case, f"1:1:1:{batch // 2}")
        for ranks, shape, cores in ((2, "2:1:1", 2), (4, f"4:1:1:{2 * batch}", 2)):
            steps = rounds_of(records, case, shape)
            ratios = [one[r] / steps[r] * ranks / cores for r in sorted(steps) if r in one]
            if not ratios:
                continue
            note = "" if ranks == cores else f", on {cores} cores: {ranks // cores} ranks share one"
            rows.append(
                (
                    f"{ranks} ranks, batch {batch // 2 * ranks}{note}",
                    spread([steps[r] for r in steps]),
                    spread([one[r] for r in one]),
                    spread(ratios),
                    len(ratios),
                )
            )
    if not rows:
        return ""
    header = ("ranks of one thread", "step s", "one rank: step s", "efficiency", "rounds")
    text = (
        "### Weak scaling\n\n"
        "Data parallel, 16 images a rank, ResNet-18 at 32 px. Efficiency is the rate per core over that of one rank that\n"
        "has the machine alone; ranks share its memory and caches, so part of what is lost is no matter of messages.\n\n"
    )
    return text + table(header, rows, right=(4,))


def network_part(records):
    rows, rtt = [], {}
    found = dict.fromkeys((r["case"], r["rate"], r["shape"]) for r in records.of("step", part="network"))
    for case, rate, shape in sorted(found, key=lambda f: (f[0], -len(f[1]), f[2]), reverse=True):
        found = records.of("step", part="network", case=case, rate=rate, shape=shape)
        data, block = map(int, shape.split(":"))
        simulated = {
            r["round"]: g
            for r in records.of("simulation", case=case, rate=rate)
            for g in r["grids"]
            if (g["data"], g["block"]) == (data, block)
        }
        measured = {r["round"]: r["step_s_median"] for r in found}
        rtt.setdefault(rate, []).extend(r["lab"] for r in found if "lab" in r)
        both = sorted(r for r in measured if r in simulated)
        if not both:
            continue
        real = statistics.median(measured[r] for r in both)
        model = statistics.median(simulated[r]["step_s"] for r in both)
        off = model / real - 1
        middle = simulated[both[len(both) // 2]]
        rows.append(
            (
                work(case),
                rate,
                ways(data, block),
                spread([measured[r] for r in both]),
                spread([simulated[r]["step_s"] for r in both]),
                len(both),
                f"{off:+.0%}",
                f"{number(middle['compute_s'])} / {number(middle['statistics_s'])} / {number(middle['gradients_s'])}",
                f"within 20 %: {verdict(abs(off), SIMULATION_ERROR, False)}",
            )
        )
    if not rows:
        return ""
    header = (
        "work", "links", "ranks", "step s", "simulated s", "rounds", "off by", "of it: computing / statistics / gradients", "wanted",
    )
    text = (
        "## On a slow network\n\n"
        "Two hosts of one thread (`bench/netlab.sh`: network namespaces, links limited by `tc tbf`), steps in turns with what\n"
        "`plan --nodes 2 --network RATE,DELAY` says of them. What blocks cost is measured by two processes at once, since two\n"
        "ranks share this machine's memory. The formulas are in `src/train/simulation.h`.\n\n"
    )
    text += table(header, rows, right=(5, 6))
    delays = []
    for rate, labs in rtt.items():
        idle = statistics.median(lab["idle_rtt_ms"][1] for lab in labs)
        busy = [lab["busy_rtt_ms"][1] for lab in labs if lab["busy_rtt_ms"][1] is not None]
        comm = records.one("comm", rate=rate)
        sent = [r["seconds"] for r in comm["operations"] if r["operation"] == "send" and r["bytes"] == 8] if comm else []
        told = f"{sent[0] * 1e6:.0f} µs" if sent else "-"
        delays.append((rate, f"{idle * 1e3:.0f} µs", f"{statistics.median(busy):.2f} ms" if busy else "-", told))
    text += (
        "\n\nDelay. No delay is made: this kernel has no netem. What there is was measured: `ping` between the hosts while\n"
        "nothing runs, and while steps do, where it waits behind their bytes in the queue of the token bucket. DELAY of the\n"
        "simulation is what a message of 8 bytes takes one way by `bench comm` on the same links.\n\n"
    )
    text += table(("links", "ping, idle", "ping, beside steps", "DELAY"), delays, right=(1, 2, 3))
    return text


def comm_part(records):
    rows = []
    for r in records.of("comm"):
        rate = {"1gbit": 1e9, "100mbit": 1e8}[r["rate"]] / 8 * PAYLOAD
        delay = next((o["seconds"] for o in r["operations"] if o["operation"] == "send" and o["bytes"] == 8), 0.0)
        for o in r["operations"]:
            if o["bytes"] < 2048:
                continue
            delays = {"gather": 1, "send": 1}.get(o["operation"], 2)
            model = delays * delay + o["bytes_sent"] / rate
            rows.append(
                (
                    r["rate"], o["operation"], o["bytes"], f"{o['seconds'] * 1e3:.3g}", f"{model * 1e3:.3g}",
                    f"{model / o['seconds'] - 1:+.0%}",
                )
            )
    if not rows:
        return ""
    text = (
        "### Sums and messages alone\n\n"
        "`bench comm` on the same links beside the formula that the simulation takes for each. Sums are Rabenseifner's\n"
        "(reduce-scatter and all-gather), which `src/dist/comm_mpi.c` asks Open MPI for; its own choice for sums in place is\n"
        "a binomial tree, which takes twice the bytes of each link. What processors do to copy and to add up is not in the\n"
        "formula; it shows at 1 Gbit/s.\n\n"
    )
    return text + table(("links", "operation", "bytes", "ms", "formula ms", "off by"), rows, right=(2, 3, 4, 5))


def lane(spans, letter, begin, width):
    """One character a column: of the span that has most of it."""
    line = []
    for c in range(COLUMNS):
        left, right = begin + c * width, begin + (c + 1) * width
        best, most = " ", width * 0.3
        for s in spans:
            share = min(right, s["end"]) - max(left, s["begin"])
            if share > most:
                best, most = letter(s), share
        line.append(best)
    return "".join(line).rstrip()


def doing(s):
    if s["name"].startswith("backward"):
        return "B" if s["name"].endswith("trunk") else "b"
    return {"forward": "f", "loss": "l", "update": "u"}.get(s["name"], "?")


def timeline(record):
    keys = ("rank", "track", "name", "block", "begin", "length")
    spans = [dict(zip(keys, s)) for s in record["spans"]]
    for s in spans:
        s["end"] = s["begin"] + s["length"]
    begin, end = min(s["begin"] for s in spans), max(s["end"] for s in spans)
    width = (end - begin) / COLUMNS
    lines = []
    for rank in sorted({s["rank"] for s in spans}):
        own = [s for s in spans if s["rank"] == rank]
        of = lambda track: [s for s in own if s["track"] == track]
        waits = [s for s in own if "wait" in s["name"]]
        lanes = [
            ("block", lane(of("blocks"), lambda s: str(s["block"]), begin, width)),
            ("pass", lane(of("blocks"), doing, begin, width)),
            ("waits", lane(waits, lambda s: "w", begin, width)),
            ("sums", lane(of("sums of gradients"), lambda s: "h" if s["name"].endswith("head") else "t", begin, width)),
            ("sent", lane(of("activations sent"), lambda s: ">", begin, width)),
            ("received", lane(of("activations received"), lambda s: "<", begin, width)),
        ]
        lines += [f"rank {rank} {name:8} |{text}" for name, text in lanes if text.strip()]
    return "\n".join(lines), (end - begin) * 1e-6


def overlap(record):
    """Share of the time of sums, and of activations on their way, in which the rank computes; of rank 0."""
    keys = ("rank", "track", "name", "block", "begin", "length")
    spans = [dict(zip(keys, s)) for s in record["spans"] if s[0] == 0]
    passes = [s for s in spans if s["track"] == "blocks"]
    under_way = [s for s in spans if s["track"] in ("sums of gradients", "activations sent")]
    beside = sum(
        max(0.0, min(p["begin"] + p["length"], s["begin"] + s["length"]) - max(p["begin"], s["begin"]))
        for s in under_way
        for p in passes
    )
    total = sum(s["length"] for s in under_way)
    return beside / total if total else 0.0


def trace_part(records):
    parts = []
    for r in records.of("trace"):
        data, block = map(int, r["shape"].split(":"))
        text, seconds = timeline(r)
        what = "a step" if data > 1 else "steps"
        parts.append(
            f"{work(r['case'])}, links of {r['rate']}, {ways(data, block)}: {what}, {seconds / COLUMNS * 1e3:.0f} ms a column. "
            f"Of the time that rank 0's {'sums' if data > 1 else 'activations'} are under way it computes in "
            f"{overlap(r):.0%}.\n\n```\n{text}\n```"
        )
    if not parts:
        return ""
    text = (
        "## What goes on beside what\n\n"
        "From a trace (`bench step --trace FILE.json`; Perfetto and Chrome show all of it). Pass: f forward, l loss, b\n"
        "backward of projector and head, B of the trunk, u update. Sums: h gradients of head and projector, t of the trunk,\n"
        "from their begin until they are there. w: waits for gradients or for activations.\n\n"
    )
    return text + "\n\n".join(parts)


def way_cell(way):
    return f"{number(way['step_s'])} ({way['efficiency']:.0%})" if way else "-"


def time_text(hours):
    return f"{hours / 24:.1f} days" if hours >= 48 else f"{hours:.1f} hours"


def nodes_part(records):
    parts = []
    for r in records.of("nodes"):
        s = r["simulation"]
        rows = []
        for c in s["counts"]:
            if c["nodes"] not in (1, 2, 4) and c["nodes"] < 8:
                continue
            best = c["best"]
            rows.append(
                (
                    c["nodes"], way_cell(c["data"]), way_cell(c["block"]), way_cell(best),
                    f"{best['data']} x {best['block']}" if best else "-",
                    f"{number(best['compute_s'])} / {number(best['statistics_s'])} / {number(best['gradients_s'])}" if best else "-",
                    f"{best['sent_bytes'] * 1e-9:.1f}" if best else "-",
                    time_text(best["run_hours"]) if best else "-",
                )
            )
        to = s["scales_to"]
        node = (
            f"as this one ({r['threads']} threads), what blocks take measured in {s['measured_s']:.0f} s"
            if s["measured_s"] > 0
            else f"with matrix products of {r['node']} (`--gflops`), so updates of weights are not counted"
        )
        header = (
            "nodes", "data parallel s", "block parallel s", "best grid s", "data x block",
            "of it: computing / statistics / gradients", "sent GB", "run",
        )
        parts.append(
            f"### Links of {r['network']}, nodes {node}\n\n"
            + table(header, rows, right=(0, 1, 2, 3, 6))
            + f"\n\nAt least half of what as many nodes do alone: data parallel up to {to['data']} nodes, block parallel up to "
            f"{to['block']}, the best grid up to {to['best']}."
        )
    if not parts:
        return ""
    text = (
        "## 8 to 1024 nodes, simulated\n\n"
        "`plan --recipe paper-imagenet --nodes 1024 --network RATE,DELAY`: ResNet-50, 224 px, batch 2048, four projectors of\n"
        "8192-8192-8192, f32. A step in seconds, and the efficiency: what a node does of what it does alone. Block parallel\n"
        "ends at the four blocks; recipe `paper-units` has sixteen. Blocks are timed anew for each network, and the\n"
        "speed of the machine moves between them. 2000 GFLOP/s stands for a node with about nineteen such cores.\n\n"
    )
    return text + "\n\n".join(parts)


def failures_part(records):
    rows = []
    for r in records.rows:
        if "failed" in r:
            what = [str(r[k]) for k in ("part", "record", "case", "rate", "shape", "network", "round") if k in r]
            rows.append((", ".join(what), r["failed"].strip(" -") or "mpirun failed as it began; its message was not kept"))
    return "## Not measured\n\n" + table(("what", "why"), dict.fromkeys(rows)) if rows else ""


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__.strip())
    records = Records(sys.argv[1])
    head = (
        "# Scaling over ranks\n\n"
        "Measured by `bench/scaling.sh`, which others can run; `bench/scaling.py` makes this page from the recorded lines\n"
        "beside it (`.jsonl`). Synthetic images, f32. How to start ranks and which grid to take:\n"
        "[clusters.md](clusters.md)."
    )
    parts = (
        machine_part, bytes_part, efficiency_part, weak_part, network_part, comm_part, trace_part, nodes_part, failures_part,
    )
    notes = pathlib.Path(__file__).with_name("scaling_notes.md").read_text().strip()  # written by hand
    print("\n\n".join([head] + [text for part in parts if (text := part(records))] + [notes]))


if __name__ == "__main__":
    main()
