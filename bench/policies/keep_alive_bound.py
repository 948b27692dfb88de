#!/usr/bin/env python3
"""keep_alive_bound.py TRACE HORIZON_SECONDS: what no keep-alive policy can beat on a trace (CSV, plain or gzip; columns
function, arrival_s, duration_s, cold_s_assigned). One request per instance, the most recently used one first.

Per fixed window: its starts and idle seconds; then, at those same idle seconds,
- hindsight: the shortest idle times held to their end, no other for a moment: nothing that only keeps instances can start less;
- windows in hindsight: one fixed window per function, the best choice of windows that can be had for the idle seconds (on the
  convex hull of each function's windows), as if the whole trace were known: what per-function windows alone could ever reach.
Standard library only."""
import bisect
import csv
import gzip
import sys
from collections import defaultdict

WINDOWS = [60, 300, 600, 1200, 3600, 7200]
CANDIDATES = [0] + [2 ** (i / 2) for i in range(4, 35)]


def idle_times(requests):
    """Per instance that is never released: (idle seconds, wanted again)."""
    free, gaps = [], []
    for arrival, duration, cold in requests:
        at = bisect.bisect_right(free, arrival) - 1
        if at >= 0:
            gaps.append((arrival - free.pop(at), True))
            bisect.insort(free, arrival + duration)
        else:
            bisect.insort(free, arrival + cold + duration)
    return gaps, free


def read(path, horizon):
    by_function = defaultdict(list)
    with (gzip.open if path.endswith("gz") else open)(path, "rt") as lines:
        for row in csv.DictReader(lines):
            by_function[row["function"]].append(
                (float(row["arrival_s"]), float(row["duration_s"]), float(row["cold_s_assigned"])))
    functions = []
    for requests in by_function.values():
        gaps, free = idle_times(sorted(requests))
        gaps += [(horizon - end, False) for end in free if end < horizon]
        functions.append((len(requests), gaps))
    return functions


def at_window(gaps, window):
    """Idle seconds, requests served warm."""
    return sum(min(gap, window) for gap, _ in gaps), sum(wanted and gap <= window for gap, wanted in gaps)


def hull(points):
    """Upper convex hull of (cost, gain), as steps (gain per cost, cost, gain)."""
    best = []
    for point in sorted(points):
        while len(best) > 1 and (best[-1][1] - best[-2][1]) * (point[0] - best[-1][0]) <= \
                (point[1] - best[-1][1]) * (best[-1][0] - best[-2][0]):
            best.pop()
        if not best or point[1] > best[-1][1]:
            best.append(point)
    return [((b[1] - a[1]) / (b[0] - a[0]), b[0] - a[0], b[1] - a[1]) for a, b in zip(best, best[1:]) if b[0] > a[0]]


def main():
    functions = read(sys.argv[1], float(sys.argv[2]))
    requests = sum(count for count, _ in functions)
    wanted = sorted(gap for _, gaps in functions for gap, again in gaps if again)
    steps = sorted((step for _, gaps in functions
                    for step in hull([at_window(gaps, window) for window in CANDIDATES])), reverse=True)
    print("window s | idle k s | cold % | hindsight % | windows in hindsight %")
    for window in WINDOWS:
        idle = warm = 0
        for _, gaps in functions:
            seconds, served = at_window(gaps, window)
            idle, warm = idle + seconds, warm + served
        left, hindsight = idle, 0
        for gap in wanted:
            left -= gap
            if left < 0:
                break
            hindsight += 1
        left, windows = idle, sum(at_window(gaps, 0)[1] for _, gaps in functions)
        for _, cost, gain in steps:
            share = min(1, left / cost)
            windows, left = windows + share * gain, left - share * cost
            if left <= 0:
                break
        shares = [100 * (1 - served / requests) for served in (warm, hindsight, windows)]
        print(f"{window:8} | {idle / 1e3:8.0f} | " + " | ".join(f"{share:.2f}" for share in shares))


main()
