#!/usr/bin/env python3
"""The real daemon from outside: calls_test.py OKIBI ECHO_BINARY [unittest arguments].

Every test states what a user would see. Nothing here asserts a time.
"""

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
from daemon import (API, Daemon, Held, echo_layout, end_module, free_port, sandbox_processes, wait_for,  # noqa: E402
                    wait_until_gone)

OKIBI, ECHO = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
GPU = {"gpuConfig": {"gpuType": "fc.gpu.tesla.1", "gpuMemorySize": 1024}}


def initializer(seconds):
    return {"instanceLifecycleConfig": {"initializer": {"handler": "initialize", "timeout": seconds}}}


def checked(path):
    return {"customContainerConfig": {"image": image, "healthCheckConfig": {
        "httpGetUrl": path, "periodSeconds": 1, "timeoutSeconds": 3, "failureThreshold": 1}}}


def setUpModule():
    global work, daemon, image
    work = tempfile.TemporaryDirectory(prefix="okibi-e2e-image-")
    image = echo_layout(work.name, ECHO)
    daemon = Daemon(OKIBI, image, "--simulated-cards", "fc.gpu.tesla.1=3").start()


def tearDownModule():
    end_module(daemon, work)


class Refusals(unittest.TestCase):
    """Bad input names its field and range, and nothing is made."""

    def refused(self, *words, **fields):
        answer = daemon.deploy("bad", **fields)
        self.assertEqual(answer.status, 400, answer.json)
        self.assertEqual(answer.json["Code"], "InvalidArgument")
        for word in words:
            self.assertIn(word, answer.json["Message"])
        self.assertEqual(daemon.request("GET", f"{API}/functions/bad").status, 404)

    def test_concurrency(self):
        self.refused("instanceConcurrency", "1–200", instanceConcurrency=0)
        self.refused("instanceConcurrency", "1–200", instanceConcurrency=201)

    def test_gpu(self):
        gpu = lambda kind, size: {"gpuType": kind, "gpuMemorySize": size}
        self.refused("gpuType", "3 × fc.gpu.tesla.1", "simulated", gpuConfig=gpu("fc.gpu.none", 1024))
        self.refused("gpuMemorySize", "1024–16384", gpuConfig=gpu("fc.gpu.tesla.1", 17408))
        self.refused("gpuMemorySize", "1024", gpuConfig=gpu("fc.gpu.tesla.1", 512))
        self.refused("custom-container", runtime="python3.10", **GPU)

    def test_missing_image_is_a_failed_function(self):
        made = daemon.deploy("noimage", expect="Failed",
                             customContainerConfig={"image": f"oci:{work.name}/nothing:latest"})
        self.assertIn("nothing", made.json["stateReason"])
        answer = daemon.invoke("noimage")
        self.assertEqual(answer.status, 412)
        self.assertIn("nothing", answer.json["Message"])

    def test_unknown_function(self):
        answer = daemon.invoke("nobody")
        self.assertEqual((answer.status, answer.json["Code"]), (404, "FunctionNotFound"))

    def test_body_over_32_mb(self):
        daemon.deploy("big")
        answer = daemon.invoke("big", b"x" * (32 * 1024 * 1024 + 1))
        self.assertEqual((answer.status, answer.json["Code"]), (400, "EntityTooLarge"))

    def test_headers_over_8_kb(self):
        answer = daemon.request("GET", f"{API}/functions", headers={"X-Large": "x" * 8200})
        self.assertEqual((answer.status, answer.json["Code"]), (400, "InvalidArgument"))

    def test_second_daemon_on_the_same_state(self):
        second = subprocess.run([OKIBI, "serve", "--listen", f"127.0.0.1:{free_port()}",
                                 "--state-dir", daemon.state], capture_output=True, text=True)
        self.assertEqual(second.returncode, 1)
        self.assertIn(str(daemon.process.pid), second.stderr)


