#!/usr/bin/env python3
"""What goes wrong in containers, and what lasts: hard_cases_test.py OKIBI ECHO_BINARY [unittest arguments]."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
from daemon import (API, Daemon, cgroup_name, echo_layout, end_module, remnants, sandbox_processes, wait_for,  # noqa: E402
                    wait_until_gone)

OKIBI, ECHO = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])


def setUpModule():
    global work, daemon, image
    work = tempfile.TemporaryDirectory(prefix="okibi-e2e-hard-")
    image = echo_layout(work.name, ECHO)
    daemon = Daemon(OKIBI, image).start()


def tearDownModule():
    end_module(daemon, work)


def log_lines(name):
    return [line["text"] for line in
            daemon.request("GET", f"/okibi/v1/logs?functionName={name}&limit=1000").json["lines"]]


class Impatient(unittest.TestCase):
    """A daemon that waits three seconds, and applications for which that is too short on any machine."""

    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon(OKIBI, image, "--start-timeout-seconds", "3").start()
        cls.addClassCleanup(cls.daemon.close)

    def test_application_that_never_listens(self):
        self.daemon.deploy("deaf", environmentVariables={"ECHO_NEVER_LISTEN": "1"})
        for answer in (self.daemon.invoke("deaf"), self.daemon.request("GET", self.daemon.trigger("deaf") + "/")):
            self.assertEqual((answer.status, answer.json["Code"]), (412, "FunctionNotStarted"))
            self.assertIn("port 9000 in 3 seconds", answer.json["Message"])
        wait_for(lambda: not self.daemon.instances("deaf"), what="the end of the instance")

    def test_application_that_listens_on_another_port(self):
        self.daemon.deploy("elsewhere", customContainerConfig={"image": image, "port": 8080,
                                                               "entrypoint": ["/echo"]},
                           environmentVariables={"ECHO_NEVER_LISTEN": "1"})
        self.assertIn("port 8080", self.daemon.invoke("elsewhere").json["Message"])


class Starts(unittest.TestCase):
    def test_application_that_listens_late(self):
        daemon.deploy("late", environmentVariables={"ECHO_LISTEN_DELAY_MS": "1000"})
        self.assertEqual(daemon.invoke("late", b"at last").text, "at last")


class DyingUnderRequests(unittest.TestCase):
    def test_through_the_api(self):
        # An API call always goes to /invoke; the echo dies of what the query of a trigger says.
        daemon.deploy("mortal", instanceConcurrency=10)
        trigger = daemon.trigger("mortal")
        held = daemon.hold(trigger, "mortal")
        killed = daemon.request("GET", trigger + "/exit?signal=9")
        self.assertEqual((killed.status, killed.json["Code"]), (502, "BadResponse"))
        self.assertIn("signal 9", killed.json["Message"])
        # The other call of the same instance learns of it as well.
        answer = held.end()
        self.assertEqual((answer.status, answer.json["Code"]), (502, "BadResponse"))
        self.assertEqual(daemon.invoke("mortal", b"again").text, "again")
        # Each was answered once and counts once.
        self.assertEqual(daemon.usage("mortal")["calls"], 3)
        self.assertEqual(daemon.usage("mortal")["errors"], 2)

    def test_half_an_answer_is_not_a_whole_one(self):
        daemon.deploy("half")
        trigger = daemon.trigger("half")
        with socket.create_connection(("127.0.0.1", daemon.port), timeout=120) as caller:
            caller.sendall(f"GET {trigger}/exit?partial=1 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            received = b""
            try:
                while piece := caller.recv(65536):
                    received += piece
            except ConnectionResetError:
                pass
        if received.startswith(b"HTTP/1.1 200"):
            self.assertFalse(received.endswith(b"0\r\n\r\n"), "a broken answer looks complete")
        else:
            self.assertIn(b" 502 ", received.split(b"\r\n")[0])

    def test_connection_reset(self):
        daemon.deploy("reset")
        trigger = daemon.trigger("reset")
        self.assertEqual(daemon.request("GET", trigger + "/abort").status, 502)
        self.assertEqual(daemon.request("GET", trigger + "/").status, 200)

    def test_log_lines_of_the_dead_are_in_the_answer(self):
        daemon.deploy("lastwords")
        trigger = daemon.trigger("lastwords")
        daemon.request("GET", trigger + "/log?text=famous-last-words")
        answer = daemon.request("GET", trigger + "/exit?code=9")
        self.assertIn("famous-last-words", answer.json["Message"])


class WebSockets(unittest.TestCase):
    @staticmethod
    def frame(opcode, payload):
        mask = b"\1\2\3\4"
        return (bytes([0x80 | opcode, 0x80 | len(payload)]) + mask +
                bytes(b ^ mask[i % 4] for i, b in enumerate(payload)))

    @staticmethod
    def read_frame(stream):
        head = stream.read(2)
        return head[0] & 0x0F, stream.read(head[1] & 0x7F)

    def test_echo_through_a_trigger(self):
        daemon.deploy("socket")
        trigger = daemon.trigger("socket")
        key = base64.b64encode(os.urandom(16)).decode()
        with socket.create_connection(("127.0.0.1", daemon.port), timeout=120) as caller:
            caller.sendall((f"GET {trigger}/ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
                            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}"
                            "\r\n\r\n").encode())
            stream = caller.makefile("rb")
            self.assertIn(b" 101 ", stream.readline())
            while stream.readline() not in (b"\r\n", b""):
                pass
            for text in (b"one", b"two", b""):
                caller.sendall(self.frame(1, text))
                self.assertEqual(self.read_frame(stream), (1, text))
            caller.sendall(self.frame(9, b"ping"))
            self.assertEqual(self.read_frame(stream), (10, b"ping"))
            self.assertEqual(daemon.in_flight("socket"), 1)
            caller.sendall(self.frame(8, b"\x03\xe8"))
            self.assertEqual(self.read_frame(stream)[0], 8)
        wait_for(lambda: daemon.in_flight("socket") == 0, what="the end of the call")
        wait_for(lambda: daemon.usage("socket")["calls"] == 1, what="the call on the ledger")

    def test_caller_who_leaves(self):
        daemon.deploy("hangup")
        trigger = daemon.trigger("hangup")
        with socket.create_connection(("127.0.0.1", daemon.port), timeout=120) as caller:
            caller.sendall((f"GET {trigger}/ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
                            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
                            "AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n").encode())
            self.assertIn(b" 101 ", caller.recv(4096))
        wait_for(lambda: daemon.in_flight("hangup") == 0, what="the end of the call")


class Hooks(unittest.TestCase):
    PRE_STOP = {"instanceLifecycleConfig": {"preStop": {"handler": "stop", "timeout": 60}}}

    def test_pre_stop_is_called_once_on_release(self):
        daemon.deploy("polite", idleTimeout=1, **self.PRE_STOP)
        self.assertEqual(daemon.invoke("polite").status, 200)
        wait_for(lambda: not daemon.instances("polite"), what="the release")
        starts = [line for line in log_lines("polite") if line.startswith("FC PreStop Start")]
        ends = [line for line in log_lines("polite") if line.startswith("FC PreStop End")]
        self.assertEqual((len(starts), len(ends)), (1, 1), log_lines("polite"))

    def test_pre_stop_of_a_frozen_instance(self):
        daemon.deploy("icy", **self.PRE_STOP)
        daemon.invoke("icy")
        wait_for(lambda: daemon.instances("icy")[0]["state"].lower() == "frozen", what="the freeze")
        # A new configuration retires the instances of the old one.
        self.assertEqual(daemon.request("PUT", f"{API}/functions/icy", {"timeout": 60}).status, 200)
        wait_for(lambda: not daemon.instances("icy"), what="the release")
        self.assertEqual(len([line for line in log_lines("icy") if "PreStop End" in line]), 1)

    def test_pre_stop_that_hangs_does_not_keep_the_instance(self):
        daemon.deploy("stubborn", idleTimeout=1,
                      environmentVariables={"ECHO_PRESTOP_SLEEP_MS": "600000", "ECHO_IGNORE_TERM": "1"},
                      instanceLifecycleConfig={"preStop": {"handler": "stop", "timeout": 1}})
        daemon.invoke("stubborn")
        wait_for(lambda: not daemon.instances("stubborn"), what="the release")


class Logs(unittest.TestCase):
    def tail(self, name):
        answer = daemon.invoke(name, b"x", {"X-Fc-Log-Type": "Tail"})
        self.assertEqual(answer.status, 200)
        return answer.headers.get("X-Fc-Log-Result"), answer.headers["X-Fc-Request-Id"]

    def test_tail_is_that_of_one_call(self):
        daemon.deploy("single")
        self.tail("single")
        encoded, request_id = self.tail("single")
        text = base64.b64decode(encoded).decode()
        self.assertIn(request_id, text)
        self.assertEqual(text.count("FC Invoke Start"), 1)

    def test_no_tail_where_calls_share_an_instance(self):
        # Lines of several calls are mixed there, and the wire contract leaves the header out.
        daemon.deploy("shared", instanceConcurrency=10)
        encoded, request_id = self.tail("shared")
        self.assertIsNone(encoded)
        wait_for(lambda: any(request_id in line for line in log_lines("shared")), what="the log")

    def test_what_is_kept_is_bounded(self):
        daemon.deploy("chatty")
        trigger = daemon.trigger("chatty")
        for _ in range(3):
            self.assertEqual(daemon.request("GET", trigger + "/log?lines=1000&size=1000").status, 200)
        self.assertEqual(daemon.request("GET", trigger + "/log?text=the-newest").status, 200)
        wait_for(lambda: any("the-newest" in line for line in log_lines("chatty")), what="the newest line")
        listed = daemon.request("GET", "/okibi/v1/logs?functionName=chatty&limit=10000").json["lines"]
        self.assertLess(sum(len(line["text"]) for line in listed), 1100 * 1024)


class Freezing(unittest.TestCase):
    def test_thawed_and_frozen_again_the_same_instance_serves(self):
        daemon.deploy("seasons")
        names = set()
        for text in (b"spring", b"summer", b"autumn"):
            answer = daemon.invoke("seasons", text)
            self.assertEqual(answer.body, text)
            names.add(answer.headers["X-Fc-Instance-Id"])
            wait_for(lambda: daemon.instances("seasons")[0]["state"].lower() == "frozen", what="the freeze")
            pid = daemon.instances("seasons")[0]["pid"]
            before = Path(f"/proc/{pid}/stat").read_text().split()[13:15]
            self.assertEqual(Path(f"/proc/{pid}/stat").read_text().split()[13:15], before)
        self.assertEqual(len(names), 1)
        listed = daemon.request("GET", "/okibi/v1/invocations?functionName=seasons").json["invocations"]
        self.assertEqual([(i["cold"], i["thawed"]) for i in listed],
                         [(False, True), (False, True), (True, False)])


class AllKilled(unittest.TestCase):
    """kill -9 of everything at once: what is left is removed by the next start."""

    def test_daemon_launcher_and_janitor(self):
        doomed = Daemon(OKIBI, image).start()
        try:
            doomed.deploy("f", idleTimeout=3600)
            for _ in range(2):
                self.assertEqual(doomed.invoke("f").status, 200)
            usage = doomed.usage("f")["calls"]
            helpers = self.helpers(doomed)
            self.assertGreaterEqual(len(helpers), 2, "launcher and janitor")
            everything = [doomed.process.pid, *helpers]
            for blow in (signal.SIGSTOP, signal.SIGKILL):  # nobody may do anything about the others' end
                for pid in everything:
                    self.strike(pid, blow)
            doomed.process.wait()
            # No process of an instance outlives its launcher, even with nobody to sweep.
            wait_for(lambda: not sandbox_processes(doomed.state), what="the instances' end")
            self.assertTrue(remnants(doomed.state), "empty cgroups should be left")
            doomed.start()
            fresh = remnants(doomed.state)
            self.assertTrue(all(cgroup_name(doomed.state) in str(r) or "loop" in str(r) or isinstance(r, int)
                                or str(doomed.state) in str(r) for r in fresh))
            runs = {p for r in fresh if os.path.isdir(str(r)) for p in os.listdir(r) if p.startswith("r-")}
            self.assertEqual(len(runs), 1, runs)  # the groups of this life only
            self.assertEqual(doomed.usage("f")["calls"], usage)
            ended = doomed.request("GET", "/okibi/v1/instances?all=true").json["ended"]
            self.assertEqual([(i["functionName"], i["reason"]) for i in ended], [("f", "the daemon ended")])
            self.assertEqual(doomed.invoke("f").status, 200)
            doomed.stop()
            wait_until_gone(doomed.state)
        finally:
            doomed.close()

    @staticmethod
    def strike(pid, blow):
        try:
            os.kill(pid, blow)
        except ProcessLookupError:  # it dies with its parent
            pass

    @staticmethod
    def helpers(doomed):
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if words[0].endswith(b"okibi-launcher") and str(doomed.state).encode() in b" ".join(words):
                found.append(int(entry.name))
        return found


if __name__ == "__main__":
    if os.geteuid() != 0:
        print("hard_cases_test: sandboxes need root")
        sys.exit(77)
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)
