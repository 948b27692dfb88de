#!/usr/bin/env python3
"""The matmul server without a driver, and on the fake one through the shim.   matmul_test.py SERVER FRONT SHIM FAKE_CUDA"""
import http.client
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

SERVER, FRONT, SHIM, FAKE = "", "", "", ""
MIB = 1 << 20


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def fnv(data, value=0xcbf29ce484222325):
    for byte in data:
        value = (value ^ byte) * 0x100000001b3 % 2**64
    return value


def write_budget(path, limit):
    """shim/budget.h by its published layout, so that this test would notice a change of it."""
    unit, cards, slots = 512, 8, 1024
    head = struct.pack("<QII", 0x314447424b4f0a7f, 1, 1) + struct.pack("<Q", 0)
    limits = [struct.pack("<Q", limit // unit if card == 0 else 0) for card in range(cards)]
    checksum = fnv(head + b"".join(each + bytes(48) for each in limits))
    data = bytearray(4096 + slots * 192)
    data[0:32] = head + struct.pack("<Q", checksum)
    for card, each in enumerate(limits):
        data[64 + card * 64 + 8:64 + card * 64 + 16] = each
    with open(path, "wb") as file:
        file.write(data)


class Matmul(unittest.TestCase):
    def start(self, library_path):
        self.port = free_port()
        env = {"FC_CUSTOM_LISTEN_PORT": str(self.port), "LD_LIBRARY_PATH": library_path}
        process = subprocess.Popen([SERVER], env=env, stdout=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except ConnectionRefusedError:
                time.sleep(0.005)
        self.fail("does not listen")

    def call(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        self.addCleanup(connection.close)
        connection.request(method, path, json.dumps(body) if body is not None else None)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())

    def instance(self, limit):
        folder = tempfile.TemporaryDirectory(prefix="okibi-matmul-")
        self.addCleanup(folder.cleanup)
        inner = os.path.join(folder.name, "private")
        os.makedirs(os.path.join(inner, "machine"))
        os.makedirs(os.path.join(folder.name, "lib"))
        real, budget = os.path.join(inner, "driver.so"), os.path.join(folder.name, "budget")
        os.symlink(FAKE, real)
        write_budget(budget, limit)
        front = os.path.join(folder.name, "lib", "libcuda.so.1")
        subprocess.run([FRONT, "cuda", real, front, SHIM, real, budget], check=True, stdout=subprocess.DEVNULL)
        self.start(os.path.join(folder.name, "lib"))

    def test_without_a_driver_it_says_so(self):
        self.start("/nonexistent")
        if os.path.exists("/dev/nvidiactl"):
            self.skipTest("this machine has a driver")
        status, answer = self.call("POST", "/invoke", {"n": 4})
        self.assertEqual(status, 503)
        self.assertIn("no NVIDIA driver", answer["error"])
        self.assertEqual(self.call("GET", "/healthz")[0], 200)

    def test_multiplies_within_its_slice(self):
        self.instance(4 * MIB)
        status, answer = self.call("GET", "/memory")
        self.assertEqual((status, answer["total"], answer["free"]), (200, 4 * MIB, 4 * MIB))
        status, answer = self.call("POST", "/invoke", {"n": 100, "seed": 7})
        self.assertEqual(status, 200)
        self.assertLess(answer["worstError"], 1e-4)
        again = self.call("POST", "/invoke", {"n": 100, "seed": 7})[1]
        self.assertEqual(again["sum"], answer["sum"])

    def test_a_matrix_beyond_the_slice_is_refused_and_leaves_nothing(self):
        self.instance(4 * MIB)
        status, answer = self.call("POST", "/invoke", {"n": 1024})
        self.assertEqual(status, 507)
        self.assertIn("CUDA_ERROR_OUT_OF_MEMORY", answer["error"])
        self.assertEqual(self.call("GET", "/memory")[1]["free"], 4 * MIB)

    def test_bad_orders_are_refused(self):
        self.instance(4 * MIB)
        self.assertEqual(self.call("POST", "/invoke", {"n": 9000})[0], 400)
        self.assertEqual(self.call("POST", "/invoke", {"n": 0})[0], 400)
        self.assertEqual(self.call("GET", "/invoke")[0], 405)


if __name__ == "__main__":
    SERVER, FRONT, SHIM, FAKE = sys.argv[1:5]
    unittest.main(argv=sys.argv[:1])
