"""A daemon of our own on a free loopback port, and the few calls that tests make of it."""

import http.client
import json
import os
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

API = "/2023-03-30"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(condition, seconds=20, what="the condition"):
    """Polls what the world does in its own time; how long it took is never asserted."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"{what} did not come true in {seconds} s")


class Answer:
    def __init__(self, response):
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    @property
    def json(self):
        return json.loads(self.body)


class Daemon:
    def __init__(self, okibi, image, *flags):
        self.okibi, self.image, self.flags = okibi, image, flags
        self.directory = tempfile.TemporaryDirectory(prefix="okibi-e2e-")
        self.state = Path(self.directory.name) / "state"
        self.port = free_port()
        self.process = None

    def start(self):
        with open(Path(self.directory.name) / "log", "ab") as log:
            self.process = subprocess.Popen(
                [self.okibi, "serve", "--listen", f"127.0.0.1:{self.port}", "--state-dir",
                 self.state, "--insecure-no-auth", *self.flags], stdout=log, stderr=log)
        wait_for(self._answers, 30, "the daemon's first answer")
        return self

    def _answers(self):
        if self.process.poll() is not None:
            raise AssertionError("the daemon ended: " + self.log_text())
        try:
            return self.request("GET", "/okibi/v1/info").status == 200
        except OSError:
            return False

    def log_text(self):
        return (Path(self.directory.name) / "log").read_text(errors="replace")[-6000:]

    def request(self, method, path, body=None, headers=None, timeout=60):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            if isinstance(body, dict):
                body = json.dumps(body).encode()
            connection.request(method, path, body, headers or {})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def deploy(self, name, expect="Active", **fields):
        spec = {"functionName": name, "runtime": "custom-container", "handler": "h", "cpu": 0.5,
                "memorySize": 512, "timeout": 30, "idleTimeout": 300,
                "customContainerConfig": {"image": self.image}, **fields}
        answer = self.request("POST", f"{API}/functions", spec)
        if answer.status != 200:
            return answer
        get = lambda: self.request("GET", f"{API}/functions/{name}").json
        wait_for(lambda: get()["state"] == expect, 30, f"{name} {expect}")
        return Deployed(get())

    def trigger(self, name):
        config = json.dumps({"authType": "anonymous", "methods": ["GET", "POST"]})
        made = self.request("POST", f"{API}/functions/{name}/triggers",
                            {"triggerName": "http", "triggerType": "http", "triggerConfig": config})
        assert made.status == 200, made.text
        return "/trigger/" + made.json["triggerId"]

    def invoke(self, name, body=b"x", headers=None, timeout=60):
        return self.request("POST", f"{API}/functions/{name}/invocations", body, headers, timeout)

    def instances(self, name=None):
        listed = self.request("GET", "/okibi/v1/instances").json["instances"]
        return [i for i in listed if name in (None, i["functionName"])]

    def usage(self, name):
        listed = self.request("GET", f"/okibi/v1/usage?functionName={name}").json["functions"]
        return listed[0] if listed else {"calls": 0, "gpuGBSeconds": 0, "cost": 0}

    def launcher_pid(self):
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        for pid in children.split():
            if "okibi-launcher" in Path(f"/proc/{pid}/cmdline").read_text():
                return int(pid)
        raise AssertionError("the daemon has no launcher")

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            status = self.process.wait(90)
            assert status == 0, f"status {status}: {self.log_text()}"

    def close(self):
        if self.process and self.process.poll() is None:
            self.kill()
        self.directory.cleanup()


class Deployed:
    """A function that came to be, in the shape of an Answer."""

    status = 200

    def __init__(self, value):
        self.json = value


def cgroups():
    found = set()
    for root, folders, _ in os.walk("/sys/fs/cgroup"):
        found.update(os.path.join(root, f) for f in folders if f.startswith("okibi-"))
    return found


def loop_devices():
    return {p for p in Path("/sys/block").glob("loop*/loop/backing_file")}


def echo_processes():
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if (entry / "cmdline").read_bytes().startswith(b"/echo\0"):
                    found.add(int(entry.name))
            except OSError:
                pass
    return found
