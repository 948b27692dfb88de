#!/usr/bin/env python3
"""make_image.py: what it writes is a valid layout with the files as they were."""
import gzip
import hashlib
import io
import json
import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import unittest

TOOL = pathlib.Path(__file__).with_name("make_image.py")


class MakeImage(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.root = self.folder / "root"
        (self.root / "bin").mkdir(parents=True)
        (self.root / "bin" / "app").write_text("program")
        (self.root / "bin" / "app").chmod(0o4755)
        os.link(self.root / "bin" / "app", self.root / "bin" / "same")
        (self.root / "link").symlink_to("bin/app")
        (self.root / "empty").mkdir(mode=0o700)
        os.utime(self.root / "bin" / "app", (1234567890, 1234567890))

    def make(self, *options, out="layout", layers=None):
        command = [sys.executable, TOOL, "--out", self.folder / out]
        for layer in layers or [self.root]:
            command += ["--layer", layer]
        return subprocess.run(command + list(options), capture_output=True, text=True, check=False)

    def blob(self, descriptor, out="layout"):
        data = (self.folder / out / "blobs/sha256" / descriptor["digest"].split(":")[1]).read_bytes()
        self.assertEqual(len(data), descriptor["size"])
        self.assertEqual("sha256:" + hashlib.sha256(data).hexdigest(), descriptor["digest"])
        return data

    def image(self, out="layout"):
        index = json.loads((self.folder / out / "index.json").read_text())
        manifest = json.loads(self.blob(index["manifests"][0], out))
        return index, manifest, json.loads(self.blob(manifest["config"], out))

    def test_every_digest_and_diff_id_is_right(self):
        self.assertEqual(self.make("--entrypoint", "/bin/app", "--env", "A=1=2", "--user", "1:2").returncode, 0)
        index, manifest, config = self.image()
        self.assertEqual(index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"], "latest")
        plain = gzip.decompress(self.blob(manifest["layers"][0]))
        self.assertEqual(config["rootfs"]["diff_ids"], ["sha256:" + hashlib.sha256(plain).hexdigest()])
        self.assertEqual(config["config"], {"Entrypoint": ["/bin/app"], "Env": ["A=1=2"], "User": "1:2"})

    def test_files_keep_mode_time_and_kind(self):
        self.make()
        _, manifest, _ = self.image()
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(self.blob(manifest["layers"][0])))) as tar:
            names = tar.getnames()
            self.assertEqual(names, ["bin", "bin/app", "bin/same", "empty", "link"])
            app, same = tar.getmember("bin/app"), tar.getmember("bin/same")
            self.assertEqual((app.mode, app.mtime), (0o4755, 1234567890))
            self.assertEqual(tar.extractfile(app).read(), b"program")
            self.assertEqual((same.type, same.linkname), (tarfile.LNKTYPE, "bin/app"))
            self.assertEqual(tar.getmember("link").linkname, "bin/app")
            self.assertEqual(tar.getmember("empty").mode, 0o700)

    def test_the_same_input_gives_the_same_image(self):
        self.make(out="a")
        self.make(out="b")
        self.assertEqual(self.image("a")[0], self.image("b")[0])

    def test_an_existing_layout_is_replaced_and_another_folder_is_not(self):
        self.assertEqual(self.make().returncode, 0)
        (self.root / "bin" / "app").write_text("another")
        self.assertEqual(self.make().returncode, 0)
        _, manifest, _ = self.image()
        self.assertEqual(len(list((self.folder / "layout/blobs/sha256").iterdir())), 3)
        self.assertIn(b"another", gzip.decompress(self.blob(manifest["layers"][0])))
        refused = self.make(out="root")
        self.assertEqual(refused.returncode, 2)
        self.assertIn("is not an OCI image layout", refused.stderr)
        self.assertTrue((self.root / "bin/app").exists())

    def test_bad_arguments_are_refused_and_nothing_is_left(self):
        for options, layers in (((), [self.folder / "missing"]), (("--env", "NOVALUE"), None)):
            self.assertEqual(self.make(*options, layers=layers).returncode, 2)
        self.assertEqual([path.name for path in self.folder.iterdir()], ["root"])


if __name__ == "__main__":
    unittest.main()
