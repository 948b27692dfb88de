#!/usr/bin/env python3
"""The real daemon on a driver that is none: cards_test.py OKIBI ECHO_BINARY FAKE_NVML FAKE_CUDA [unittest arguments]."""

import http.client
import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
from daemon import Answer, Daemon, wait_for  # noqa: E402

OKIBI, ECHO, NVML, CUDA = sys.argv[1:5]
GPU = {"gpuConfig": {"gpuType": "fc.gpu.tesla.1", "gpuMemorySize": 2048}}
DRIVER = "driver 580.95.05\n"
CARD = """device
  uuid GPU-{0}
  name Tesla T4
  total 16106127360
  reserved 471859200
  pci 00000000:1{0}:00.0
  minor {0}
  capability 7 5
"""




def mount(library, name):
    return {"hostPath": library, "containerPath": f"/usr/lib/x86_64-linux-gnu/{name}.580.95.05", "options": ["ro"]}


# A card is given as the null device, with the fake libraries as its driver's.
DESCRIPTION = {
    "cdiVersion": "0.5.0", "kind": "nvidia.com/gpu",
    "devices": [{"name": f"GPU-{n}", "containerEdits": {
        "deviceNodes": [{"path": f"/dev/nvidia{n}", "hostPath": "/dev/null"}]}} for n in range(2)],
    "containerEdits": {
        "deviceNodes": [{"path": "/dev/nvidiactl", "hostPath": "/dev/null"},
                        {"path": "/dev/nvidia-modeset", "hostPath": "/dev/null"}],
        "mounts": [mount(CUDA, "libcuda.so"), mount(NVML, "libnvidia-ml.so"),
                   {"hostPath": "/tmp", "containerPath": "/tmp/nvidia-mps"}]}}


def setUpModule():
    global work, image
    work = tempfile.TemporaryDirectory(prefix="okibi-gpu-image-")
    script = Path(__file__).resolve().parents[2] / "examples/echo/build_image.sh"
    subprocess.run(["bash", script, work.name + "/echo", ECHO], check=True, stdout=subprocess.DEVNULL)
    image = f"oci:{work.name}/echo:latest"


def tearDownModule():
    work.cleanup()


def answer_of(call):
    """The answer to a held request whose instance was ended."""
    response = http.client.HTTPResponse(call.socket)
    response.begin()
    answer = Answer(response)
    call.leave()
    return answer


