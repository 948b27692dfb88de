#!/usr/bin/env python3
"""Custom domains and TLS on the real daemon: domains_test.py OKIBI ECHO_BINARY [unittest arguments]."""

import http.client
import os
import re
import socket
import ssl
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
from daemon import API, Answer, Daemon, echo_layout, end_module, free_port, self_signed, wait_for  # noqa: E402

OKIBI, ECHO = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
A, B = "a.shop.example", "b.shop.example"


def make_pair(name, stem=None):
    return self_signed(work.name, stem or name, f"DNS:{name}")


def cert_config(files, name="c"):
    certificate, key = (Path(f).read_text() for f in files)
    return {"certName": name, "certificate": certificate, "privateKey": key}


def setUpModule():
    global work, daemon, tls_port, own
    work = tempfile.TemporaryDirectory(prefix="okibi-e2e-domains-")
    image = echo_layout(work.name, ECHO)
    tls_port = free_port()
    own = make_pair("api.own.example", "own")
    daemon = Daemon(OKIBI, image, "--listen-tls", f"127.0.0.1:{tls_port}", "--tls-certificate", own[0],
                    "--tls-key", own[1]).start()
    daemon.deploy("shop", instanceConcurrency=20)
    for name in (A, B):
        made = daemon.request("POST", f"{API}/custom-domains", {
            "domainName": name, "protocol": "HTTP,HTTPS" if name == A else "HTTPS",
            "certConfig": cert_config(make_pair(name)), "routeConfig": {"routes": [
                {"path": "/*", "functionName": "shop", "rewriteConfig": {
                    "wildcardRules": [{"match": "^/api/*", "replacement": f"/{name[0]}/$1"}]}}]}})
        assert made.status == 200, made.text


def tearDownModule():
    end_module(daemon, work)


def curl(url, *options):
    """(status, body) as curl sees it, certificates checked against the ones made here."""
    names = [f"{n}:{p}:127.0.0.1" for n in (A, B, "api.own.example") for p in (daemon.port, tls_port)]
    resolve = [word for name in names for word in ("--resolve", name)]
    done = subprocess.run(["curl", "-sS", "-o", "-", "-w", "\n%{http_code}", *resolve, *options, url],
                          capture_output=True, text=True, timeout=120)
    if done.returncode:
        return done.returncode, done.stderr
    body, _, status = done.stdout.rpartition("\n")
    return int(status), body


def ca(name):
    return ["--cacert", os.path.join(work.name, name + ".crt")]


def connect(name):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(socket.create_connection(("127.0.0.1", tls_port), timeout=120), server_hostname=name)


def certificate_of(name):
    with connect(name) as connection:
        return ssl.DER_cert_to_PEM_cert(connection.getpeercert(True)).strip()


def hold(name):
    connection = connect(name)
    before = daemon.in_flight("shop")
    connection.sendall(f"POST / HTTP/1.1\r\nHost: {name}\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nheld\r\n".encode())
    wait_for(lambda: daemon.in_flight("shop") > before, what="the held request's instance")
    return connection


def finish(connection):
    connection.sendall(b"0\r\n\r\n")
    response = http.client.HTTPResponse(connection)
    response.begin()
    answer = Answer(response)
    connection.close()
    return answer


