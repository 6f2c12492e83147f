#!/usr/bin/env python3
"""Prints as JSON what a measurement ran on: processor, memory, versions, commit, date. No name of a host.

    bench/machine.py BLOCKWISE COMMAND-LINE
"""
import datetime
import json
import os
import platform
import subprocess
import sys

FLAGS = ["avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_bf16", "amx_tile"]


def output(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def field(path, name):
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            key, _, value = line.replace("=", ":", 1).partition(":")
            if key.strip() == name:
                return value.strip().strip('"')
    return ""


def main():
    blockwise, command = sys.argv[1:]
    flags = field("/proc/cpuinfo", "flags").split()
    changed = [line for line in output("git", "status", "--porcelain").splitlines() if "docs/performance" not in line and "docs/scaling" not in line]
    print(
        json.dumps(
            {
                "cpu": field("/proc/cpuinfo", "model name"),
                "cores": len(os.sched_getaffinity(0)),
                "instruction_sets": [f for f in FLAGS if f in flags],
                "memory_gb": round(int(field("/proc/meminfo", "MemTotal").split()[0]) * 1024e-9, 1),
                "system": field("/etc/os-release", "PRETTY_NAME"),
                "kernel": platform.release(),
                "blockwise": output(blockwise, "--version").partition("\n")[0],
                "onednn": output("dpkg-query", "-W", "-f=${Version}", "libdnnl2"),
                "commit": output("git", "rev-parse", "--short=12", "HEAD"),
                "changed": bool(changed),
                "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"),
                "command": command,
                "limits": {k: v for k, v in os.environ.items() if k.startswith(("OMP_", "DNNL_", "ONEDNN_"))},
            }
        )
    )


if __name__ == "__main__":
    main()
