#!/usr/bin/env python3
"""The batcher; and, where PyTorch is installed, the whole server.   classifier_test.py"""
import concurrent.futures
import http.client
import importlib.util
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from batcher import Batcher  # noqa: E402


class BatcherTest(unittest.TestCase):
    def test_requests_that_come_together_share_a_batch(self):
        sizes, hold = [], threading.Event()

        def run(items):
            hold.wait(10)
            sizes.append(len(items))
            return [item * 10 for item in items]

        batcher = Batcher(run, most=4, wait=0.05)
        with concurrent.futures.ThreadPoolExecutor(9) as pool:
            answers = [pool.submit(batcher.submit, i) for i in range(9)]
            while len(batcher._waiting) < 5:  # the first batch of 4 is held
                time.sleep(0.001)
            hold.set()
            self.assertEqual([answer.result(10) for answer in answers], [i * 10 for i in range(9)])
        self.assertEqual(sorted(sizes), [1, 4, 4])

    def test_a_lonely_request_waits_no_longer_than_it_must(self):
        batcher = Batcher(lambda items: items, most=100, wait=0.01)
        self.assertEqual(batcher.submit("x"), "x")
        self.assertEqual(batcher.batches, 1)

    def test_a_failed_batch_fails_its_own_requests_only(self):
        def run(items):
            if "bad" in items:
                raise ValueError("bad batch")
            return items

        batcher = Batcher(run, most=1)
        with self.assertRaisesRegex(ValueError, "bad batch"):
            batcher.submit("bad")
        self.assertEqual(batcher.submit("good"), "good")

    def test_too_few_answers_are_an_error(self):
        batcher = Batcher(lambda items: [], most=1)
        with self.assertRaises(ValueError):
            batcher.submit("x")

    def test_closing_refuses_new_requests(self):
        batcher = Batcher(lambda items: items)
        batcher.close()
        with self.assertRaises(RuntimeError):
            batcher.submit("x")


def start(test, **environment):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = {**os.environ, "FC_CUSTOM_LISTEN_PORT": str(port), **environment}
    process = subprocess.Popen([sys.executable, str(HERE / "server.py")], env=env, stdout=subprocess.DEVNULL)
    test.addCleanup(process.wait)
    test.addCleanup(process.terminate)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return port
        except ConnectionRefusedError:
            time.sleep(0.01)
    raise AssertionError("does not listen")


def post(port, path, body=b""):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("POST", path, body)
    answer = connection.getresponse()
    result = answer.status, json.loads(answer.read())
    connection.close()
    return result


class WithoutModelTest(unittest.TestCase):
    def test_a_server_that_cannot_load_says_why(self):
        port = start(self, WEIGHTS="/nonexistent/weights.pt")
        status, answer = post(port, "/invoke", bytes(3072))
        self.assertEqual(status, 503)
        self.assertIn("cannot be loaded", answer["error"])


@unittest.skipUnless(importlib.util.find_spec("torch"), "PyTorch is not installed")
class ServerTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="okibi-torch-")
        self.addCleanup(folder.cleanup)
        self.weights = os.path.join(folder.name, "weights.pt")
        subprocess.run([sys.executable, str(HERE / "make_weights.py"), self.weights], check=True)

    def test_answers_do_not_depend_on_the_batch(self):
        port = start(self, WEIGHTS=self.weights)
        self.assertEqual(post(port, "/initialize")[0], 200)
        images = [bytes((i * 7 + k) % 256 for k in range(3072)) for i in range(16)]
        alone = [post(port, "/invoke", image)[1] for image in images]
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            together = list(pool.map(lambda image: post(port, "/invoke", image)[1], images))
        self.assertGreater(max(answer["batchSize"] for answer in together), 1)
        for one, other in zip(alone, together):
            self.assertEqual(one["class"], other["class"])
            for a, b in zip(one["scores"], other["scores"]):
                self.assertAlmostEqual(a, b, places=4)

    def test_the_wrong_size_is_refused(self):
        port = start(self, WEIGHTS=self.weights)
        self.assertEqual(post(port, "/invoke", b"short")[0], 400)

    def test_a_card_that_is_required_and_missing_is_an_error(self):
        import torch

        if torch.cuda.is_available():
            self.skipTest("there is a card")
        port = start(self, WEIGHTS=self.weights, OKIBI_REQUIRE_GPU="1")
        status, answer = post(port, "/invoke", bytes(3072))
        self.assertEqual(status, 503)
        self.assertIn("PyTorch sees no card", answer["error"])


if __name__ == "__main__":
    unittest.main()
