#!/usr/bin/env python3
"""The echo server on loopback: what other tests rely on.   echo_test.py BINARY"""
import hashlib
import http.client
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
import unittest

BINARY = ""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Echo(unittest.TestCase):
    def start(self, **environment):
        self.port = free_port()
        env = {"FC_CUSTOM_LISTEN_PORT": str(self.port), "ECHO_LISTEN_LOOPBACK": "1", **environment}
        self.process = subprocess.Popen([BINARY], env=env, stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.end, self.process)
        if environment.get("ECHO_EXIT_AT_START"):
            return
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except ConnectionRefusedError:
                time.sleep(0.002)
        self.fail("does not listen")

    @staticmethod
    def end(process):
        process.kill()
        process.wait()
        process.stdout.close()

    def raw(self, text):
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        self.addCleanup(connection.close)
        connection.sendall(text.encode() if isinstance(text, str) else text)
        return connection

    def call(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        self.addCleanup(connection.close)
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read(), answer

    def json(self, path):
        return json.loads(self.call("GET", path)[1])

    def test_bodies_come_back_on_one_connection(self):
        self.start()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        self.addCleanup(connection.close)
        big = os.urandom(3_000_000)
        for body, chunked in ((b"x", False), (big, False), (b"", False), (big, True)):
            data = iter([body[:1000], body[1000:]]) if chunked else body
            connection.request("POST", "/invoke", data, encode_chunked=chunked,
                               headers={"Transfer-Encoding": "chunked"} if chunked else {})
            self.assertEqual(hashlib.sha256(connection.getresponse().read()).digest(),
                             hashlib.sha256(body).digest())

    def test_invocations_are_logged_with_their_id(self):
        self.start()
        self.call("POST", "/invoke", b"x", {"x-fc-request-id": "r-1"})
        self.process.terminate()
        self.assertEqual(self.process.communicate()[0].splitlines(),
                         ["FC Invoke Start RequestId: r-1", "FC Invoke End RequestId: r-1"])

    def test_bad_requests_are_answered_400(self):
        self.start()
        for head in ("nonsense\r\n\r\n", "GET / HTTP/1.1\r\nno colon\r\n\r\n",
                     "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
                     "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"):
            self.assertIn(b" 400 ", self.raw(head).recv(4096), head)

    def test_ranges_and_heads(self):
        self.start()
        status, body, answer = self.call("GET", "/bytes?n=100", headers={"Range": "bytes=-10"})
        self.assertEqual((status, body, answer.getheader("Content-Range")),
                         (206, b"vwabcdefgh", "bytes 90-99/100"))
        self.assertEqual(self.call("GET", "/bytes?n=10", headers={"Range": "bytes=10-"})[0], 416)
        _, body, answer = self.call("HEAD", "/bytes?n=100")
        self.assertEqual((body, answer.getheader("Content-Length")), (b"", "100"))

    def test_two_hundred_wait_at_once(self):
        self.start()
        callers = [self.raw("GET /sleep?ms=500 HTTP/1.1\r\nHost: x\r\n\r\n") for _ in range(200)]
        for caller in callers:
            self.assertIn(b"slept", caller.recv(4096))
        self.assertEqual(self.json("/stats")["maxActive"], 200)

    def test_a_caller_that_leaves_is_noticed(self):
        self.start()
        self.raw("GET /sleep?ms=60000 HTTP/1.1\r\nHost: x\r\n\r\n").close()
        deadline = time.monotonic() + 20
        while self.json("/stats")["cancelled"] == 0:
            self.assertLess(time.monotonic(), deadline)
        self.assertEqual(self.json("/stats")["active"], 0)

    def test_duplex_answers_before_the_request_ends(self):
        self.start()
        connection = self.raw("POST /duplex HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nping\r\n")
        seen = b""
        while b"ping" not in seen:
            seen += connection.recv(4096)
        connection.sendall(b"0\r\n\r\n")
        while not seen.endswith(b"0\r\n\r\n"):
            seen += connection.recv(4096)

    def test_websocket(self):
        self.start()
        connection = self.raw("GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
        head = connection.recv(4096)
        self.assertIn(b" 101 ", head)
        self.assertIn(b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", head)  # the RFC's example

        def frame(first, payload):
            size = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + struct.pack(">H", len(payload))
            return bytes([first]) + size + b"abcd" + bytes(c ^ b"abcd"[i % 4] for i, c in enumerate(payload))

        def receive(count):
            data = b""
            while len(data) < count:
                data += connection.recv(count - len(data))
            return data

        connection.sendall(frame(0x81, b"hi") + frame(0x89, b"p"))
        self.assertEqual(receive(7), b"\x81\x02hi\x8a\x01p")
        connection.sendall(frame(0x82, b"y" * 300))
        self.assertEqual(receive(304), b"\x82\x7e\x01\x2c" + b"y" * 300)
        connection.sendall(frame(0x88, b"\x03\xe8"))
        self.assertEqual(receive(4), b"\x88\x02\x03\xe8")
        self.assertEqual(connection.recv(1), b"")

    def test_it_ends_as_told(self):
        self.start()
        connection = self.raw("GET /exit?code=7&partial=1 HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertTrue(connection.recv(4096).startswith(b"HTTP/1.1 200"))
        self.assertEqual(self.process.wait(20), 7)
        self.start()
        self.raw("GET /exit?signal=9 HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual(self.process.wait(20), -signal.SIGKILL)
        self.start(ECHO_EXIT_AT_START="5")
        self.assertEqual(self.process.wait(20), 5)

    def test_hooks_fail_as_told(self):
        self.start(ECHO_INIT_FAIL="500")
        self.assertEqual(self.call("POST", "/initialize")[0], 500)
        self.assertEqual(self.call("GET", "/pre-stop")[0], 200)
        stats = self.json("/stats")
        self.assertEqual((stats["initialized"], stats["stopHooks"]), (1, 1))

    def test_refusals_are_reported(self):
        self.start()
        self.assertEqual(self.json(f"/connect?port={free_port()}")["error"], "Connection refused")
        self.assertEqual(self.json(f"/connect?port={self.port}")["error"], "ok")
        self.assertEqual(self.call("GET", "/read?path=/nope")[0], 404)

    def test_whoami_leaves_the_mounts_alone(self):
        self.start()

        def mounts():  # only those that a careless probe would cover: other programs mount elsewhere
            with open("/proc/self/mountinfo", encoding="utf-8") as file:
                return [line for line in file if line.split()[4] in ("/", "/tmp")]

        before = mounts()
        report = self.json("/whoami")
        self.assertEqual(report["pid"], self.process.pid)
        self.assertIn(report["attempts"]["mount"], (1, 19))  # EPERM, or ENODEV for who may
        self.assertEqual(mounts(), before)


if __name__ == "__main__":
    BINARY = os.path.abspath(sys.argv.pop(1))
    unittest.main()
