#!/usr/bin/env python3
"""How long a warm call through a trigger takes while another client updates a function without pause.

    deploy_storm.py ECHO OKIBI [OKIBI ...] [--rounds N] [--seconds S]

Several programs are measured in turn, round by round, so that noise hits them alike. Needs root, as sandboxes do.
"""

import argparse
import http.client
import json
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests/e2e"))
from daemon import API, Daemon, echo_layout  # noqa: E402


class Client:
    """One kept connection; how long each of its requests took, in milliseconds."""

    def __init__(self, port):
        self.connection, self.took = http.client.HTTPConnection("127.0.0.1", port), []

    def ask(self, method, path, body=None):
        begin = time.perf_counter()
        self.connection.request(method, path, body)
        answer = self.connection.getresponse()
        answer.read()
        assert answer.status == 200, answer.status
        self.took.append((time.perf_counter() - begin) * 1000)


def calls(daemon, path, seconds):
    client, end = Client(daemon.port), time.monotonic() + seconds
    while time.monotonic() < end:
        client.ask("GET", path)
    return client.took


def update_until(daemon, stop, took):
    client, number = Client(daemon.port), 0
    while not stop.is_set():
        number += 1
        client.ask("PUT", f"{API}/functions/changing", json.dumps({"description": f"change {number}"}))
    took += client.took


def measure(program, echo, seconds):
    with tempfile.TemporaryDirectory(prefix="okibi-deploy-storm-") as work:
        daemon = Daemon(program, echo_layout(work, echo)).start()
        try:
            daemon.deploy("warm", idleTimeout=3600)
            daemon.deploy("changing")
            path = daemon.trigger("warm") + "/"
            calls(daemon, path, 1)
            quiet = calls(daemon, path, seconds)
            stop, updates = threading.Event(), []
            storm = threading.Thread(target=update_until, args=(daemon, stop, updates))
            storm.start()
            stormy = calls(daemon, path, seconds)
            stop.set()
            storm.join()
            daemon.stop()
            return {"calls, quiet": quiet, "calls, storm": stormy, "updates": updates}
        finally:
            daemon.close()


def line(name, took):
    took = sorted(took)
    p50, p90, p99 = (took[int(len(took) * part)] for part in (0.5, 0.9, 0.99))
    return f"{name:14} {len(took):7} {p50:8.2f} {p90:8.2f} {p99:8.2f} {took[-1]:8.1f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("echo")
    parser.add_argument("okibi", nargs="+")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5)
    options = parser.parse_args()
    took = {program: {} for program in options.okibi}
    for _ in range(options.rounds):
        for program in options.okibi:
            for name, times in measure(os.path.abspath(program), os.path.abspath(options.echo), options.seconds).items():
                took[program].setdefault(name, []).extend(times)
    for program, kinds in took.items():
        print(f"{program}\n{'ms':14} {'n':>7} {'p50':>8} {'p90':>8} {'p99':>8} {'max':>8}")
        for name, times in kinds.items():
            print(line(name, times))


if __name__ == "__main__":
    main()
