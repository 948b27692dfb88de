#!/usr/bin/env python3
"""The examples as their READMEs say: examples_test.py OKIBI BATCHING_BINARY [unittest arguments].

OKIBI_OCR_LAYOUT, a layout made by examples/ocr/build_image.sh, has the OCR example tried as well; quickstart.sh
does that always.
"""

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
from daemon import Answer, Daemon, end_module, wait_for  # noqa: E402

OKIBI, BATCHING = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
CONCURRENCY = 8


def setUpModule():
    global work, daemon
    work = tempfile.TemporaryDirectory(prefix="okibi-e2e-examples-")
    daemon = Daemon(OKIBI, f"oci:{work.name}/none", "--simulated-cards", "fc.gpu.tesla.1=1").start()


def tearDownModule():
    end_module(daemon, work)


def okibi(*words, **more):
    environment = {**os.environ, "OKIBI_ENDPOINT": f"127.0.0.1:{daemon.port}", "HOME": work.name, **more}
    return subprocess.run([OKIBI, *words], capture_output=True, env=environment, timeout=300)


class Batching(unittest.TestCase):
    BODY = ",".join(str(n) for n in range(64)).encode()

    @classmethod
    def setUpClass(cls):
        layout = work.name + "/batching"
        subprocess.run(["bash", EXAMPLES / "batching/build_image.sh", layout, BATCHING], check=True,
                       stdout=subprocess.DEVNULL)
        done = okibi("deploy", "-f", EXAMPLES / "batching/s.yaml", BATCHING_IMAGE=f"oci:{layout}")
        assert done.returncode == 0, done.stderr
        triggers = daemon.request("GET", "/2023-03-30/functions/batching/triggers").json["triggers"]
        url = triggers[0]["httpTrigger"]["urlInternet"]
        cls.trigger = "/proxy/" + url.split("//")[1].split(".")[0]

    def at_once(self):
        """Eight requests that miss their last byte, until all eight are in the instance."""
        calls = []
        for _ in range(CONCURRENCY):
            call = socket.create_connection(("127.0.0.1", daemon.port), timeout=120)
            call.sendall(f"POST {self.trigger}/invoke HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                         f"Content-Length: {len(self.BODY)}\r\n\r\n".encode() + self.BODY[:-1])
            calls.append(call)
        wait_for(lambda: daemon.in_flight("batching") == CONCURRENCY, what="eight calls in the instance")
        instances = len(daemon.instances("batching"))
        for call in calls:
            call.sendall(self.BODY[-1:])
        answers = []
        for call in calls:
            response = http.client.HTTPResponse(call)
            response.begin()
            answers.append(Answer(response).json)
            call.close()
        return instances, answers

    def test_calls_at_once_share_a_pass(self):
        done = okibi("invoke", "batching", "-d", self.BODY.decode())
        self.assertEqual(done.returncode, 0, done.stderr)
        alone = json.loads(done.stdout)
        self.assertEqual((len(alone["scores"]), alone["batchSize"]), (10, 1))

        def whole_batch():  # on a busy machine the eight last bytes may take more than the 5 ms of one batch
            instances, answers = self.at_once()
            self.assertEqual(instances, 1)  # concurrency 8: nobody needed another
            for answer in answers:
                self.assertEqual(answer["scores"], alone["scores"])
            return {a["batch"] for a in answers if a["batchSize"] == CONCURRENCY}

        batch = wait_for(whole_batch, what="a batch of eight")
        self.assertEqual(len(batch), 1)

    def test_bad_input_is_the_functions_to_refuse(self):
        answer = daemon.request("POST", self.trigger + "/invoke", b"1,2,3")
        self.assertEqual(answer.status, 400)
        self.assertIn("64 finite numbers", answer.json["error"])


@unittest.skipUnless("OKIBI_OCR_LAYOUT" in os.environ, "OKIBI_OCR_LAYOUT names no layout")
class Ocr(unittest.TestCase):
    def test_reads_the_page_and_gives_the_card_back(self):
        done = okibi("deploy", "-f", EXAMPLES / "ocr/s.yaml", OCR_IMAGE="oci:" + os.environ["OKIBI_OCR_LAYOUT"])
        self.assertEqual(done.returncode, 0, done.stderr)
        for _ in range(2):
            done = okibi("invoke", "ocr", "-f", EXAMPLES / "ocr/page.png")
            self.assertEqual(done.returncode, 0, done.stderr)
            page = json.loads(done.stdout)
            self.assertIn("OKIBI", page["text"].upper())
            self.assertTrue(all(0 <= w["confidence"] <= 100 for w in page["words"]))
        card = daemon.request("GET", "/okibi/v1/cards").json["cards"][0]
        self.assertEqual(card["usedMB"], 1024)
        wait_for(lambda: not daemon.instances("ocr"), what="the release")
        self.assertEqual(daemon.request("GET", "/okibi/v1/cards").json["cards"][0]["usedMB"], 0)


if __name__ == "__main__":
    if os.geteuid() != 0:
        print("examples_test: sandboxes need root")
        sys.exit(77)
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)
