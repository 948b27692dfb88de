#!/usr/bin/env python3
"""Images as a user meets them: images_test.py OKIBI ECHO_BINARY [unittest arguments].

A real registry with passwords, images that must be refused, and a disk that is full.
"""

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
from daemon import API, Daemon, echo_layout, end_module, free_port, make_layout, wait_for  # noqa: E402

OKIBI, ECHO = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
USER, PASSWORD = "somebody", "secret"
PASSWORD_HASH = "$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a"  # bcrypt of PASSWORD


class Registry:
    """docker-registry on a loopback port, with one user."""

    def __init__(self, folder):
        self.folder, self.port = Path(folder), free_port()
        self.folder.mkdir()
        (self.folder / "htpasswd").write_text(f"{USER}:{PASSWORD_HASH}\n")
        (self.folder / "config.yml").write_text(json.dumps({
            "version": 0.1, "log": {"level": "error"},
            "storage": {"filesystem": {"rootdirectory": str(self.folder / "data")}},
            "http": {"addr": f"127.0.0.1:{self.port}"},
            "auth": {"htpasswd": {"realm": "test", "path": str(self.folder / "htpasswd")}}}))
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen(["docker-registry", "serve", self.folder / "config.yml"],
                                            stdout=log, stderr=log)

    def push(self, layout, name):
        target = f"127.0.0.1:{self.port}/{name}"
        copy = ["skopeo", "--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false",
                "--dest-creds", f"{USER}:{PASSWORD}", layout, "docker://" + target]
        wait_for(lambda: subprocess.run(copy, capture_output=True).returncode == 0, what="the push")
        return target

    def largest_blob(self):
        return max(self.folder.glob("data/docker/registry/v2/blobs/sha256/*/*/data"),
                   key=lambda path: path.stat().st_size)

    def close(self):
        self.process.kill()
        self.process.wait()


def setUpModule():
    global work, daemon, image
    work = tempfile.TemporaryDirectory(prefix="okibi-e2e-images-")
    image = echo_layout(work.name, ECHO)
    daemon = Daemon(OKIBI, image).start()


def tearDownModule():
    end_module(daemon, work)


def container(name, password=None):
    config = {"image": name}
    if password:
        config["registryConfig"] = {"authConfig": {"userName": USER, "password": password}}
    return {"customContainerConfig": config}


@unittest.skipUnless(shutil.which("docker-registry") and shutil.which("skopeo"),
                     "needs docker-registry and skopeo")
