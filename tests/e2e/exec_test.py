#!/usr/bin/env python3
"""Programs run inside live instances, through the daemon: exec_test.py OKIBI PROBE [unittest arguments].

The instances run sandbox_probe, which is also what is run in them. One half speaks the protocol of Serverless
Devs' client from bytes up, the other half is `okibi exec`.
"""

import base64
import fcntl
import hashlib
import hmac
import json
import os
import pty
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time
import unittest
from email.utils import formatdate
from pathlib import Path
from urllib.parse import urlencode

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
from daemon import Daemon, end_module, free_port, make_layout, self_signed, wait_for  # noqa: E402

OKIBI, PROBE = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
STDOUT, STDERR = 1, 2
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def setUpModule():
    global work, daemon, key, instance, tls
    work = tempfile.TemporaryDirectory(prefix="okibi-e2e-exec-")
    root = Path(work.name) / "root"
    root.mkdir()
    shutil.copy(PROBE, root / "probe")
    image = make_layout(work.name, "image", "--layer", str(root), "--entrypoint", "/probe", "--cmd", "serve",
                        "--cmd", "9000", "--port", "9000")
    own, port = self_signed(work.name, "own", "IP:127.0.0.1"), free_port()
    tls = {"OKIBI_ENDPOINT": f"https://127.0.0.1:{port}", "OKIBI_CA": own[0]}
    daemon = Daemon(OKIBI, image, "--listen-tls", f"127.0.0.1:{port}", "--tls-certificate", own[0], "--tls-key", own[1])
    daemon.access = []
    daemon.start()
    found = re.search(r"Access key ID: +(\S+)\n +Access key secret: +(\S+)", daemon.log_text())
    key = (found[1], found[2])
    deploy("f")
    assert okibi("invoke", "f").returncode == 0
    instance = json.loads(okibi("--json", "ps").stdout)["instances"][0]["instanceId"]


def tearDownModule():
    end_module(daemon, work)


