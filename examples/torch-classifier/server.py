#!/usr/bin/env python3
"""Classifies images with PyTorch, up to eight requests in one pass.

POST /invoke   3072 bytes: an image of 32 by 32 pixels, planes of red, green and blue -> class, scores, size of the batch
GET  /memory   what PyTorch says its card has: the slice
GET  /healthz

On a card if PyTorch sees one, else on the CPU; OKIBI_REQUIRE_GPU=1 makes the latter an error, which every request then gets
with its reason. WEIGHTS names the file that make_weights.py wrote.
"""
import json
import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from batcher import Batcher

MOST, WAIT = 8, 0.005


class Classifier:
    """Loads when asked to (the initializer), once."""

    def __init__(self):
        self._lock, self.problem, self.device, self.batcher = threading.Lock(), None, None, None

    def load(self):
        with self._lock:
            if self.batcher or self.problem:
                return
            try:
                self._load()
            except Exception as error:  # every request is told why
                self.problem = f"the model cannot be loaded: {error}"
                print(self.problem, file=sys.stderr, flush=True)

    def _load(self):
        import torch

        import model

        if torch.cuda.is_available():
            self.device = torch.device("cuda:0")
        elif os.environ.get("OKIBI_REQUIRE_GPU") == "1":
            raise RuntimeError("PyTorch sees no card: give the function a gpuConfig, on a machine with a card, "
                               "and an image whose PyTorch is built for CUDA")
        else:
            self.device = torch.device("cpu")
        weights = os.environ.get("WEIGHTS", str(Path(__file__).with_name("weights.pt")))
        network = model.load(weights, self.device)
        self.batcher = Batcher(lambda images: [(scores, len(images)) for scores in
                                               model.classify(network, self.device, images)], MOST, WAIT)
        print(f"model on {self.device}", flush=True)

    def memory(self):
        import torch

        if self.device is None or self.device.type != "cuda":
            return {"device": str(self.device)}
        free, total = torch.cuda.mem_get_info()
        return {"device": torch.cuda.get_device_name(), "free": free, "total": total}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    classifier = None

    def answer(self, status, content):
        body = json.dumps(content).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/memory":
            self.classifier.load()
            return self.answer(200, self.classifier.memory())
        self.answer(200 if self.path == "/healthz" else 404, {})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/pre-stop":
            return self.answer(200, {})
        self.classifier.load()
        if self.classifier.problem:
            return self.answer(503, {"error": self.classifier.problem})
        if self.path == "/initialize":
            return self.answer(200, {})
        if len(body) != 3072:
            return self.answer(400, {"error": f"the body has {len(body)} bytes, must have 3072 (3 planes of 32 by 32)"})
        try:
            scores, size = self.classifier.batcher.submit(body)
        except Exception as error:
            return self.answer(500, {"error": str(error)})
        best = max(range(len(scores)), key=scores.__getitem__)
        self.answer(200, {"class": best, "scores": [round(score, 6) for score in scores], "batchSize": size})

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


def main():
    Handler.classifier = Classifier()
    server = Server(("", int(os.environ.get("FC_CUSTOM_LISTEN_PORT", "9000"))), Handler)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever()
    if Handler.classifier.batcher:
        Handler.classifier.batcher.close()


if __name__ == "__main__":
    main()