class Calls(unittest.TestCase):
    def test_cold_then_warm_and_the_phases_sum(self):
        daemon.deploy("calls", **GPU, **initializer(60))
        self.assertEqual(daemon.invoke("calls", b"hello").text, "hello")
        self.assertEqual(daemon.invoke("calls", b"again").text, "again")
        listed = daemon.request("GET", "/okibi/v1/invocations?functionName=calls").json["invocations"]
        self.assertEqual([i["cold"] for i in listed], [False, True])
        cold = listed[1]
        parts = sum(cold["phases"].values()) + cold["requestMs"]
        self.assertAlmostEqual(parts, cold["totalMs"], delta=0.01)
        # Load and first answer are one interval, the second call another: 1 GB, each rounded up to 1 s.
        usage = daemon.usage("calls")
        billed, active = usage["gpuGBSeconds"], usage["activeMs"] / 1000
        self.assertEqual((usage["calls"], billed), (2, int(billed)))
        self.assertTrue(active <= billed < active + 2, usage)
        self.assertAlmostEqual(usage["cost"], 0.000018 * billed)
        self.assertEqual(sum(i["gpuBilledMs"] for i in listed), billed * 1000)
        self.assertAlmostEqual(sum(i["cost"] for i in listed), usage["cost"])

    def test_trigger_passes_through(self):
        daemon.deploy("web")
        trigger = daemon.trigger("web")
        answer = daemon.request("POST", trigger + "/status?code=404", b"x")
        self.assertEqual(answer.status, 404)
        inspected = daemon.request("POST", trigger + "/a%20b?inspect=1&k=*", b"y",
                                   {"x-fc-forged": "1"}).json
        self.assertEqual(inspected["target"], "/a%20b?inspect=1&k=*")
        self.assertNotIn("x-fc-forged", str(inspected["headers"]).lower())
        streamed = daemon.request("GET", trigger + "/stream?chunks=5&delay_ms=5")
        self.assertEqual(streamed.headers["Transfer-Encoding"], "chunked")
        self.assertEqual(daemon.request("PUT", trigger + "/").status, 403)

    def test_thirty_callers_and_the_quota(self):
        daemon.deploy("burst", **GPU)
        trigger = daemon.trigger("burst")
        calls = [Held(daemon.port, trigger + "/") for _ in range(30)]
        wait_for(lambda: daemon.in_flight("burst") == 30, 120, "thirty running calls")
        late = daemon.request("GET", trigger + "/", headers={"X-Okibi-Queue-Deadline-Ms": "1000"})
        self.assertEqual((late.status, late.json["Code"]), (429, "ResourceExhausted"))
        self.assertIn("30 of 30", late.json["Message"])
        asked = f"/okibi/v1/invocations?requestId={late.headers['X-Fc-Request-Id']}"
        told = daemon.request("GET", asked).json["invocations"][0]
        self.assertTrue(told["refused"])
        self.assertIn("30 of 30", told["reason"])
        self.assertEqual([c.end().status for c in calls], [200] * 30)
        self.assertEqual(daemon.usage("burst")["calls"], 30)
        daemon.request("DELETE", f"{API}/functions/burst")
        wait_for(lambda: not daemon.instances("burst"), what="the burst's end")

    def test_idle_instance_is_released(self):
        daemon.deploy("sleepy", idleTimeout=1)
        self.assertEqual(daemon.invoke("sleepy").status, 200)
        wait_for(lambda: not daemon.instances("sleepy"), what="the idle release")

    def test_frozen_instance_answers(self):
        daemon.deploy("cool")
        daemon.invoke("cool")
        wait_for(lambda: daemon.instances("cool")[0]["state"].lower() == "frozen", what="the freeze")
        self.assertEqual(daemon.invoke("cool", b"woken").text, "woken")

    def test_delete_lets_a_running_call_finish(self):
        daemon.deploy("leaving")
        call = daemon.hold(daemon.trigger("leaving"), "leaving")
        self.assertEqual(daemon.request("DELETE", f"{API}/functions/leaving").status, 204)
        answer = call.end()
        self.assertEqual((answer.status, answer.text), (200, "held"))
        wait_for(lambda: not daemon.instances("leaving"), what="the release")

    def test_a_caller_who_leaves_frees_the_slot(self):
        daemon.deploy("quit")
        trigger = daemon.trigger("quit")
        daemon.hold(trigger, "quit").leave()
        wait_for(lambda: not daemon.in_flight("quit"), what="the slot")
        self.assertEqual(daemon.request("GET", trigger + "/").status, 200)