def environment():
    base = {"PATH": os.environ["PATH"], "HOME": work.name, "OKIBI_ENDPOINT": f"127.0.0.1:{daemon.port}",
            "OKIBI_ACCESS_KEY_ID": key[0], "OKIBI_ACCESS_KEY_SECRET": key[1]}
    if "LD_LIBRARY_PATH" in os.environ:
        base["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]
    return base


def okibi(*words, stdin=b"", **changes):
    return subprocess.run([OKIBI, *words], input=stdin, capture_output=True, env={**environment(), **changes},
                          timeout=300)


def deploy(name, role=""):
    file = Path(work.name) / f"{name}.yaml"
    file.write_text(f"""
edition: 3.0.0
name: exec
access: default
resources:
  one:
    component: fc3
    props:
      region: local
      functionName: {name}
      runtime: custom-container
      handler: none
      role: "{role}"
      cpu: 0.5
      memorySize: 256
      idleTimeout: 600
      customContainerConfig: {{ image: "{daemon.image}", port: 9000 }}
""")
    made = okibi("deploy", "-f", str(file))
    assert made.returncode == 0, made.stderr


def processes(*words):
    """Host pids whose command line is that of the probe with these arguments."""
    wanted = b"\0".join(word.encode() for word in ("/probe", *words)) + b"\0"
    found = []
    for entry in os.listdir("/proc"):
        try:
            if entry.isdigit() and Path(f"/proc/{entry}/cmdline").read_bytes() == wanted:
                found.append(int(entry))
        except OSError:
            pass
    return found


def environ(pid):
    return b"\0" + Path(f"/proc/{pid}/environ").read_bytes()


opened = []


class Client:
    """Serverless Devs' client: legacy signature, binary frames, masks."""

    begin, used = time.time(), 0

    def __init__(self, command, keys=None, function="f", where=None, **query):
        Client.used += 1  # each signature is good once, and its date has seconds
        date = formatdate(Client.begin - Client.used, usegmt=True)
        path = f"/2023-03-30/functions/{function}/instances/{where or instance}/exec"
        text = f"GET\n\n\n{date}\nx-fc-account-id:1\n{path}"
        keys = keys or key
        signature = base64.b64encode(hmac.new(keys[1].encode(), text.encode(), hashlib.sha256).digest()).decode()
        asked = [("tty", "false"), ("stdin", "true"), ("stdout", "true"), ("stderr", "true")]
        asked = [(name, query.get(name, value)) for name, value in asked] + [("command", word) for word in command]
        self.socket = socket.create_connection(("127.0.0.1", daemon.port), timeout=120)
        opened.append(self.socket)
        nonce = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall((f"GET {path}?{urlencode(asked)} HTTP/1.1\r\nHost: 127.0.0.1\r\nDate: {date}\r\n"
                             f"x-fc-account-id: 1\r\nAuthorization: FC {keys[0]}:{signature}\r\n"
                             "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                             f"Sec-WebSocket-Key: {nonce}\r\n\r\n").encode())
        self.rest = b""
        head = b""
        while b"\r\n\r\n" not in head:
            piece = self.socket.recv(65536)
            if not piece:
                raise AssertionError(head)
            head += piece
        head, _, self.rest = head.partition(b"\r\n\r\n")
        self.status = int(head.split()[1])
        if self.status != 101:
            length = int(re.search(rb"content-length: (\d+)", head.lower())[1])
            self.refusal = json.loads(self.take(length))
            return
        accept = base64.b64encode(hashlib.sha1((nonce + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest())
        assert accept in head, head

    def take(self, count):
        while len(self.rest) < count:
            piece = self.socket.recv(65536)
            if not piece:
                raise EOFError
            self.rest += piece
        taken, self.rest = self.rest[:count], self.rest[count:]
        return taken

    def send(self, payload, opcode=BINARY):
        mask = os.urandom(4)
        head = bytes([0x80 | opcode])
        if len(payload) < 126:
            head += bytes([0x80 | len(payload)])
        elif len(payload) < 65536:
            head += bytes([0xfe]) + struct.pack(">H", len(payload))
        else:
            head += bytes([0xff]) + struct.pack(">Q", len(payload))
        self.socket.sendall(head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload)))

    def frame(self):
        first, second = self.take(2)
        length = second & 0x7f
        assert second < 0x80 and first & 0x80
        if length == 126:
            length = struct.unpack(">H", self.take(2))[0]
        elif length == 127:
            length = struct.unpack(">Q", self.take(8))[0]
        return first & 0x0f, self.take(length)

    def to_end(self, pause=None):
        """Everything of each stream, and (close code, reason)."""
        streams = {STDOUT: bytearray(), STDERR: bytearray()}
        while True:
            opcode, payload = self.frame()
            if opcode == CLOSE:
                self.send(payload[:2], CLOSE)
                return bytes(streams[STDOUT]), bytes(streams[STDERR]), (
                    struct.unpack(">H", payload[:2])[0], payload[2:].decode())
            assert opcode == BINARY and len(payload) >= 2, (opcode, payload)
            streams[payload[0]] += payload[1:]
            if pause:
                pause(len(streams[STDOUT]))

    def until(self, word):
        got = b""
        while word not in got:
            opcode, payload = self.frame()
            if opcode == BINARY:
                got += payload[1:]
        return got


class Protocol(unittest.TestCase):
    def tearDown(self):
        while opened:
            opened.pop().close()

    def test_what_is_sent_is_read_and_the_exit_code_is_the_closing_reason(self):
        client = Client(["/probe", "copy"])
        client.send(b"hello ")
        client.send(b"world")
        self.assertEqual(client.until(b"world"), b"hello world")
        client.send(b"", PING)
        self.assertEqual(client.frame(), (PONG, b""))
        client.socket.close()
        out, err, end = Client(["/probe", "exit", "7"]).to_end()
        self.assertEqual((out, err, end), (b"", b"", (1000, "exit code 7")))

    def test_streams_that_are_not_wanted(self):
        out, err, end = Client(["/probe", "copy"], stdin="false").to_end()
        self.assertEqual((out, err, end), (b"", b"copied\n", (1000, "exit code 0")))
        out, err, end = Client(["/probe", "copy"], stdin="false", stderr="false").to_end()
        self.assertEqual((out, err, end), (b"", b"", (1000, "exit code 0")))

    def test_ten_megabytes_arrive_whole_at_whoever_reads_slowly(self):
        client = Client(["/probe", "chatter", "10"])
        time.sleep(1)  # the program is held up meanwhile, not cut
        out, _, end = client.to_end()
        self.assertEqual(len(out), 10 << 20)
        self.assertEqual(out, (b"c" * 1023 + b"\n") * (10 << 10))
        self.assertEqual(end, (1000, "exit code 0"))

    def test_it_is_inside(self):
        out, _, _ = Client(["/probe", "list", "/proc"]).to_end()
        pids = [name for name in out.decode().split() if name.isdigit()]
        self.assertLess(len(pids), 10)  # nothing of the host
        out, _, _ = Client(["/probe", "report"]).to_end()
        self.assertIn(f"hostname={instance}", out.decode())

    def test_it_ends_with_its_client(self):
        instances = processes("serve", "9000")
        for tty in "false", "true":
            client = Client(["/probe", "detach", "stay"], tty=tty)
            client.until(b"detached")
            wait_for(lambda: len(processes("detach", "stay")) == 2, what="the two")  # and what it has left behind
            client.socket.close()
            wait_for(lambda: not processes("detach", "stay"), what="the program's end")
        self.assertEqual(processes("serve", "9000"), instances)

    def test_it_keeps_its_instance_and_is_on_the_bill(self):
        client = Client(["/probe", "copy"])
        client.send(b"x")
        client.until(b"x")
        shown = json.loads(okibi("--json", "ps").stdout)["instances"]
        self.assertEqual([(i["sessions"], i["inFlight"]) for i in shown if i["instanceId"] == instance], [(1, 0)])
        time.sleep(1.5)  # beyond the grace before an idle instance is frozen
        client.send(b"y")
        client.until(b"y")
        client.socket.close()

        def billed():
            usage = json.loads(okibi("--json", "usage", "f").stdout)["functions"][0]
            return usage["activeMs"] >= 1500
        wait_for(billed, what="the session's time in the usage")

    def test_refusals(self):
        def refused(status, code, **how):
            how = {"command": ["/probe"], **how}
            client = Client(**how)
            self.assertEqual(client.status, status)
            self.assertEqual((client.refusal["Code"], client.refusal["ErrorCode"]), (code, code))
            self.assertEqual(client.refusal["Message"], client.refusal["ErrorMessage"])
        refused(400, "InvalidArgument", command=["/missing"])
        refused(404, "InstanceNotFound", where="c-none")
        refused(403, "SignatureNotMatch", keys=(key[0], "wrong"))
        made = json.loads(okibi("--json", "account", "create").stdout)["accessKey"]
        other = (made["accessKeyId"], made["accessKeySecret"])
        refused(404, "FunctionNotFound", keys=other)

    def test_limit_per_instance(self):
        clients = [Client(["/probe", "sleep"]) for _ in range(8)]
        try:
            more = Client(["/probe", "sleep"])
            self.assertEqual((more.status, more.refusal["Code"]), (429, "ResourceExhausted"))
        finally:
            for client in clients:
                client.socket.close()
        wait_for(lambda: not processes("sleep"), what="the end of all")


class CommandLine(unittest.TestCase):
    def test_streams_and_exit_code(self):
        done = okibi("exec", "f", "-i", "--", "/probe", "copy", stdin=b"through\0and through")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, b"through\0and through", b"copied\n"))
        self.assertEqual(okibi("exec", "f", "--", "/probe", "exit", "42").returncode, 42)
        self.assertEqual(okibi("exec", "f", "--instance", instance, "--", "/probe", "raise", "9").returncode, 137)
        done = okibi("exec", "f", "--", "/probe", "chatter", "2")
        self.assertEqual(len(done.stdout), 2 << 20)

    def test_over_tls(self):
        done = okibi("exec", "f", "-i", "--", "/probe", "copy", stdin=b"through\0and through", **tls)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, b"through\0and through", b"copied\n"))
        self.assertEqual(len(okibi("exec", "f", "--", "/probe", "chatter", "2", **tls).stdout), 2 << 20)

    def test_what_cannot_be(self):
        done = okibi("exec", "f", "--", "/missing")
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"exec: '/missing': No such file", done.stderr)
        self.assertEqual(okibi("exec", "f", "-it", "--", "/probe").returncode, 2)  # no terminal here
        self.assertIn(b"FunctionNotFound", okibi("exec", "nobody", "--", "/probe").stderr)
        deploy("sleeper")
        done = okibi("exec", "sleeper", "--", "/probe")
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"function 'sleeper' sleeps", done.stderr)
        self.assertIn(b"okibi invoke sleeper", done.stderr)

    def test_temporary_credentials(self):
        """Those of a container: its role allows InstanceExec, and ListInstances to pick the instance."""
        self.assertEqual(okibi("role", "create", "worker", "--allow", "InstanceExec:acting", "--allow",
                               "ListInstances:acting").returncode, 0)
        deploy("acting", role="worker")
        self.assertEqual(okibi("invoke", "acting").returncode, 0)
        found = next(i for i in json.loads(okibi("--json", "ps").stdout)["instances"] if i["functionName"] == "acting")
        pid = next(pid for pid in processes("serve", "9000") if b"\0FC_FUNCTION_NAME=acting\0" in environ(pid))
        inside = dict(one.split(b"=", 1) for one in environ(pid).split(b"\0") if one)
        acting = {"OKIBI_" + mine: inside[b"ALIBABA_CLOUD_" + mine.encode()].decode()
                  for mine in ("ACCESS_KEY_ID", "ACCESS_KEY_SECRET", "SECURITY_TOKEN")}
        self.assertEqual(okibi("exec", "acting", "--", "/probe", "exit", "7", **acting).returncode, 7)
        denied = okibi("exec", "f", "--", "/probe", "exit", "7", **acting)
        self.assertEqual(denied.returncode, 4, denied.stderr)
        self.assertIn(b"--instance", denied.stderr)
        # Without leave to list, the instance must be named.
        self.assertEqual(okibi("role", "create", "worker", "--allow", "InstanceExec:acting").returncode, 0)
        self.assertEqual(okibi("exec", "acting", "--", "/probe", "exit", "7", **acting).returncode, 4)
        self.assertEqual(okibi("exec", "acting", "--instance", found["instanceId"], "--", "/probe", "exit", "7",
                               **acting).returncode, 7)

    def test_terminal(self):
        self.at_a_terminal(environment())

    def test_terminal_over_tls(self):
        self.at_a_terminal({**environment(), **tls})

    def at_a_terminal(self, surroundings):
        master, slave = pty.openpty()
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 43, 132, 0, 0))
        before = termios.tcgetattr(slave)

        def lead():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        process = subprocess.Popen([OKIBI, "exec", "-it", "f", "--", "/probe", "terminal"], stdin=slave, stdout=slave,
                                   stderr=subprocess.PIPE, env=surroundings, preexec_fn=lead)
        shown = b""

        def read_until(word):
            nonlocal shown
            while word not in shown:
                shown += os.read(master, 65536)
            part, _, shown = shown.partition(word)
            return part.decode()
        first = read_until(b"waiting")
        self.assertIn("tty=yes", first)
        self.assertIn("columns=132", first)
        self.assertIn("rows=43", first)
        self.assertNotEqual(termios.tcgetattr(slave), before)  # raw
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 90, 0, 0))
        second = read_until(b"waiting")
        self.assertIn("columns=90", second)
        os.write(master, b"\x03")
        self.assertEqual(process.wait(timeout=60), 130)
        self.assertEqual(termios.tcgetattr(slave), before)
        process.stderr.close()
        os.close(master)
        os.close(slave)


if __name__ == "__main__":
    if os.geteuid() != 0:
        print("sandboxes need root")
        sys.exit(77)
    unittest.main(argv=sys.argv[:1] + sys.argv[3:])
