#!/usr/bin/env python3
"""hindsight.py OKIBI TRACE DAYS PASSES POLICY,… [OPTION…]: what a policy that learns would do had it already learned from this very
trace. Plays the trace (CSV, plain or gzip) PASSES times in a row, and once less, with OPTIONs (--protocol bound); the difference is
the last pass, before which everything has been seen PASSES - 1 times. No bound for what could be, but one for what could be
learned from more data of the same kind. Columns as in the trace; "arrival_s" moves on by DAYS each time."""
import csv
import gzip
import json
import os
import subprocess
import sys
import tempfile


def repeat(path, seconds, passes, target):
    with (gzip.open if path.endswith("gz") else open)(path, "rt") as lines:
        rows = list(csv.DictReader(lines))
    rows.sort(key=lambda row: float(row["arrival_s"]))
    with open(target, "w", newline="") as out:
        writer = csv.DictWriter(out, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        for i in range(passes):
            writer.writerows(row | {"arrival_s": f"{float(row['arrival_s']) + i * seconds:.6f}"} for row in rows)


def simulate(okibi, trace, days, policies, options):
    run = subprocess.run([okibi, "simulate", trace, "--horizon", f"{days}d", "--policy", policies, "--json", *options],
                         capture_output=True, text=True, check=True)
    return json.loads(run.stdout)["runs"]


def main():
    okibi, trace, days, passes, policies, *options = sys.argv[1:]
    days, passes = int(days), int(passes)
    with tempfile.TemporaryDirectory() as folder:
        target = os.path.join(folder, "repeated.csv")
        repeat(trace, days * 86400, passes, target)
        long = simulate(okibi, target, passes * days, policies, options)
        repeat(trace, days * 86400, passes - 1, target)
        short = simulate(okibi, target, (passes - 1) * days, policies, options)
    print("policy | cold % | woken % | mean wait s | idle k s | parked k s")
    for a, b in zip(short, long):
        requests = b["requests"] - a["requests"]
        wait = (b["waitSeconds"]["mean"] * b["requests"] - a["waitSeconds"]["mean"] * a["requests"]) / requests
        used = [(b["instanceSeconds"][use] - a["instanceSeconds"][use]) / 1e3 for use in ("idle", "parked")]
        print(f"{b['policy']} | {100 * (b['cold'] - a['cold']) / requests:.2f} | {100 * (b['woken'] - a['woken']) / requests:.2f} | "
              f"{wait:.3f} | {used[0]:.0f} | {used[1]:.0f}")


main()