class Cards(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory(prefix="okibi-gpu-world-")
        self.world = Path(self.directory.name) / "world"
        os.environ["OKIBI_FAKE_NVML"] = str(self.world)
        self.daemon = None

    def tearDown(self):
        if self.daemon:
            self.daemon.close()
        self.directory.cleanup()

    def set_world(self, text):
        # At once: the daemon reads it whenever it likes.
        Path(str(self.world) + ".new").write_text(text)
        os.replace(str(self.world) + ".new", self.world)

    def start(self, *flags):
        config = Path(self.directory.name) / "okibi.yaml"
        cdi = Path(self.directory.name) / "cdi"
        cdi.mkdir(exist_ok=True)
        (cdi / "nvidia.json").write_text(json.dumps(DESCRIPTION))
        config.write_text(f"nvmlLibrary: {NVML}\ncdiDirectories: [{cdi}]\n")
        self.daemon = Daemon(OKIBI, image, "--config", str(config), *flags)
        return self.daemon.start()

    def cards(self):
        return self.daemon.request("GET", "/okibi/v1/cards").json

    def cli(self, *words):
        return subprocess.run([OKIBI, "--endpoint", f"127.0.0.1:{self.daemon.port}", *words], check=True,
                              capture_output=True, text=True).stdout

    def serve_one(self):
        """A request in flight on a GPU instance, and that instance."""
        self.daemon.deploy("f", **GPU)
        call = self.daemon.hold(self.daemon.trigger("f"), "f")
        return call, self.daemon.instances("f")[0]

    def test_no_driver_means_no_cards(self):
        self.start()
        self.assertEqual(self.cards(), {"driverVersion": "", "driverAnswers": True, "cards": []})
        refused = self.daemon.deploy("f", **GPU)
        self.assertEqual(refused.status, 400)
        self.assertIn("gpuConfig.gpuType", refused.json["Message"])

    def test_cards_are_shown_with_their_slices(self):
        self.set_world(DRIVER + CARD.format(0) + "  busy 12\n" + CARD.format(1))
        self.start()
        call, instance = self.serve_one()
        card = next(c for c in self.cards()["cards"] if c["slices"])
        self.assertEqual((card["simulated"], card["memoryMB"], card["usedMB"]), (False, 14336, 2048))
        self.assertEqual(card["instances"][0]["instanceId"], instance["instanceId"])
        table = self.cli("cards")
        self.assertIn("driver 580.95.05", table)
        self.assertIn(instance["instanceId"], table)
        self.assertEqual(json.loads(self.cli("--json", "cards"))["driverVersion"], "580.95.05")
        self.assertEqual(call.end().status, 200)

    def test_a_container_gets_its_card_and_the_shim_before_it(self):
        self.set_world(DRIVER + CARD.format(0) + CARD.format(1))
        self.start()
        call, instance = self.serve_one()
        root = Path(f"/proc/{instance['pid']}/root")
        number = instance["card"]["uuid"][-1]
        nodes = sorted(p.name for p in (root / "dev").iterdir() if p.name.startswith("nvidia"))
        self.assertEqual(nodes, [f"nvidia{number}", "nvidiactl"])
        lib, private = root / "usr/local/nvidia/lib64", root / "usr/local/nvidia/okibi"
        self.assertEqual(os.readlink(lib / "libcuda.so.1"), "libcuda.so.580.95.05")
        front = (lib / "libcuda.so.580.95.05").read_bytes()
        self.assertIn(b"/usr/local/nvidia/okibi/libokibi_shim.so", front)
        self.assertEqual((private / "libcuda.so.1").read_bytes(), Path(CUDA).read_bytes())
        self.assertEqual(sorted(p.name for p in private.iterdir()),
                         ["budget", "libcuda.so.1", "libnvidia-ml.so.1", "libokibi_shim.so"])
        budget = self.daemon.state / "gpu/budgets" / instance["instanceId"]
        self.assertTrue(budget.exists())
        self.assertEqual(call.end().status, 200)
        self.daemon.stop()
        self.assertFalse(budget.exists())

    def test_a_card_that_cannot_be_given_says_why(self):
        self.set_world(DRIVER + CARD.format(5))
        self.start()
        self.daemon.deploy("f", **GPU)
        answer = self.daemon.invoke("f")
        self.assertIn("no CDI file describes it", answer.text)

    def test_simulated_cards_stand_alone(self):
        self.set_world(DRIVER + CARD.format(0))
        self.start("--simulated-cards", "fc.gpu.ada.1=1")
        self.assertEqual([c["simulated"] for c in self.cards()["cards"]], [True])
        self.assertEqual(self.cards()["driverVersion"], "")
        self.assertIn("simulated", self.cli("cards"))

    def test_what_exceeds_its_slice_is_ended(self):
        self.set_world(DRIVER + CARD.format(0))
        self.start()
        call, instance = self.serve_one()
        within = f"  process {instance['pid']} {2 << 30}\n"
        self.set_world(DRIVER + CARD.format(0) + within)
        wait_for(lambda: self.cards()["cards"][0]["instances"][0].get("inUseMB") == 2048, what="a sample")
        self.assertEqual(self.daemon.instances("f")[0]["instanceId"], instance["instanceId"])
        self.set_world(DRIVER + CARD.format(0) + f"  process {instance['pid']} {6 << 30}\n")
        answer = answer_of(call)
        self.assertIn("exceeded its GPU memory", answer.text)
        self.assertIn("gpuMemorySize is 2048 MB, the driver reports 6144 MB", answer.text)
        self.assertIn("exceeded its GPU memory", self.daemon.log_text())
        self.set_world(DRIVER + CARD.format(0))
        self.assertEqual(self.daemon.invoke("f").status, 200)

    def test_where_the_driver_holds_limits_it_is_asked_to(self):
        self.set_world(DRIVER + CARD.format(0) + "  limits\n")
        self.start()
        call, instance = self.serve_one()
        held = lambda: self.cards()["cards"][0]["instances"][0].get("driverLimitMB")
        # A group of its own in version 2 is what the driver needs.
        unified = [line for line in Path(f"/proc/{instance['pid']}/cgroup").read_text().splitlines()
                   if line.startswith("0::")]
        if unified and len(unified[0]) > len("0::/"):
            self.assertEqual(wait_for(held, what="the driver's limit"), 2048 + 768)
        else:
            self.assertIsNone(held())
        self.assertEqual(call.end().status, 200)

    def test_a_fault_of_the_application_ends_the_instance_and_keeps_the_card(self):
        self.set_world(DRIVER + CARD.format(0))
        self.start()
        call, instance = self.serve_one()
        self.set_world("event 0 xid 31\n" + DRIVER + CARD.format(0))
        self.assertIn("Xid 31", answer_of(call).text)
        self.assertEqual(self.cards()["cards"][0]["takenOut"], "")
        self.assertEqual(self.daemon.invoke("f").status, 200)

    def test_a_card_that_failed_gets_no_more_work(self):
        self.set_world(DRIVER + CARD.format(0) + CARD.format(1))
        self.start()
        self.daemon.deploy("f", **GPU)
        answer = self.daemon.invoke("f")
        self.assertEqual(answer.status, 200, answer.text)
        uuid = self.daemon.instances("f")[0]["card"]["uuid"]
        self.set_world(f"event {uuid[-1]} xid 79\n" + DRIVER + CARD.format(0) + CARD.format(1))
        out = lambda: [c["uuid"] for c in self.cards()["cards"] if "fallen off" in c["takenOut"]]
        self.assertEqual(wait_for(out, what="the card taken out"), [uuid])
        self.assertEqual(self.daemon.invoke("f").status, 200)
        self.assertNotIn(uuid, [i["card"]["uuid"] for i in self.daemon.instances("f") if i["state"] == "ready"])


if __name__ == "__main__":
    if os.geteuid() != 0:
        print("cards: sandboxes need root")
        sys.exit(77)
    unittest.main(argv=[sys.argv[0], *sys.argv[5:]], verbosity=2)
