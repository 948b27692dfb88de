#!/usr/bin/env python3
"""Every command as a user types it: cli_test.py OKIBI ECHO_BINARY [unittest arguments].

The daemon asks for signatures, as it does by default; keys come from the environment or from `okibi login`.
"""

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
from daemon import Daemon, echo_layout, end_module, free_port, make_layout, self_signed, wait_for  # noqa: E402

OKIBI, ECHO = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
OK, FAILED, USAGE, UNREACHABLE, DENIED = range(5)


def setUpModule():
    global work, daemon, image, key, own, tls_port
    work = tempfile.TemporaryDirectory(prefix="okibi-e2e-cli-")
    image = echo_layout(work.name, ECHO)
    own, tls_port = self_signed(work.name, "own", "IP:127.0.0.1"), free_port()
    daemon = Daemon(OKIBI, image, "--simulated-cards", "fc.gpu.tesla.1=1", "--listen-tls", f"127.0.0.1:{tls_port}",
                    "--tls-certificate", own[0], "--tls-key", own[1])
    daemon.access = []
    daemon.start()
    found = re.search(r"Access key ID: +(\S+)\n +Access key secret: +(\S+)", daemon.log_text())
    key = {"OKIBI_ACCESS_KEY_ID": found[1], "OKIBI_ACCESS_KEY_SECRET": found[2]}


def tearDownModule():
    end_module(daemon, work)


