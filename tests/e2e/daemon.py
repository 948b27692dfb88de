"""A daemon of our own on a free loopback port, and the few calls that tests make of it.

Nothing here or in the tests may depend on how fast the machine is: what must last, lasts until the test
ends it (Held); what must come, is waited for far longer than it takes.
"""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

API = "/2023-03-30"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(condition, seconds=60, what="the condition"):
    """Polls what the world does in its own time; how long it took is never asserted."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not come true in {seconds} s")
        time.sleep(0.05)


class Answer:
    def __init__(self, response):
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    @property
    def json(self):
        return json.loads(self.body)


class Held:
    """A request whose body does not end before end(): the echo answers it then, and no sooner."""

    def __init__(self, port, path):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=120)
        self.socket.sendall(f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                            "Transfer-Encoding: chunked\r\n\r\n4\r\nheld\r\n".encode())

    def end(self):
        self.socket.sendall(b"0\r\n\r\n")
        response = http.client.HTTPResponse(self.socket)
        response.begin()
        answer = Answer(response)
        self.socket.close()
        return answer

    def leave(self):
        self.socket.close()


def make_layout(folder, name, *options):
    """An OCI layout of what make_image.py is told; its reference."""
    maker = Path(__file__).resolve().parents[2] / "examples/oci/make_image.py"
    out = os.path.join(folder, name)
    subprocess.run([sys.executable, maker, "--out", out, *options], check=True, stdout=subprocess.DEVNULL)
    return f"oci:{out}:latest"


def echo_layout(folder, program):
    script = Path(__file__).resolve().parents[2] / "examples/echo/build_image.sh"
    subprocess.run(["bash", script, folder + "/echo", program], check=True, stdout=subprocess.DEVNULL)
    return f"oci:{folder}/echo:latest"


def self_signed(folder, stem, name):
    """PEM files of a self-signed certificate for `name` ("DNS:a.example", "IP:127.0.0.1"): (certificate, key)."""
    files = [os.path.join(folder, stem + end) for end in (".crt", ".key")]
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "2", "-subj", f"/CN={stem}", "-addext", f"subjectAltName={name}",
                    "-out", files[0], "-keyout", files[1]], check=True, capture_output=True)
    return files


class Daemon:
    def __init__(self, okibi, image, *flags):
        self.okibi, self.image, self.flags = okibi, image, flags
        self.environment = None  # None: this process's
        self.access = ["--insecure-no-auth"]  # []: requests must be signed
        self.directory = tempfile.TemporaryDirectory(prefix="okibi-e2e-")
        self.state = Path(self.directory.name) / "state"
        self.port = free_port()
        self.process = None

    def start(self):
        with open(Path(self.directory.name) / "log", "ab") as log:
            self.process = subprocess.Popen(
                [self.okibi, "serve", "--listen", f"127.0.0.1:{self.port}", "--state-dir",
                 self.state, *self.access, "--layout-root",
                 os.path.dirname(self.image.removeprefix("oci:")), *self.flags],
                stdout=log, stderr=log, env=self.environment)
        wait_for(self._answers, 60, "the daemon's first answer")
        return self

    def _answers(self):
        if self.process.poll() is not None:
            raise AssertionError("the daemon ended: " + self.log_text())
        try:
            return self.request("GET", "/okibi/v1/info").status == (200 if self.access else 400)
        except OSError:
            return False

    def log_text(self):
        return (Path(self.directory.name) / "log").read_text(errors="replace")[-6000:]

    def request(self, method, path, body=None, headers=None, timeout=180):
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
                "memorySize": 512, "timeout": 120, "idleTimeout": 300,
                "customContainerConfig": {"image": self.image}, **fields}
        answer = self.request("POST", f"{API}/functions", spec)
        if answer.status != 200:
            return answer
        get = lambda: self.request("GET", f"{API}/functions/{name}").json
        wait_for(lambda: get()["state"] == expect, what=f"{name} {expect}")
        return Deployed(get())

    def trigger(self, name):
        config = json.dumps({"authType": "anonymous", "methods": ["GET", "POST"]})
        made = self.request("POST", f"{API}/functions/{name}/triggers",
                            {"triggerName": "http", "triggerType": "http", "triggerConfig": config})
        assert made.status == 200, made.text
        label = made.json["httpTrigger"]["urlInternet"].split("//")[1].split(".")[0]
        return "/proxy/" + label

    def invoke(self, name, body=b"x", headers=None, timeout=180):
        return self.request("POST", f"{API}/functions/{name}/invocations", body, headers, timeout)

    def hold(self, trigger, function):
        """A request that the function has begun to serve."""
        before = self.in_flight(function)
        held = Held(self.port, trigger + "/")
        wait_for(lambda: self.in_flight(function) > before, what="the held request's instance")
        return held

    def in_flight(self, function):
        return sum(i["inFlight"] for i in self.instances(function))

    def instances(self, name=None):
        listed = self.request("GET", "/okibi/v1/instances").json["instances"]
        return [i for i in listed if name in (None, i["functionName"])]

    def usage(self, name):
        listed = self.request("GET", f"/okibi/v1/usage?functionName={name}").json["functions"]
        return listed[0] if listed else {"calls": 0, "gpuGBSeconds": 0, "cost": 0}

    def launcher_pid(self):
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        for pid in children.split():
            if "okibi-launcher" in command_line(pid):
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


def end_module(daemon, work):
    """How a module of tests ends: its daemon in good order, and nothing left of it or of its folder."""
    try:
        daemon.stop()
    finally:
        daemon.close()
        work.cleanup()


def remnants(state):
    """What of the instances of a state directory is on this machine: cgroups, loop devices, mounts, processes."""
    group = cgroup_name(state)
    folders = [os.path.join(root, group) for root, below, _ in os.walk("/sys/fs/cgroup") if group in below]
    devices = [str(p) for p in Path("/sys/block").glob("loop*/loop/backing_file")
               if _text(p).startswith(str(state))]
    mounts = [line for line in _text("/proc/mounts").splitlines() if str(state) in line]
    return sorted(folders + devices + mounts) + sandbox_processes(state)


def wait_until_gone(state):
    """The kernel takes mounts down a little after the last process that saw them."""
    end = time.monotonic() + 60
    while left := remnants(state):
        if time.monotonic() > end:
            raise AssertionError(f"left behind: {left}")
        time.sleep(0.05)


def sandbox_processes(state):
    group = cgroup_name(state)
    return [int(p.name) for p in Path("/proc").iterdir()
            if p.name.isdigit() and group in _text(p / "cgroup")]


def cgroup_name(state):
    """The launcher's name for all that belongs to a state directory: FNV-1a of its path."""
    value = 0xCBF29CE484222325
    for byte in os.path.realpath(state).encode():
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return f"okibi-{value:016x}"


def command_line(pid):
    """Empty: there is no such process, or no more."""
    return _text(f"/proc/{pid}/cmdline")


def _text(path):
    try:
        return Path(path).read_text(errors="replace")
    except OSError:  # it went meanwhile
        return ""
