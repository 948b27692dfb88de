#!/usr/bin/env python3
"""frontier.py OKIBI TRACE [OPTION...]: learned keep-alive against the rules whose budgets it gets, over the whole range of budgets;
OPTIONs go to `okibi simulate` (--horizon 14d --protocol bound). Starting time counts with idle time: under `bound` it is that of
instances started ahead. Ends with 1 if learned starts more than a rule, or holds more than 1% more, or if, with parking to an hour or more, a function has over 5% more full cold starts than 10 minutes fixed give it."""
import json
import subprocess
import sys

RULES = ["30s:30m", "60s:30m", "60s:60m", "60s:120m", "120s:60m", "30s:240m", "300s:60m",
         "1m", "5m", "10m", "20m", "60m"]


def fixed(rule):
    return ("two-tier:" if ":" in rule else "fixed:") + rule


def held(run, use):
    seconds = run["instanceSeconds"]
    return seconds["parked"] if use == "parked" else seconds["idle"] + seconds["starting"]


def main():
    policies = [name for rule in RULES for name in (fixed(rule), "learned:" + rule)]
    run = subprocess.run([sys.argv[1], "simulate", *sys.argv[2:], "--policy", ",".join(policies), "--json"],
                         capture_output=True, text=True, check=True)
    runs = {r["policy"]: r for r in json.loads(run.stdout)["runs"]}
    ten = {f["name"]: f["cold"] for f in runs["fixed:10m"]["functions"]}
    print("rule | full cold | woken | mean wait s | idle and starting k s | parked k s | functions worse than 10 min fixed")
    ok = True
    for rule in RULES:
        before, after = runs[fixed(rule)], runs["learned:" + rule]
        cells = []
        for pick in (lambda r: r["cold"], lambda r: r["woken"], lambda r: r["waitSeconds"]["mean"],
                     lambda r: held(r, "idle") / 1e3, lambda r: held(r, "parked") / 1e3):
            a, b = pick(before), pick(after)
            digits = 2 if a < 100 and a != int(a) else 0
            cells.append(f"{a:,.{digits}f} → {b:,.{digits}f}")
        worse = sum(f["cold"] > 1.05 * ten[f["name"]] for f in after["functions"])
        print(" | ".join([fixed(rule), *cells, str(worse)]))
        thrifty = all(held(after, use) <= 1.01 * held(before, use) for use in ("idle", "parked"))
        hour = ":" in rule and rule.endswith(("60m", "120m", "240m"))
        ok = ok and thrifty and after["cold"] <= before["cold"] and not (hour and worse)
    sys.exit(0 if ok else 1)


main()