def environment(**changes):
    """A user's environment without what this machine may have set."""
    base = {"PATH": os.environ["PATH"], "HOME": work.name,
            "OKIBI_ENDPOINT": f"127.0.0.1:{daemon.port}", **key}
    if "LD_LIBRARY_PATH" in os.environ:
        base["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]
    base.update(changes)
    return {name: value for name, value in base.items() if value is not None}


def run(*words, stdin=None, cwd=None, **changes):
    """One command; standard input is empty unless given."""
    return subprocess.run([OKIBI, *words], input=stdin if stdin is not None else b"", cwd=cwd or work.name,
                          capture_output=True, env=environment(**changes), timeout=300)


class Cli(unittest.TestCase):
    def ok(self, *words, **more):
        done = run(*words, **more)
        self.assertEqual(done.returncode, OK, done.stderr.decode())
        return done.stdout.decode()

    def json(self, *words, **more):
        return json.loads(self.ok("--json", *words, **more))

    def fails(self, code, *words, saying=(), **more):
        """Ends with `code`, nothing on standard output, and says why. Also as JSON."""
        done = run(*words, **more)
        text = done.stderr.decode()
        self.assertEqual((done.returncode, done.stdout), (code, b""), text)
        self.assertTrue(any(line.startswith("okibi") for line in text.splitlines()), text)
        for word in saying:
            self.assertIn(word, text)
        done = run("--json", *words, **more)
        self.assertEqual(done.returncode, code)
        error = json.loads(done.stderr.decode().splitlines()[-1])["error"]
        self.assertTrue(error["Code"] and error["Message"], error)
        return text

    def write(self, name, **changes):
        """An s.yaml of one function; its path. A change to None leaves the key out."""
        props = {"region": "cn-hangzhou", "functionName": name, "runtime": "custom-container", "cpu": 0.5,
                 "memorySize": 512, "diskSize": 512, "timeout": 60, "instanceConcurrency": 1,
                 "customContainerConfig": {"image": image, "port": 9000}, **changes}
        document = {"edition": "3.0.0", "name": "test", "resources": {"one": {
            "component": "fc3", "props": {k: v for k, v in props.items() if v is not None}}}}
        path = os.path.join(work.name, name + ".yaml")
        Path(path).write_text(json.dumps(document))  # JSON is YAML
        return path


class Deploying(Cli):
    def test_create_show_update_remove(self):
        path = self.write("life", description="first", triggers=[
            {"triggerName": "web", "triggerType": "http",
             "triggerConfig": {"authType": "anonymous", "methods": ["GET", "POST"]}}])
        shown = self.ok("deploy", "-f", path)
        self.assertIn("life: Active", shown)
        url = re.search(r"trigger web (http://\S+)", shown)[1]
        self.assertIn(f":{daemon.port}/", url)
        host = url.split("/")[2]
        answer = daemon.request("GET", "/status?code=200", headers={"Host": host})
        self.assertEqual(answer.status, 200)

        listed = self.ok("ls").splitlines()
        self.assertTrue(listed[0].startswith("NAME"))
        row = next(line for line in listed if line.startswith("life "))
        self.assertIn("Active", row)
        self.assertIn(" 0.5 ", row)
        info = self.ok("info", "life")
        for words in ("state         Active", "description   first", "CPU           0.5 vCPU", "sha256:", url):
            self.assertIn(words, info)
        self.assertEqual(self.json("info", "life")["triggers"][0]["triggerName"], "web")

        self.ok("deploy", "-f", self.write("life", description="second"))
        self.assertIn("description   second", self.ok("info", "life"))
        self.assertEqual(self.ok("rm", "life"), "life removed\n")
        self.fails(FAILED, "info", "life", saying=["FunctionNotFound", "'life'", "okibi ls"])
        self.fails(FAILED, "rm", "life", saying=["FunctionNotFound"])

    def test_default_file_no_wait_and_json(self):
        folder = tempfile.mkdtemp(dir=work.name)
        shutil.copy(self.write("plain"), folder + "/s.yaml")
        deployed = self.json("deploy", cwd=folder)["deployed"]
        self.assertEqual(deployed[0]["function"]["state"], "Active")
        self.ok("deploy", "--no-wait", cwd=folder)
        self.fails(USAGE, "deploy", saying=["s.yaml", "No such file", "-f FILE"],
                   cwd=tempfile.mkdtemp(dir=work.name))

    def test_what_is_wrong_is_named(self):
        self.fails(USAGE, "deploy", "-f", self.write("bad", memorysize=512),
                   saying=["memorysize", "did you mean 'memorySize'"])
        self.fails(USAGE, "deploy", "-f", self.write("bad", runtime=None), saying=["runtime is missing"])
        self.fails(FAILED, "deploy", "-f", self.write("bad", memorySize=100),
                   saying=["memorySize", "128", "64 MB"])
        self.fails(FAILED, "deploy", "-f", self.write("bad", instanceConcurrency=201), saying=["1–200"])
        self.fails(FAILED, "deploy", "-f", self.write(
            "bad", customContainerConfig={"image": f"oci:{work.name}/nothing:latest"}),
            saying=["nothing", "OCI layout"])
        text = self.fails(FAILED, "deploy", "-f", self.write(
            "bad", customContainerConfig={"image": f"127.0.0.1:{free_port()}/a/b:c"}),
            saying=["bad", "not reachable"])
        self.assertIn("ImagePullFailed", text)
        self.assertIn("Failed", self.ok("ls"))
        self.assertIn("not reachable", self.ok("info", "bad"))
        self.ok("rm", "bad")
        Path(work.name, "no.yaml").write_text("a: [1")
        self.fails(USAGE, "deploy", "-f", "no.yaml", saying=["no.yaml"])


class Invoking(Cli):
    @classmethod
    def setUpClass(cls):
        Cli.ok(cls(), "deploy", "-f", cls().write(
            "call", gpuConfig={"gpuType": "fc.gpu.tesla.1", "gpuMemorySize": 2048}))

    def test_text_file_and_standard_input(self):
        self.assertEqual(self.ok("invoke", "call", "-d", "a text"), "a text")
        file = os.path.join(work.name, "body")
        content = bytes(range(256)) * 300
        Path(file).write_bytes(content)
        for words, given in ((["-f", file], None), (["-d", "@" + file], None), (["-f", "-"], content), ([], content)):
            done = run("invoke", "call", *words, stdin=given)
            self.assertEqual((done.returncode, done.stdout), (OK, content), words)
        self.assertEqual(self.ok("invoke", "call"), "")
        self.assertEqual(self.ok("invoke", "call", "-d", "kept", "-o", "answer"), "")
        self.assertEqual(Path(work.name, "answer").read_text(), "kept")

    def test_verbose_shows_timing_and_bill(self):
        self.ok("rm", "call")
        self.setUpClass()
        for kind in ("cold start", "warm"):
            done = run("invoke", "call", "-v", "-d", "x")
            self.assertEqual(done.stdout, b"x")
            text = done.stderr.decode()
            for word in ("request id   1-", "instance     c-", f"start        {kind}", "duration", "GPU billed",
                         "cost", "USD", "FC Invoke Start"):
                self.assertIn(word, text)
            self.assertEqual("phases       schedule" in text, kind == "cold start")

    def test_json(self):
        shown = self.json("invoke", "call", "-d", "x")
        self.assertEqual(base64.b64decode(shown["bodyBase64"]), b"x")
        self.assertEqual(shown["invocation"]["requestId"], shown["requestId"])

    def test_failures(self):
        self.fails(FAILED, "invoke", "nobody", "-d", "x", saying=["FunctionNotFound", "'nobody'"])
        self.fails(FAILED, "invoke", "call", "--qualifier", "v9", "-d", "x", saying=["v9"])
        self.fails(USAGE, "invoke", "call", "-f", "nothing", saying=["nothing", "No such file"])
        self.fails(USAGE, "invoke", "call", "-f", "a", "-d", "b", saying=["--data", "--file"])
        self.fails(USAGE, "invoke", saying=["name is required"])
        with open(os.path.join(work.name, "large"), "wb") as file:
            file.truncate((32 << 20) + 1)
        self.fails(USAGE, "invoke", "call", "-f", "large", saying=["32 MB"])

    def test_function_that_fails_gives_its_answer_and_code_1(self):
        self.ok("deploy", "-f", self.write("sick", environmentVariables={"ECHO_INIT_FAIL": "500"},
                                           instanceLifecycleConfig={"initializer": {
                                               "handler": "initialize", "timeout": 60}}))
        done = run("invoke", "sick", "-d", "x")
        self.assertEqual(done.returncode, FAILED)
        self.assertEqual(json.loads(done.stdout)["errorType"], "InitializationError")
        self.assertIn("okibi logs sick", done.stderr.decode())


class Watching(Cli):
    @classmethod
    def setUpClass(cls):
        Cli.ok(cls(), "deploy", "-f", cls().write(
            "seen", gpuConfig={"gpuType": "fc.gpu.tesla.1", "gpuMemorySize": 1024}))
        for _ in range(3):
            Cli.ok(cls(), "invoke", "seen", "-d", "x")

    def test_instances_and_cards(self):
        header, row = [line for line in self.ok("ps").splitlines() if "seen" in line or "INSTANCE" in line]
        self.assertIn("fc.gpu.tesla.1 SIM-1 (simulated)", row)
        self.assertEqual(header.index("STATE"), row.index(row.split()[2]))
        pid = next(i["pid"] for i in self.json("ps")["instances"] if i["functionName"] == "seen")
        self.assertTrue(Path(f"/proc/{pid}").exists())
        self.assertIn("simulated", self.ok("cards"))

    def test_instances_that_have_ended(self):
        self.ok("deploy", "-f", self.write("ended", idleTimeout=1))
        self.ok("invoke", "ended", "-d", "x")
        gone = wait_for(lambda: [i for i in self.json("ps", "--all")["ended"] if i["functionName"] == "ended"],
                        what="its end")[0]
        self.assertEqual((gone["reason"], gone["version"]), ("idle timeout", "LATEST"))
        row = next(line for line in self.ok("ps", "-a").splitlines() if gone["instanceId"] in line)
        self.assertTrue(row.endswith("idle timeout"), row)
        self.assertIn("LIVED", self.ok("ps", "--all", "--limit", "1"))

    def test_an_instance_that_never_started_says_why(self):
        self.ok("deploy", "-f", self.write("stillborn", customContainerConfig={
            "image": image, "entrypoint": ["/no/such/program"], "port": 9000}))
        self.assertEqual(run("invoke", "stillborn", "-d", "x").returncode, FAILED)
        gone = wait_for(lambda: [i for i in self.json("ps", "--all")["ended"] if i["functionName"] == "stillborn"],
                        what="its end")[0]
        self.assertTrue(gone["reason"].startswith("start failed: "), gone["reason"])
        self.assertIn("/no/such/program", gone["reason"])
        row = next(line for line in self.ok("ps", "-a").splitlines() if gone["instanceId"] in line)
        self.assertTrue(row.endswith(gone["reason"]), row)
        self.ok("deploy", "-f", self.write("stillborn", environmentVariables={"ECHO_EXIT_AT_START": "7"}))
        self.assertEqual(run("invoke", "stillborn", "-d", "x").returncode, FAILED)
        wait_for(lambda: [i for i in self.json("ps", "--all")["ended"] if i["functionName"] == "stillborn" and
                          i["reason"].startswith("start failed: ") and "code 7" in i["reason"]], what="its end")
        self.fails(USAGE, "ps", "--limit", "0", saying=["--limit"])
        self.assertNotIn(gone["instanceId"], self.ok("ps"))

    def test_logs(self):
        lines = self.ok("logs", "seen").splitlines()
        self.assertEqual(sum("FC Invoke Start" in line for line in lines), 3)
        self.assertEqual(self.ok("logs", "seen", "-n", "2").splitlines(), lines[-2:])
        self.assertEqual(len(self.json("logs", "seen")["lines"]), len(lines))
        self.fails(FAILED, "logs", "nobody", saying=["FunctionNotFound"])
        self.fails(USAGE, "logs", "seen", "-n", "0", saying=["--lines", "1 to 10000"])

    def test_logs_followed_miss_nothing(self):
        with subprocess.Popen([OKIBI, "logs", "-f", "seen", "-n", "1"], stdout=subprocess.PIPE,
                              env=environment()) as follower:
            try:
                follower.stdout.readline()  # it runs
                ids = [self.json("invoke", "seen", "-d", "x")["requestId"] for _ in range(5)]
                seen = ""
                while f"FC Invoke End RequestId: {ids[-1]}" not in seen:
                    line = follower.stdout.readline()
                    self.assertTrue(line, "the follower ended")
                    seen += line.decode()
                for request in ids:
                    self.assertEqual(seen.count(f"Start RequestId: {request}"), 1)
            finally:
                follower.send_signal(signal.SIGINT)

    def test_usage(self):
        table = self.ok("usage")
        self.assertIn("ALWAYS-ON CARD", table)
        self.assertIn("total", table)
        mine = self.json("usage", "seen")["functions"][0]
        self.assertEqual(mine["coldStarts"], 1)
        self.assertAlmostEqual(mine["cost"], 0.000018 * mine["gpuGBSeconds"])
        self.fails(FAILED, "usage", "nobody", saying=["FunctionNotFound"])

    def test_cold_starts(self):
        text = self.ok("coldstarts", "seen")
        for word in ("SCHEDULE", "SANDBOX", "WATERFALL", "waterfall: . schedule", "no instance", "CALLS AT ONCE",
                     "started cold"):
            self.assertIn(word, text)
        shown = self.json("coldstarts", "seen")
        one = shown["invocations"][0]
        self.assertAlmostEqual(sum(one["phases"].values()) + one["requestMs"], one["totalMs"], delta=0.01)
        self.assertEqual(one["concurrentStarts"], 1)
        self.assertEqual(sum(g["calls"] for g in shown["byConcurrency"]), shown["recentCalls"])
        self.fails(FAILED, "coldstarts", "nobody", saying=["FunctionNotFound"])
        everybody = self.json("coldstarts")
        self.assertLessEqual({"seen"}, {g["functionName"] for g in everybody["byConcurrency"]})
        self.assertEqual(sum(g["calls"] for g in everybody["byConcurrency"]), everybody["recentCalls"])
        self.assertIn("started cold", self.ok("coldstarts"))

    def test_explain(self):
        cold = self.json("coldstarts", "seen")["invocations"][0]
        text = self.ok("explain", cold["requestId"])
        for word in ("function     seen", "cold start: no instance", "card 1: ", "phases       schedule", "cost  "):
            self.assertIn(word, text)
        self.assertEqual(self.json("explain", cold["requestId"]), cold)
        self.fails(FAILED, "explain", "1-none", saying=["'1-none'", "1,000"])


class WhatIf(Cli):
    def test_settings_side_by_side(self):
        self.ok("deploy", "-f", self.write(
            "tried", idleTimeout=1, gpuConfig={"gpuType": "fc.gpu.tesla.1", "gpuMemorySize": 1024}))
        self.fails(FAILED, "whatif", "tried", saying=["TooLittleHistory", "0 served requests", "--since"])
        for _ in range(3):  # with a gap in which the instance goes
            for _ in range(8):
                self.ok("invoke", "tried", "-d", "x")
            wait_for(lambda: all(i["functionName"] != "tried" for i in self.json("ps")["instances"]))

        text = self.ok("whatif", "tried", "--concurrency", "1,4", "--idle", "1,300", "--slice", "1,2",
                       "--p99", "60")
        for word in ("replayed 24 requests of 'tried'", "CONCURRENCY", "COLD STARTS", "WAIT P50",
                     "cheapest within --p99", "as it is now", "assumed:", "service times are as recorded"):
            self.assertIn(word, text)
        shown = self.json("whatif", "tried", "--idle", "1,300", "--min", "0,1", "--p99", "60")
        self.assertEqual((shown["requests"], len(shown["settings"])), (24, 4))
        short, kept_short, long, kept_long = shown["settings"]
        self.assertGreaterEqual(short["coldStarts"], 2)
        self.assertEqual(long["coldStarts"], 1)
        self.assertEqual((kept_short["coldStarts"], kept_long["coldStarts"]), (0, 0))
        # One that is kept is active all the time; what is billed by the second need not cost more.
        self.assertAlmostEqual(kept_long["activeMs"], 1000 * shown["spanSeconds"], delta=1000)
        self.assertLess(long["activeMs"], kept_long["activeMs"])
        costs = [one["cost"] for one in shown["settings"]]
        self.assertEqual(costs[shown["cheapest"]], min(costs))
        # What is replayed as it was recorded is billed as it was billed.
        billed = self.json("usage", "tried")["functions"][0]["cost"]
        self.assertAlmostEqual(short["cost"], billed, delta=0.35 * billed)
        self.assertIn("no setting keeps", self.ok("whatif", "tried", "--p99", "0"))

    def test_what_is_wrong_is_named(self):
        self.fails(FAILED, "whatif", "nobody", saying=["FunctionNotFound", "'nobody'"])
        self.fails(USAGE, "whatif", "tried", "--concurrency", "0,a", saying=["--concurrency", "'0'", "1–200"])
        self.fails(USAGE, "whatif", "tried", "--idle", "60,x", saying=["--idle", "'x'", "1–3600"])
        self.fails(USAGE, "whatif", "tried", "--since", "31d", saying=["--since", "30d"])
        self.fails(USAGE, "whatif", "tried", "--p99", "soon", saying=["--p99", "'soon'"])
        self.fails(USAGE, "whatif", saying=["name is required"])


class Estimating(Cli):
    """Before deploying, without a daemon."""

    def estimate(self, calls, *more):
        nowhere = {"OKIBI_ENDPOINT": "127.0.0.1:1"}
        return self.ok("estimate", "--calls-per-day", calls, "--seconds", "1", "--gpu", "4G", *more, **nowhere)

    def test_the_two_loads_of_the_price_page(self):
        for calls, words in (("3600", ("0.2592 USD a day", "48.00 USD a day", "4.17%", "99.46%")),
                             ("50,000", ("3.60 USD a day", "48.00 USD a day", "57.87%", "92.50%"))):
            text = self.estimate(calls)
            for word in words:
                self.assertIn(word, text)

    def test_json_and_own_prices(self):
        Path(work.name, "prices").write_text("currency = EUR\ngpu_gb_second = 0.00001\n")
        shown = json.loads(self.estimate("3600", "--json", "--prices", "prices"))
        self.assertEqual((shown["currency"], shown["perDay"]), ("EUR", 0.144))

    def test_wrong_arguments(self):
        good = {"--calls-per-day": "1", "--seconds": "1", "--gpu": "4G"}
        for option, value, word in (("--calls-per-day", "many", "whole number"), ("--seconds", "-1", "0 to 86,400"),
                                    ("--gpu", "4X", "unknown unit"), ("--gpu", "512M", "whole number of GB"),
                                    ("--gpu-type", "none", "fc.gpu.tesla.1"), ("--prices", "nothing", "No such file")):
            words = [word for pair in {**good, option: value}.items() for word in pair]
            self.fails(USAGE, "estimate", *words, saying=[option.removeprefix("--prices") or "nothing", word])
        self.fails(USAGE, "estimate", "--gpu", "4G", saying=["--calls-per-day is required"])


class Images(Cli):
    def test_import_list_remove(self):
        shutil.copytree(work.name + "/echo", work.name + "/other")
        done = run("image", "import", "other")
        self.assertEqual(done.returncode, OK, done.stderr)
        self.assertEqual(done.stderr.decode().split()[0], "resolve")  # progress
        self.assertIn("done", done.stderr.decode().split())
        reference = f"oci:{work.name}/other"
        self.assertRegex(done.stdout.decode(), re.escape(reference) + r"  sha256:[0-9a-f]{64}  <1 MB")
        self.assertIn(reference, self.ok("image", "ls"))
        self.assertIn(reference, [i["reference"] for i in self.json("image", "ls")["images"]])
        self.assertEqual(self.ok("image", "rm", reference), reference + " removed\n")
        self.fails(FAILED, "image", "rm", reference, saying=["NotFound", reference])
        self.fails(USAGE, "image", "import", "nothing", saying=["nothing", "OCI layout"])

    def test_an_image_of_two_names(self):
        for name in ("twin", "other-twin"):
            shutil.copytree(work.name + "/echo", os.path.join(work.name, name))
            self.ok("image", "import", name)
        one, other = f"oci:{work.name}/twin", f"oci:{work.name}/other-twin"
        removed = run("image", "rm", one)
        self.assertEqual((removed.returncode, removed.stdout.decode()), (OK, one + " removed\n"))
        self.assertIn("its layers stay", removed.stderr.decode())
        self.assertIn(other, removed.stderr.decode())
        shown = self.json("image", "rm", other)
        self.assertEqual((shown["removed"], [n for n in shown["alsoNamed"] if "twin" in n]), (other, []))

    def test_used_image_stays(self):
        mine = make_layout(work.name, "mine", "--layer", os.path.dirname(ECHO), "--entrypoint", "/echo")
        self.ok("deploy", "-f", self.write("user", customContainerConfig={"image": mine}))
        self.assertIn("user", next(line for line in self.ok("image", "ls").splitlines() if mine in line))
        self.fails(FAILED, "image", "rm", mine, saying=["ImageInUse"])
        self.ok("rm", "user")
        self.ok("image", "rm", mine)

    @unittest.skipUnless(shutil.which("docker-registry") and shutil.which("skopeo"), "needs docker-registry, skopeo")
    def test_pull(self):
        port = free_port()
        Path(work.name, "registry.yml").write_text(json.dumps({
            "version": 0.1, "log": {"level": "error"}, "http": {"addr": f"127.0.0.1:{port}"},
            "storage": {"filesystem": {"rootdirectory": work.name + "/registry"}}}))
        registry = subprocess.Popen(["docker-registry", "serve", work.name + "/registry.yml"],
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            name = f"127.0.0.1:{port}/team/echo:v1"
            copy = ["skopeo", "--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false", image, "docker://" + name]
            wait_for(lambda: subprocess.run(copy, capture_output=True).returncode == 0, what="the push")
            done = run("image", "pull", name)
            self.assertEqual(done.returncode, OK, done.stderr)
            self.assertIn(name, done.stdout.decode())
            self.assertIn("resolve", done.stderr.decode())
            self.assertEqual(self.json("image", "pull", name)["image"]["reference"], name)
            self.fails(FAILED, "image", "pull", name + "x", saying=["NotFound"])
        finally:
            registry.kill()
            registry.wait()
        self.fails(FAILED, "image", "pull", f"127.0.0.1:{port}/a:b", saying=["not reachable"])
        self.fails(FAILED, "image", "pull", "Not A Name", saying=["Not A Name"])


class Access(Cli):
    def test_no_daemon(self):
        for words in (["ls"], ["ps"], ["usage"], ["invoke", "f", "-d", "x"], ["logs", "f"], ["image", "ls"]):
            self.fails(UNREACHABLE, *words, saying=["Connection refused", "okibi serve"],
                       OKIBI_ENDPOINT="127.0.0.1:1")
        self.fails(UNREACHABLE, "ls", "--endpoint", "127.0.0.1:1", saying=["127.0.0.1:1"])

    def test_tls(self):
        there = {"OKIBI_ENDPOINT": f"https://127.0.0.1:{tls_port}"}
        self.fails(UNREACHABLE, "ls", saying=["Untrusted", "not accepted: self-signed certificate", "--ca FILE"], **there)
        other = self_signed(work.name, "other", "IP:127.0.0.1")[0]
        self.fails(UNREACHABLE, "ls", "--ca", other, saying=["not accepted"], **there)
        self.fails(USAGE, "ls", "--ca", "prices.txt", saying=["--ca", "prices.txt", "No such file"], **there)
        Path(work.name, "no.pem").write_text("nothing")
        self.fails(USAGE, "ls", "--ca", "no.pem", saying=["no.pem holds no certificate"], **there)
        self.fails(UNREACHABLE, "ls", "--endpoint", f"https://127.0.0.1:{daemon.port}", "--ca", own[0])  # plain there
        self.ok("deploy", "-f", self.write("secret"), "--ca", own[0], **there)
        self.assertEqual(self.ok("invoke", "secret", "-d", "whisper", OKIBI_CA=own[0], **there), "whisper")
        big = os.urandom(3 << 20)
        sent = run("invoke", "secret", stdin=big, OKIBI_CA=own[0], **there)
        self.assertEqual((sent.returncode, sent.stdout), (OK, big), sent.stderr)
        self.assertIn("FC Invoke Start", self.ok("logs", "secret", OKIBI_CA=own[0], **there))
        shutil.copytree(work.name + "/echo", work.name + "/over-tls")
        self.assertIn("over-tls", self.ok("image", "import", "over-tls", OKIBI_CA=own[0], **there))

    def test_tls_from_the_stored_login(self):
        home = tempfile.mkdtemp(dir=work.name)
        none = {"OKIBI_ACCESS_KEY_ID": None, "OKIBI_ACCESS_KEY_SECRET": None, "OKIBI_ENDPOINT": None, "HOME": home}
        self.ok("login", "--endpoint", f"https://127.0.0.1:{tls_port}", "--ca", os.path.relpath(own[0], work.name),
                stdin="\n".join(key.values()).encode() + b"\n", **none)
        self.ok("ls", cwd="/", **none)
        before = Path(home, ".config/okibi/credentials").read_text()
        made = self.json("key", "create", **none)
        Path(home, ".config/okibi/credentials").write_text(
            before.replace(key["OKIBI_ACCESS_KEY_ID"], made["accessKeyId"])
            .replace(key["OKIBI_ACCESS_KEY_SECRET"], made["accessKeySecret"]))
        self.assertIn(made["accessKeyId"], self.ok("key", "rotate", **none))
        self.fails(DENIED, "ls", OKIBI_ACCESS_KEY_ID=made["accessKeyId"], OKIBI_ACCESS_KEY_SECRET=made["accessKeySecret"])
        mine = self.json("key", "ls", **none)["accessKeys"]
        mine = [k["accessKeyId"] for k in mine if k["accessKeyId"] != key["OKIBI_ACCESS_KEY_ID"]]
        self.assertEqual(self.ok("key", "rm", mine[0]), mine[0] + " removed\n")

    def test_temporary_credentials(self):
        account = self.json("key", "ls")["accessKeys"][0]["accountId"]
        self.ok("role", "create", "reader", "--allow", "ListFunctions:*", "--allow", "GetFunction:acting")
        self.ok("deploy", "-f", self.write("acting", role=f"acs:ram::{account}:role/reader", triggers=[
            {"triggerName": "web", "triggerType": "http", "triggerConfig": {"authType": "anonymous", "methods": ["GET"]}}]))
        host = re.search(r"http://(\S+?)/", self.ok("info", "acting"))[1]
        got = daemon.request("GET", "/?inspect=1", headers={"Host": host}).json["headers"]
        got = {name.lower(): value for name, value in got.items()}
        acting = {"OKIBI_ACCESS_KEY_ID": got["x-fc-access-key-id"],
                  "OKIBI_ACCESS_KEY_SECRET": got["x-fc-access-key-secret"],
                  "OKIBI_SECURITY_TOKEN": got["x-fc-security-token"]}
        self.assertIn("acting", self.ok("ls", **acting))
        self.fails(DENIED, "invoke", "acting", "-d", "x", saying=["role 'reader' does not allow InvokeFunction"], **acting)
        self.fails(DENIED, "ls", **{**acting, "OKIBI_SECURITY_TOKEN": None})
        self.fails(DENIED, "ls", saying=["InvalidSecurityToken", "OKIBI_SECURITY_TOKEN"],
                   **{**acting, "OKIBI_SECURITY_TOKEN": "x" + acting["OKIBI_SECURITY_TOKEN"]})
        home = Path(tempfile.mkdtemp(dir=work.name), ".config/okibi")
        home.mkdir(parents=True)
        Path(home, "credentials").touch(0o600)
        Path(home, "credentials").write_text(
            f"access_key_id = {acting['OKIBI_ACCESS_KEY_ID']}\naccess_key_secret = {acting['OKIBI_ACCESS_KEY_SECRET']}\n"
            f"security_token = {acting['OKIBI_SECURITY_TOKEN']}\n")
        self.ok("ls", HOME=str(home.parent.parent), OKIBI_ACCESS_KEY_ID=None, OKIBI_ACCESS_KEY_SECRET=None)

    def test_keys(self):
        none = {"OKIBI_ACCESS_KEY_ID": None, "OKIBI_ACCESS_KEY_SECRET": None}
        self.fails(DENIED, "ls", saying=["okibi login", "OKIBI_ACCESS_KEY_ID"], **none)
        self.fails(DENIED, "ls", saying=["okibi login"], OKIBI_ACCESS_KEY_SECRET="wrong")
        self.fails(USAGE, "ls", saying=["two parts"], OKIBI_ACCESS_KEY_SECRET=None)
        home = tempfile.mkdtemp(dir=work.name)
        self.ok("login", HOME=home, stdin="\n".join(key.values()).encode() + b"\n", **none)
        file = Path(home, ".config/okibi/credentials")
        self.assertEqual(file.stat().st_mode & 0o777, 0o600)
        self.ok("ls", HOME=home, OKIBI_ENDPOINT=None, **none)
        file.chmod(0o644)
        self.fails(DENIED, "ls", saying=["chmod 600"], HOME=home, **none)


class Words(Cli):
    def test_help_and_version(self):
        text = self.ok("--help")
        for command in ("deploy", "invoke", "ls", "info", "logs", "ps", "usage", "estimate", "coldstarts", "rm", "image",
                        "doctor", "serve", "Exit codes"):
            self.assertIn(command, text)
            if command.islower():
                self.assertIn("Usage: okibi " + command, self.ok(command, "--help"))
        self.assertRegex(self.ok("version"), r"^okibi \d+\.\d+")
        self.assertEqual(self.ok("--version"), self.ok("version"))

    def test_wrong_words(self):
        self.fails(USAGE, saying=["a command is missing", "okibi --help"])
        self.fails(USAGE, "invok", "f", saying=["unknown command 'invok'", "did you mean 'invoke'?"])
        self.fails(USAGE, "image", "pul", "x", saying=["unknown command 'pul'", "'pull'"])
        self.fails(USAGE, "image", saying=["okibi image: a command is missing"])
        self.fails(USAGE, "ls", "extra", saying=["not expected: extra", "okibi ls --help"])
        self.fails(USAGE, "ls", "--frob", saying=["--frob"])
        self.fails(USAGE, "info", saying=["name is required"])

    def test_doctor(self):
        text = self.ok("doctor", "--state-dir", str(daemon.state))
        for word in ("CHECK", "cgroup memory", "seccomp", "skopeo", "GPU driver", "1 card, 1 of them simulated"):
            self.assertIn(word, text)
        checks = {c["check"]: c for c in self.json("doctor")["checks"]}
        self.assertTrue(all(c["ok"] or not c["required"] for c in checks.values()))
        lonely = {c["check"]: c for c in self.json("doctor", OKIBI_ENDPOINT="127.0.0.1:1")["checks"]}
        self.assertFalse(lonely["daemon"]["ok"])
        self.assertIn("okibi serve", lonely["daemon"]["remedy"])

    def test_serve_refuses_what_it_cannot_do(self):
        Path(work.name, "okibi.yaml").write_text("listn: 127.0.0.1:1\n")
        for words, code, saying in (
                (["--config", "okibi.yaml"], 2, "unknown key 'listn'; did you mean 'listen'"),
                (["--listen", "nowhere"], 2, "listen"),
                (["--insecure-no-auth", "--listen", "0.0.0.0:0"], 2, "loopback"),
                (["--simulated-cards", "nothing=1", "--state-dir", work.name + "/none"], 1, "fc.gpu.tesla.1"),
                (["--frob"], 2, "--frob"),
                (["--listen", f"127.0.0.1:{daemon.port}", "--state-dir", work.name + "/none"], 1, "in use"),
                (["--listen", "127.0.0.1:0", "--state-dir", str(daemon.state)], 1, "in use by process")):
            done = run("serve", *words)
            self.assertEqual(done.returncode, code, (words, done.stderr))
            self.assertIn(saying, done.stderr.decode())


if __name__ == "__main__":
    if os.geteuid() != 0:
        print("cli_test: sandboxes need root")
        sys.exit(77)
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)