class Domains(unittest.TestCase):
    def test_each_name_has_its_certificate_and_its_rewriting(self):
        for name in (A, B):
            status, body = curl(f"https://{name}:{tls_port}/api/x/y?inspect=1", *ca(name))
            self.assertEqual(status, 200, body)
            self.assertIn(f'"target":"/{name[0]}/x/y?inspect=1"', body.replace(" ", ""))
        # curl's 60: not the certificate that was asked for.
        self.assertEqual(curl(f"https://{A}:{tls_port}/", *ca(B))[0], 60)

    def test_protocols(self):
        self.assertEqual(curl(f"http://{A}:{daemon.port}/")[0], 200)
        status, _ = curl(f"http://{B}:{daemon.port}/x?y")
        self.assertEqual(status, 301)
        followed = curl(f"http://{B}:{daemon.port}/x?inspect=1", "-L", *ca(B))
        self.assertEqual(followed[0], 200)
        self.assertIn('"/x?inspect=1"', followed[1])
        posted = curl(f"http://{B}:{daemon.port}/x", "-L", "-d", "kept", *ca(B))
        self.assertEqual(posted, (200, "kept"))
        old = curl(f"https://{A}:{tls_port}/", "--tls-max", "1.1", *ca(A))
        self.assertEqual(old[0], 35, old)

    def test_the_api_is_below_its_own_name_only(self):
        status, body = curl(f"https://api.own.example:{tls_port}{API}/functions", *ca("own"))
        # Without signatures only loopback names are served.
        self.assertEqual(status, 403, body)
        status, body = curl(f"https://{A}:{tls_port}{API}/functions?inspect=1", *ca(A))
        self.assertIn(f'"{API}/functions?inspect=1"', body)
        taken = daemon.request("POST", f"{API}/custom-domains", {"domainName": "api.own.example"})
        self.assertEqual((taken.status, taken.json["Code"]), (400, "InvalidArgument"))

    def test_a_connection_for_one_name_does_not_reach_another(self):
        status, body = curl(f"https://{A}:{tls_port}/", "-H", f"Host: {B}", *ca(A))
        self.assertEqual(status, 421, body)

    def test_a_renewed_certificate_counts_at_once_and_cuts_nothing(self):
        held = hold(A)
        before = certificate_of(A)
        renewed = cert_config(make_pair(A, "renewed"))
        answer = daemon.request("PUT", f"{API}/custom-domains/{A}", {"certConfig": renewed})
        self.assertEqual(answer.status, 200, answer.text)
        self.assertNotIn("privateKey", answer.json["certConfig"])
        self.assertNotEqual(certificate_of(A), before)
        self.assertEqual(certificate_of(A), renewed["certificate"].strip())
        self.assertEqual(finish(held).text, "held")
        os.replace(os.path.join(work.name, "renewed.crt"), os.path.join(work.name, A + ".crt"))
        os.replace(os.path.join(work.name, "renewed.key"), os.path.join(work.name, A + ".key"))

    def test_the_daemons_own_files_are_read_again(self):
        held = hold(A)
        new = make_pair("api.own.example", "own-new")
        wanted = Path(new[0]).read_text().strip()
        os.replace(new[0], own[0])  # for a while the two do not fit: the old pair goes on
        self.assertEqual(curl(f"https://{B}:{tls_port}/", *ca(B))[0], 200)
        os.replace(new[1], own[1])
        wait_for(lambda: certificate_of("api.own.example") == wanted, what="the new certificate")
        self.assertEqual(finish(held).text, "held")

    def test_a_caller_who_leaves_frees_the_slot(self):
        hold(A).close()
        wait_for(lambda: not daemon.in_flight("shop"), what="the slot")

    def test_streams_both_ways(self):
        connection = connect(A)
        connection.sendall(f"POST /duplex HTTP/1.1\r\nHost: {A}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        got = b""
        for piece in (b"one", b"two", b"six"):
            connection.sendall(b"3\r\n" + piece + b"\r\n")
            while piece not in got:  # it comes back before the next is sent
                got += connection.recv(4096)
        connection.sendall(b"0\r\n\r\n")
        while not got.endswith(b"0\r\n\r\n"):
            got += connection.recv(4096)
        connection.close()

    def test_large_bodies(self):
        body = os.urandom(8 << 20)
        connection = connect(A)
        connection.sendall(f"POST / HTTP/1.1\r\nHost: {A}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        response = http.client.HTTPResponse(connection)
        response.begin()
        self.assertEqual(response.read(), body)
        connection.close()

    def test_websocket(self):
        connection = connect(A)
        connection.sendall((f"GET /ws HTTP/1.1\r\nHost: {A}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n").encode())
        got = b""
        while b"\r\n\r\n" not in got:
            got += connection.recv(4096)
        self.assertRegex(got.decode("latin1"), re.compile("101.*s3pPLMBiTxaQ9kYGzzhZRbK\\+xOo=", re.S))
        mask, text = b"\1\2\3\4", b"hello"
        connection.sendall(bytes([0x81, 0x80 | len(text)]) + mask + bytes(c ^ mask[i % 4] for i, c in enumerate(text)))
        got = got.partition(b"\r\n\r\n")[2]
        while b"hello" not in got:
            got += connection.recv(4096)
        connection.close()

    def test_commands(self):
        cli = lambda *words: subprocess.run([OKIBI, *words, "--endpoint", f"127.0.0.1:{daemon.port}"],
                                            capture_output=True, text=True, timeout=120, cwd="/")
        name = "c.shop.example"
        make_pair(name)
        file = Path(work.name) / "s.yaml"
        file.write_text(f"""edition: 3.0.0
name: shop
resources:
  shop:
    component: fc3
    props:
      region: local
      functionName: shop
      runtime: custom-container
      cpu: 0.5
      memorySize: 512
      diskSize: 512
      timeout: 120
      instanceConcurrency: 20
      customContainerConfig:
        image: {daemon.image}
      customDomain:
        domainName: {name}
        protocol: HTTP,HTTPS
        route:
          path: /only/*
          methods: [GET]
        certConfig:
          certName: mine
          certificate: ./{name}.crt
          privateKey: ./{name}.key
""")
        done = cli("deploy", "-f", str(file))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f"custom domain {name}", done.stdout)
        file.write_text(file.read_text().replace("/only/*", "/more"))
        self.assertEqual(cli("deploy", "-f", str(file)).returncode, 0)
        self.assertIn(name, cli("domain", "ls").stdout)
        shown = cli("domain", "info", name).stdout
        for word in ("/only/* -> shop:LATEST (GET)", "/more -> shop:LATEST", "mine"):
            self.assertIn(word, shown)
        self.assertEqual(cli("domain", "rm", name).returncode, 0)
        self.assertIn("DomainNameNotFound", cli("domain", "rm", name).stderr)

    def test_domains_are_there_after_a_restart(self):
        daemon.stop()
        daemon.start()
        self.assertEqual(curl(f"https://{B}:{tls_port}/", *ca(B))[0], 200)


if __name__ == "__main__":
    if os.geteuid() != 0:
        print("domains_test: sandboxes need root")
        sys.exit(77)
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)
