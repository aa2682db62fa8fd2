"""The table of benches/peers/run: medians, and the ratio of each turn's pair. Reads the lines of JSON; prints Markdown."""

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import tomllib
from collections import defaultdict

parser = argparse.ArgumentParser()
parser.add_argument("results")
parser.add_argument("--restate", default="")
parser.add_argument("--postgres", default="")
parser.add_argument("--data", default=".")
asked = parser.parse_args()

turns = defaultdict(list)
with open(asked.results, encoding="utf-8") as lines:
    for line in lines:
        found = json.loads(line)
        turns[found["workload"], found["in_flight"], found["peer"]].append(found)


def median(found, figure):
    return statistics.median(turn[figure] for turn in found)


def ratio(ours, theirs, figure):
    """The median of the ratios of turns that followed each other: what both had to share hurts both."""
    return statistics.median(our[figure] / their[figure] for our, their in zip(ours, theirs) if their[figure])


def cpu_name():
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{len(names)} x {names[0]}" if names else platform.machine()


def filesystem(path):
    found = subprocess.run(["findmnt", "-n", "-o", "FSTYPE", "-T", path], capture_output=True, text=True, check=False)
    return found.stdout.strip() or "?"


def crate(name):
    with open("benches/peers/Cargo.toml", "rb") as file:
        wanted = tomllib.load(file)["dependencies"][name]
    return re.sub("^=", "", wanted if isinstance(wanted, str) else wanted["version"])


def ours():
    with open("Cargo.toml", "rb") as file:
        return tomllib.load(file)["workspace"]["package"]["version"]


memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1_000_000_000
print(f"{cpu_name()}, {memory} GB, {platform.system()} {platform.release()}, {filesystem(asked.data)}.\n")
print("| Engine | Version | Durability | Else |")
print("|---|---|---|---|")
print(f"| amends | {ours()} | `PowerSafe`, its default: fdatasync before an acknowledgement | default |")
peers = {peer for _, _, peer in turns}
if "restate" in peers:
    print(
        f"| Restate | server {asked.restate}, SDK {crate('restate-sdk')} | as shipped: its log is fsynced in batches "
        "| default; one node; HTTP/2 between server and service, on loopback |"
    )
if "dbos" in peers:
    print(
        f"| DBOS | {crate('dbos')} on PostgreSQL {asked.postgres} | as shipped: `fsync` and `synchronous_commit` on "
        "| 50 connections; `shared_buffers` a quarter of the memory |"
    )
print()
print("| Workload | In flight | Engine | Sagas/s | amends does | p50 ms | amends waits | CPU us each | amends needs |")
print("|---|---|---|---|---|---|---|---|---|")
# Which engine came first differs from turn to turn.
order = ["amends", "restate", "dbos"]
cases = list(dict.fromkeys((workload, in_flight) for workload, in_flight, _ in turns))
for workload, in_flight, peer in sorted(turns, key=lambda turn: (cases.index(turn[:2]), order.index(turn[2]))):
    found, own = turns[workload, in_flight, peer], turns[workload, in_flight, "amends"]
    rate, p50, cpu = (median(found, figure) for figure in ("sagas_per_second", "p50_us", "cpu_us_per_saga"))
    compared = ["", "", ""]
    if peer != "amends":
        compared = [
            f"{ratio(own, found, 'sagas_per_second'):.1f}x",
            f"1/{1 / ratio(own, found, 'p50_us'):.1f}",
            f"1/{1 / ratio(own, found, 'cpu_us_per_saga'):.1f}",
        ]
    print(
        f"| {workload} | {in_flight} | {peer} | {rate:,.0f} | {compared[0]} | {p50 / 1e3:.2f} | {compared[1]} "
        f"| {cpu:,.0f} | {compared[2]} |"
    )
print(f"\nMedians of {max(len(found) for found in turns.values())} turns each; ratios are medians of neighbouring turns' ratios.")
