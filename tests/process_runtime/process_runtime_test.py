#!/usr/bin/env python3
"""Instances as plain processes: process_runtime_test.py OKIBI MATMUL_SERVER FAKE_CUDA [unittest arguments]."""

import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
from daemon import Daemon, command_line, wait_for  # noqa: E402

OKIBI, MATMUL, FAKE = sys.argv[1:4]
GPU = {"gpuConfig": {"gpuType": "fc.gpu.tesla.1", "gpuMemorySize": 1024}}


def setUpModule():
    global work, image
    work = tempfile.TemporaryDirectory(prefix="okibi-process-image-")
    script = Path(__file__).resolve().parents[2] / "examples/gpu-matmul/build_image.sh"
    subprocess.run(["bash", script, work.name + "/matmul", MATMUL], check=True, stdout=subprocess.DEVNULL)
    image = f"oci:{work.name}/matmul:latest"
    os.makedirs(work.name + "/driver/machine")
    os.symlink(FAKE, work.name + "/driver/libcuda.so.1")


def tearDownModule():
    work.cleanup()


class Processes(unittest.TestCase):
    def setUp(self):
        self.daemon = Daemon(OKIBI, image, "--runtime", "process", "--simulated-cards", "fc.gpu.tesla.1=1")
        self.addCleanup(self.daemon.close)
        self.daemon.start()

    def test_it_says_what_it_is(self):
        self.assertEqual(self.daemon.request("GET", "/okibi/v1/info").json["runtime"], "process")
        self.assertIn("nothing isolates them", self.daemon.log_text())

    def test_two_instances_of_two_functions_serve_beside_each_other(self):
        for name in ("first", "second"):
            self.daemon.deploy(name, environmentVariables={"LD_LIBRARY_PATH": work.name + "/driver"}, **GPU)
        for name in ("first", "second"):
            answer = self.daemon.invoke(name, json.dumps({"n": 64}))
            self.assertEqual(answer.status, 200, answer.text)
            self.assertLess(answer.json["worstError"], 1e-4)
        self.assertEqual(len(self.daemon.instances()), 2)
        pids = self.children()
        self.assertEqual(len(pids), 2)
        self.daemon.stop()
        for pid in pids:
            self.assertFalse(os.path.exists(f"/proc/{pid}"))

    def test_a_program_without_a_driver_says_so(self):
        if os.path.exists("/dev/nvidiactl"):
            self.skipTest("this machine has a driver")
        self.daemon.deploy("bare", **GPU)
        self.assertIn("no NVIDIA driver", self.daemon.invoke("bare", b"{}").text)

    def test_an_idle_one_is_ended(self):
        self.daemon.deploy("idle", idleTimeout=1, environmentVariables={"LD_LIBRARY_PATH": work.name + "/driver"})
        self.assertEqual(self.daemon.invoke("idle", b"{}").status, 200)
        wait_for(lambda: not self.children(), what="the end of the idle process")

    def children(self):
        pids = Path(f"/proc/{self.daemon.process.pid}/task/{self.daemon.process.pid}/children").read_text().split()
        return [pid for pid in pids if "gpu_matmul" in command_line(pid)]


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]])