class FunctionFailures(unittest.TestCase):
    def test_exit_at_start_shows_code_and_command(self):
        daemon.deploy("dies", environmentVariables={"ECHO_EXIT_AT_START": "7"})
        answer = daemon.invoke("dies")
        self.assertEqual((answer.status, answer.json["Code"]), (412, "FunctionNotStarted"))
        self.assertIn("code 7", answer.json["Message"])
        self.assertIn("/echo", answer.json["Message"])

    def test_command_not_found(self):
        daemon.deploy("nocommand",
                      customContainerConfig={"image": image, "entrypoint": ["/no/such"]})
        answer = daemon.invoke("nocommand")
        self.assertEqual((answer.status, answer.json["Code"]), (412, "FunctionNotStarted"))
        self.assertIn("exec: '/no/such': No such file", answer.json["Message"])

    def test_initializer_fails_or_hangs(self):
        for name, setting, seconds, word in (
                ("initfail", {"ECHO_INIT_FAIL": "500"}, 60, "status 500"),
                ("inithang", {"ECHO_INIT_SLEEP_MS": "120000"}, 2, "2 s")):
            daemon.deploy(name, environmentVariables=setting, **initializer(seconds))
            answer = daemon.invoke(name)
            self.assertEqual(answer.status, 200)
            self.assertEqual(answer.headers["X-Fc-Error-Type"], "InitializationError")
            self.assertIn(word, answer.json["errorMessage"])

    def fails(self, trigger, path, word):
        answer = daemon.request("GET", trigger + path)
        self.assertEqual((answer.status, answer.json["Code"]), (502, "BadResponse"), answer.text)
        self.assertIn(word, answer.json["Message"])

    def test_crash_and_memory_through_a_trigger(self):
        daemon.deploy("crash")
        trigger = daemon.trigger("crash")
        self.fails(trigger, "/exit?code=3", "code 3")
        self.fails(trigger, "/alloc?mb=900&hold=1", "memorySize is 512 MB")
        self.assertEqual(daemon.request("GET", trigger + "/").status, 200)

    def test_first_health_check_decides_the_start(self):
        daemon.deploy("ill", **checked("/status?code=500"))
        answer = daemon.invoke("ill")
        self.assertEqual((answer.status, answer.json["Code"]), (412, "FunctionNotStarted"))
        self.assertIn("check function health failed with status code: 500", answer.json["Message"])

    def test_unhealthy_instance_keeps_its_call_and_gets_no_other(self):
        daemon.deploy("ailing", instanceConcurrency=5, **checked("/health"))
        trigger = daemon.trigger("ailing")
        call = daemon.hold(trigger, "ailing")
        self.assertEqual(daemon.request("GET", trigger + "/health?set=503").status, 200)
        wait_for(lambda: "unhealthy" in daemon.instances("ailing")[0]["state"], what="the check")
        self.assertEqual(daemon.request("GET", trigger + "/health").status, 200)  # another's
        self.assertEqual(len(daemon.instances("ailing")), 2)
        self.assertEqual(call.end().status, 200)

    def test_timeout_through_a_trigger(self):
        daemon.deploy("slow", timeout=2)
        trigger = daemon.trigger("slow")
        self.fails(trigger, "/sleep?ms=60000", "timed out after 2 s")

    def test_disk_is_bounded(self):
        daemon.deploy("disk")
        trigger = daemon.trigger("disk")
        self.assertIn("28", daemon.request("GET", trigger + "/fill?mb=700").text)  # ENOSPC

    def test_host_cannot_be_reached(self):
        daemon.deploy("island")
        trigger = daemon.trigger("island")
        mine = daemon.request("GET", trigger + f"/connect?host=127.0.0.1&port={daemon.port}").json
        self.assertNotEqual(mine["errno"], 0)
        seen = daemon.request("GET", trigger + "/ls?path=/proc").text
        self.assertNotIn(f'"{daemon.process.pid}"', seen)


class Deaths(unittest.TestCase):
    """kill -9 of each process; a daemon of its own."""

    def setUp(self):
        self.daemon = Daemon(OKIBI, image, "--simulated-cards", "fc.gpu.tesla.1=1").start()
        self.daemon.deploy("f", **GPU)
        for _ in range(3):
            self.assertEqual(self.daemon.invoke("f").status, 200)

    def tearDown(self):
        self.daemon.close()

    def test_launcher(self):
        os.kill(self.daemon.launcher_pid(), 9)
        wait_for(lambda: self.daemon.invoke("f").status == 200, what="a call after the launcher's death")
        self.assertGreaterEqual(self.daemon.usage("f")["calls"], 4)

    def test_daemon(self):
        usage = self.daemon.usage("f")
        self.assertTrue(sandbox_processes(self.daemon.state))
        weighed = self.daemon.request("PUT", f"{API}/functions/f", {"okibi": {"weight": 4}})
        self.assertEqual(weighed.json["okibi"], {"weight": 4})
        self.daemon.kill()
        wait_for(lambda: not sandbox_processes(self.daemon.state), what="the instances' end")
        self.daemon.start()
        get = lambda: self.daemon.request("GET", f"{API}/functions/f").json
        wait_for(lambda: get()["lastUpdateStatus"] == "Successful", what="the update")
        self.assertEqual(get()["okibi"], {"weight": 4})
        after = self.daemon.usage("f")
        self.assertEqual((after["calls"], after["gpuGBSeconds"]), (3, usage["gpuGBSeconds"]))
        self.assertEqual(self.daemon.invoke("f").status, 200)
        self.daemon.stop()
        wait_until_gone(self.daemon.state)

    def test_drain_finishes_a_running_call(self):
        call = self.daemon.hold(self.daemon.trigger("f"), "f")
        self.daemon.process.terminate()
        wait_for(lambda: "draining" in self.daemon.log_text(), what="the drain")
        self.assertEqual(call.end().status, 200)
        self.daemon.stop()


if __name__ == "__main__":
    if os.geteuid() != 0:
        print("calls_test: sandboxes need root")
        sys.exit(77)
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)
