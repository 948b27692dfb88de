#!/usr/bin/env python3
"""Model directories, as two accounts and their operator see them: models_test.py OKIBI ECHO_BINARY [unittest arguments].

Functions are deployed by the command line; what a container sees of its directories, the echo example tells.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
from daemon import API, Daemon, echo_layout, end_module, free_port, wait_for  # noqa: E402

OKIBI, ECHO = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
OTHER = "2000000000000002"
WEB = {"triggerName": "web", "triggerType": "http",
       "triggerConfig": {"authType": "anonymous", "methods": ["GET", "POST"]}}


def setUpModule():
    global work, models, daemon, image, keys
    work = tempfile.TemporaryDirectory(prefix="okibi-e2e-models-")
    models = Path(work.name, "srv/models")
    (models / "llama/v1").mkdir(parents=True)
    (models / "llama/v1/weights").write_text("one")
    Path(work.name, "srv/private").mkdir()
    Path(work.name, "srv/private/weights").write_text("of the other")
    image = echo_layout(work.name, ECHO)
    daemon = Daemon(OKIBI, image, "--model-root", f"weights={models}",
                    "--model-root", f"private={work.name}/srv/private:{OTHER}")
    daemon.access = []
    daemon.start()
    keys = {"admin": found_key(daemon.log_text())}
    made = cli("admin", "account", "create", OTHER)
    assert made.returncode == 0, made.stderr
    keys["other"] = found_key(made.stdout)


def tearDownModule():
    end_module(daemon, work)


def found_key(text):
    return re.search(r"Access key ID: +(\S+)\n +Access key secret: +(\S+)", text).groups()


def cli(who, *words):
    key_id, secret = keys[who]
    return subprocess.run([OKIBI, *words], capture_output=True, text=True, timeout=300, cwd=work.name, env={
        "PATH": os.environ["PATH"], "HOME": work.name, "OKIBI_ENDPOINT": f"127.0.0.1:{daemon.port}",
        "OKIBI_ACCESS_KEY_ID": key_id, "OKIBI_ACCESS_KEY_SECRET": secret})


def s_yaml(name, directories, **more):
    props = {"functionName": name, "runtime": "custom-container", "cpu": 0.5, "memorySize": 512, "timeout": 60,
             "instanceConcurrency": 1, "customContainerConfig": {"image": image, "port": 9000}, "triggers": [WEB], **more}
    if directories is not None:
        props["okibi"] = {"modelDirectories": directories}
    path = Path(work.name, name + ".yaml")
    path.write_text(json.dumps({"edition": "3.0.0", "name": "test", "resources": {
        "one": {"component": "fc3", "props": props}}}))  # JSON is YAML
    return str(path)


class Models(unittest.TestCase):
    def deploy(self, name, directories, who="admin", **more):
        done = cli(who, "deploy", "-f", s_yaml(name, directories, **more))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.addCleanup(cli, who, "rm", name)
        return re.search(r"trigger web http://([^/\s]+)", done.stdout)[1]

    def refused(self, directories, *words, who="admin"):
        done = cli(who, "deploy", "-f", s_yaml("bad", directories))
        self.assertNotEqual(done.returncode, 0)
        for word in ("InvalidArgument", *words):
            self.assertIn(word, done.stderr)
        self.assertNotIn(work.name, done.stderr, "shows the host")

    def get(self, host, path):
        return daemon.request("GET", path, headers={"Host": host})

    def read(self, host, path):
        """The text of a file in the container; None: it is not there."""
        answer = self.get(host, "/read?path=" + path)
        return answer.text if answer.status == 200 else None

    def function(self, name, who="admin"):
        return json.loads(cli(who, "--json", "info", name).stdout)["function"]

    def test_read_but_not_written(self):
        host = self.deploy("reads", [{"name": "weights", "subdirectory": "llama/v1", "mountDir": "/models/llama"}])
        self.assertEqual(self.read(host, "/models/llama/weights"), "one")
        written = daemon.request("POST", "/write?path=/models/llama/new", b"x", {"Host": host}).json
        self.assertIn("Read-only", written["error"])
        (models / "llama/v1/added").write_text("while it runs")
        self.assertEqual(self.read(host, "/models/llama/added"), "while it runs")
        self.assertEqual(self.function("reads")["okibi"], {"modelDirectories": [
            {"name": "weights", "subdirectory": "llama/v1", "mountDir": "/models/llama"}]})
        self.assertIn("weights/llama/v1 at /models/llama", cli("admin", "info", "reads").stdout)

    def test_a_deploy_without_the_section_keeps_it_and_another_replaces_the_instances(self):
        host = self.deploy("keeps", [{"name": "weights", "mountDir": "/models"}])
        self.assertEqual(self.read(host, "/models/llama/v1/weights"), "one")
        first = json.loads(cli("admin", "--json", "ps").stdout)["instances"]
        self.deploy("keeps", None, description="as `s` deploys it, which knows no such section")
        self.assertEqual(self.function("keeps")["okibi"]["modelDirectories"][0]["mountDir"], "/models")
        self.assertEqual(self.read(host, "/models/llama/v1/weights"), "one")
        self.deploy("keeps", [{"name": "weights", "mountDir": "/elsewhere"}])
        self.assertEqual(self.read(host, "/elsewhere/llama/v1/weights"), "one")
        self.assertIsNone(self.read(host, "/models/llama/v1/weights"))
        live = lambda: {i["instanceId"] for i in json.loads(cli("admin", "--json", "ps").stdout)["instances"]}
        wait_for(lambda: not live() & {i["instanceId"] for i in first}, what="the end of what saw the old folder")
        self.deploy("keeps", [])
        self.assertIsNone(self.read(host, "/elsewhere/llama/v1/weights"))
        self.assertNotIn("okibi", self.function("keeps"))

    def test_a_root_is_for_its_accounts(self):
        mine = [{"name": "private", "mountDir": "/models"}]
        self.refused(mine, "okibi.modelDirectories[0].name: 'private' is unknown; this account may use: weights")
        self.refused([{"name": "nowhere", "mountDir": "/models"}], "may use: weights, private", who="other")
        host = self.deploy("theirs", mine, who="other")
        self.assertEqual(self.read(host, "/models/weights"), "of the other")

    def test_what_is_wrong_is_named(self):
        one = lambda **more: [{"name": "weights", "mountDir": "/models", **more}]
        self.refused(one(subdirectory="../private"), "okibi.modelDirectories[0].subdirectory: '../private'")
        self.refused(one(mountDir="/etc/ssl"), "okibi.modelDirectories[0].mountDir: '/etc/ssl'", "/models")
        self.refused(one() + one(mountDir="/models/b"), "okibi.modelDirectories[1].mountDir", "in one another")
        self.refused([{"name": "weights"}], "okibi.modelDirectories[0].mountDir: is required")
        misspelt = cli("admin", "deploy", "-f", s_yaml("bad", one(subDirectory="llama")))
        self.assertIn("did you mean 'subdirectory'", misspelt.stderr)

    def test_a_directory_that_went_away_fails_the_start_and_its_return_mends_it(self):
        (models / "gone").mkdir()
        host = self.deploy("loses", [{"name": "weights", "subdirectory": "gone", "mountDir": "/models"}])
        (models / "gone").rmdir()
        answer = self.get(host, "/read?path=/models")
        self.assertGreaterEqual(answer.status, 400)
        self.assertIn("model directories: 'gone' in the model root 'weights': No such file or directory", answer.text)
        self.assertNotIn(work.name, answer.text, "shows the host")
        (models / "gone").symlink_to("/etc")
        self.assertIn("leads out of it", self.eventually(host, lambda text: "leads out of it" in text))
        (models / "gone").unlink()
        (models / "gone").mkdir()
        (models / "gone/file").write_text("back")
        self.assertIn("back", self.eventually(host, lambda text: "back" in text, "/models/file"))

    def eventually(self, host, condition, path="/models"):
        """After failed starts the planner waits before the next."""
        def ask():
            text = self.get(host, "/read?path=" + path).text
            return text if condition(text) else None
        return wait_for(ask, what="the next start")


class Operator(unittest.TestCase):
    """What is wrong with the configuration ends `okibi serve` at once, and says so."""

    def fails(self, *flags, saying):
        done = subprocess.run([OKIBI, "serve", "--listen", f"127.0.0.1:{free_port()}", "--state-dir",
                               work.name + "/operator", *flags], capture_output=True, text=True, timeout=60)
        self.assertIn(done.returncode, (1, 2), done.stdout)
        self.assertIn(saying, done.stderr)

    def test_bad_roots(self):
        self.fails("--model-root", "a=/no/such/folder", saying="modelRoots.a: '/no/such/folder': No such file")
        self.fails("--model-root", f"a={ECHO}", saying="is not a directory")
        self.fails("--model-root", "a=relative", saying="modelRoots.a: 'relative' is not an absolute path")
        self.fails("--model-root", "a", saying="'a' is not NAME=PATH")
        self.fails("--model-root", "a=/srv", "--model-root", "a=/srv", saying="modelRoots.a: is there twice")
        self.fails("--model-root", f"a={work.name}", saying="state directory")
        self.fails("--model-root", f"a={models}", "--runtime", "process", saying="read-only")

    def test_a_root_that_is_approved_no_more(self):
        folder = Path(work.name, "srv/later")
        folder.mkdir()
        one = Daemon(OKIBI, image, "--model-root", f"later={folder}")
        self.addCleanup(one.close)
        one.start()
        made = one.deploy("f", okibi={"modelDirectories": [{"name": "later", "mountDir": "/models"}]})
        self.assertEqual(made.status, 200)
        self.assertEqual(one.invoke("f").status, 200)
        one.stop()
        one.flags = ()
        one.start()
        answer = one.invoke("f")
        self.assertIn("okibi.modelDirectories[0].name: 'later' is unknown", answer.text)
        mended = one.request("PUT", f"{API}/functions/f", {"okibi": {"modelDirectories": []}})
        self.assertEqual(mended.status, 200, mended.text)
        wait_for(lambda: one.invoke("f").status == 200, what="a start without it")
        one.stop()
        shutil.rmtree(folder)


if __name__ == "__main__":
    if os.geteuid() != 0:
        print("models_test: sandboxes need root")
        sys.exit(77)
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)