class PrivateRegistry(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(dir=work.name)
        self.registry = Registry(self.folder + "/registry")
        self.image = self.registry.push(image, "team/echo:v1")

    def tearDown(self):
        self.registry.close()

    def test_credentials_of_the_function(self):
        daemon.deploy("private", **container(self.image, PASSWORD))
        self.assertEqual(daemon.invoke("private", b"in").text, "in")
        got = daemon.request("GET", f"{API}/functions/private")
        self.assertIn("@sha256:", got.json["customContainerConfig"]["resolvedImageUri"])
        self.assertIn(USER, got.text)
        self.assertNotIn(PASSWORD, got.text)
        # The image is here: the registry is not needed for an update that keeps it, nor to call.
        for name, password in (("wrongpassword", "wrong"), ("nopassword", None)):
            made = daemon.deploy(name, expect="Failed", **container(self.image, password))
            self.assertIn(self.image, made.json["stateReason"])
            self.assertRegex(made.json["stateReason"].lower(), "unauthorized|authentication|denied")
            answer = daemon.invoke(name)
            self.assertEqual(answer.status, 412)
            self.assertIn(made.json["stateReason"], answer.json["Message"])

    def test_corrupt_layer(self):
        blob = self.registry.largest_blob()
        content = bytearray(blob.read_bytes())
        content[len(content) // 2] ^= 0xFF
        blob.write_bytes(content)
        # Another daemon: this one may have the layer already.
        with_nothing = Daemon(OKIBI, image).start()
        try:
            made = with_nothing.deploy("corrupt", expect="Failed", **container(self.image, PASSWORD))
            self.assertRegex(made.json["stateReason"].lower(), "corrupt|digest")
            self.assertEqual(list((with_nothing.state / "images/layers").iterdir()), [])
            self.assertEqual(list((with_nothing.state / "images/tmp").iterdir()), [])
            with_nothing.stop()
        finally:
            with_nothing.close()

    def test_registry_gone_and_image_gone(self):
        made = daemon.deploy("noimage", expect="Failed",
                             **container(self.image.replace("v1", "v9"), PASSWORD))
        self.assertIn("v9", made.json["stateReason"])
        self.registry.close()
        made = daemon.deploy("noregistry", expect="Failed", **container(self.image + "x", PASSWORD))
        self.assertIn("not reachable", made.json["stateReason"])


class BadLayouts(unittest.TestCase):
    def failed(self, name, reference):
        made = daemon.deploy(name, expect="Failed", **container(reference))
        self.assertEqual(made.json["stateReasonCode"], "ImagePullFailed")
        return made.json["stateReason"]

    def test_layer_that_leaves_the_image(self):
        for n, path in enumerate(("../../escaped", "/tmp/../../escaped", "a/../../../escaped")):
            tar = os.path.join(work.name, f"escape{n}.tar")
            with tarfile.open(tar, "w") as out:
                member = tarfile.TarInfo(path)
                member.size = 4
                out.addfile(member, io.BytesIO(b"evil"))
            reason = self.failed(f"escape{n}", make_layout(work.name, f"escape{n}", "--tar", tar))
            self.assertIn("escaped", reason)
        self.assertEqual(list(daemon.state.rglob("escaped")), [])
        self.assertFalse(os.path.exists("/escaped"))

    def test_layer_that_writes_through_a_link(self):
        tar = os.path.join(work.name, "link.tar")
        target = os.path.join(work.name, "outside")
        os.mkdir(target)
        with tarfile.open(tar, "w") as out:
            link = tarfile.TarInfo("door")
            link.type, link.linkname = tarfile.SYMTYPE, target
            out.addfile(link)
            member = tarfile.TarInfo("door/escaped")
            member.size = 4
            out.addfile(member, io.BytesIO(b"evil"))
        daemon.request("POST", f"{API}/functions", {
            "functionName": "link", "runtime": "custom-container", "handler": "h",
            **container(make_layout(work.name, "link", "--tar", tar))})
        wait_for(lambda: daemon.request("GET", f"{API}/functions/link").json["state"] != "Pending",
                 what="the end of the pull")
        self.assertEqual(os.listdir(target), [])

    def test_wrong_architecture(self):
        reason = self.failed("arm", make_layout(work.name, "arm", "--layer",
                                                os.path.dirname(ECHO), "--arch", "arm64"))
        self.assertIn("arm64", reason)
        self.assertIn("amd64" if os.uname().machine == "x86_64" else os.uname().machine, reason)

    def test_layer_that_is_not_what_its_digest_says(self):
        reference = make_layout(work.name, "changed", "--layer", os.path.dirname(ECHO))
        blobs = Path(work.name) / "changed/blobs/sha256"
        layer = max(blobs.iterdir(), key=lambda path: path.stat().st_size)
        content = bytearray(layer.read_bytes())
        content[len(content) // 2] ^= 1
        layer.write_bytes(content)
        self.assertNotEqual(hashlib.sha256(content).hexdigest(), layer.name)
        self.assertRegex(self.failed("changed", reference).lower(), "corrupt|digest")

    def test_layer_that_is_missing(self):
        reference = make_layout(work.name, "lacking", "--layer", os.path.dirname(ECHO))
        blobs = Path(work.name) / "lacking/blobs/sha256"
        max(blobs.iterdir(), key=lambda path: path.stat().st_size).unlink()
        self.assertIn("lacks", self.failed("lacking", reference))


class LayoutRoots(unittest.TestCase):
    """Which folders of the machine a function may name is the operator's to say."""

    def setUp(self):
        self.elsewhere = tempfile.TemporaryDirectory(prefix="okibi-e2e-elsewhere-")
        self.reference = echo_layout(self.elsewhere.name, ECHO)

    def tearDown(self):
        self.elsewhere.cleanup()

    def test_refused_until_imported(self):
        os.symlink(self.elsewhere.name, work.name + "/door")
        for path in (self.elsewhere.name, work.name + "/../" + os.path.basename(self.elsewhere.name),
                     work.name + "/door"):
            refused = daemon.deploy("foreign", **container(f"oci:{path}/echo:latest"))
            self.assertEqual((refused.status, refused.json["Code"]), (400, "InvalidArgument"))
            self.assertIn("images.layoutRoots", refused.json["Message"])
        imported = subprocess.run(
            [OKIBI, "--endpoint", f"127.0.0.1:{daemon.port}", "image", "import",
             self.reference.removeprefix("oci:")], capture_output=True, text=True)
        self.assertEqual(imported.returncode, 0, imported.stderr)
        shutil.rmtree(self.elsewhere.name + "/echo")  # what is imported is the daemon's
        daemon.deploy("foreign", **container(self.reference))
        self.assertEqual(daemon.invoke("foreign", b"mine").text, "mine")


@unittest.skipUnless(os.geteuid() == 0, "mounts need root")
class FullDisk(unittest.TestCase):
    """The state directory on a small disk of its own."""

    def setUp(self):
        self.daemon = Daemon(OKIBI, image)
        self.daemon.state.mkdir()
        disk = Path(self.daemon.directory.name) / "disk"
        with open(disk, "wb") as file:
            file.truncate(96 << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", disk], check=True)
        subprocess.run(["mount", "-o", "loop", disk, self.daemon.state], check=True)

    def tearDown(self):
        if self.daemon.process and self.daemon.process.poll() is None:
            self.daemon.kill()
        # What the daemon's sandboxes had mounted goes a little after them.
        wait_for(lambda: subprocess.run(["umount", self.daemon.state], capture_output=True).returncode == 0,
                 what="the disk's unmount")
        self.daemon.close()

    def fill(self):
        """Leaves less than a megabyte."""
        with open(self.daemon.state / "ballast", "wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"\1" * (1 << 20))
            except OSError:
                pass

    def test_pull_is_refused_and_what_runs_goes_on(self):
        self.daemon.start()
        self.daemon.deploy("here")
        self.assertEqual(self.daemon.invoke("here", b"a").text, "a")
        big = os.path.join(work.name, "random")
        os.mkdir(big)
        with open(big + "/file", "wb") as file:
            file.write(os.urandom(120 << 20))
        made = self.daemon.deploy("big", expect="Failed", **container(
            make_layout(work.name, "toobig", "--layer", big, "--level", "1")))
        self.assertRegex(made.json["stateReason"].lower(), "disk|space")
        self.assertEqual(list((self.daemon.state / "images/tmp").iterdir()), [])
        self.assertEqual(self.daemon.invoke("here", b"b").text, "b")
        self.daemon.stop()

    def test_calls_that_cannot_be_billed_are_not_answered_and_none_is_lost(self):
        self.daemon.start()
        self.daemon.deploy("here")
        self.assertEqual(self.daemon.invoke("here", b"a").status, 200)
        before = self.daemon.usage("here")["calls"]
        self.fill()
        answered, refused = 0, None
        for _ in range(3000):
            try:
                answer = self.daemon.invoke("here", b"x" * 100)
            except OSError:
                break  # the daemon ended rather than give away what it cannot bill
            if answer.status != 200:
                refused = answer
                break
            answered += 1
        self.assertTrue(refused or self.daemon.process.poll() is not None, "the disk was never full")
        if refused is not None:
            self.assertGreaterEqual(refused.status, 429)
        (self.daemon.state / "ballast").unlink()
        if self.daemon.process.poll() is not None:
            self.daemon.start()
        wait_for(lambda: self.daemon.invoke("here", b"c").status == 200, what="a call with room again")
        self.assertGreaterEqual(self.daemon.usage("here")["calls"], before + answered + 1)
        self.daemon.stop()


if __name__ == "__main__":
    if os.geteuid() != 0:
        print("images_test: sandboxes need root")
        sys.exit(77)
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)
