"""Gathers requests of many threads into batches for one thread that computes.

A batch runs when it is full, or when its oldest request has waited long enough. Whoever submits waits for its own answer.
"""
import threading
import time


class Ticket:
    def __init__(self, item):
        self.item = item
        self.came = time.monotonic()
        self.answered = threading.Event()
        self.answer = None
        self.error = None


class Batcher:
    """`run(items)` gets a list of up to `most` items and returns as many answers, in order. It is called by one thread."""

    def __init__(self, run, most=8, wait=0.005):
        self._run, self._most, self._wait = run, most, wait
        self._waiting, self._changed, self._closed = [], threading.Condition(), False
        self.batches = 0
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def submit(self, item):
        """The answer for one item; raises what run() raised for its batch."""
        ticket = Ticket(item)
        with self._changed:
            if self._closed:
                raise RuntimeError("the server is stopping")
            self._waiting.append(ticket)
            self._changed.notify()
        ticket.answered.wait()
        if ticket.error is not None:
            raise ticket.error
        return ticket.answer

    def close(self):
        """Answers what is waiting, then ends."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _next(self):
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait()
            if not self._waiting:
                return []
            due = self._waiting[0].came + self._wait
            while len(self._waiting) < self._most and not self._closed:
                left = due - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(left)
            batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
            return batch

    def _work(self):
        while batch := self._next():
            self.batches += 1
            try:
                answers = self._run([ticket.item for ticket in batch])
                for ticket, answer in zip(batch, answers, strict=True):
                    ticket.answer = answer
            except Exception as error:  # the caller's to report: this thread serves the next batch
                for ticket in batch:
                    ticket.error = error
            for ticket in batch:
                ticket.answered.set()
