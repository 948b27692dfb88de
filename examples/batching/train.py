#!/usr/bin/env python3
"""Trains the classifier and writes weights.h. Seeded, standard library only: the same file each time.

The task is made up, small and honest: sentences from a grammar of five kinds of support mail, hashed
words in, one hidden layer, five classes out. It prints the accuracy on sentences it has not seen.
"""
import math
import os
import random

CLASSES = {
    "billing": ["invoice", "charge", "refund", "price", "payment", "card", "receipt", "cost", "billed", "euro"],
    "outage": ["down", "error", "crash", "timeout", "unreachable", "broken", "failed", "outage", "slow", "dead"],
    "account": ["password", "login", "email", "account", "username", "locked", "profile", "reset", "name", "key"],
    "praise": ["great", "thanks", "love", "wonderful", "perfect", "happy", "nice", "excellent", "helpful", "best"],
    "question": ["how", "where", "documentation", "possible", "example", "explain", "guide", "tutorial", "which", "help"],
}
FILLER = ("the a my our is was it this that please with for on in of to and again since today we i you have "
          "function model server after before week still just service").split()
BUCKETS, HIDDEN = 512, 32


def bucket(word):
    value = 2166136261  # FNV-1a, as in model.cc
    for byte in word.encode():
        value = ((value ^ byte) * 16777619) & 0xFFFFFFFF
    return value % BUCKETS


def sentence(rng, label):
    words = rng.choices(list(CLASSES.values())[label], k=rng.randint(1, 3))
    words += rng.choices(FILLER, k=rng.randint(3, 9))
    if rng.random() < 0.25:  # a word of another class: nothing is that easy
        words.append(rng.choice(list(CLASSES.values())[rng.randrange(len(CLASSES))]))
    rng.shuffle(words)
    return [bucket(word) for word in words]


def forward(net, words):
    w1, b1, w2, b2 = net
    hidden = [max(0.0, b1[h] + sum(w1[w][h] for w in words) / len(words)) for h in range(HIDDEN)]
    scores = [b2[c] + sum(w2[h][c] * hidden[h] for h in range(HIDDEN)) for c in range(len(b2))]
    top = max(scores)
    exps = [math.exp(s - top) for s in scores]
    return hidden, [e / sum(exps) for e in exps]


def step(net, words, label, rate):
    w1, b1, w2, b2 = net
    hidden, probabilities = forward(net, words)
    delta = [p - (c == label) for c, p in enumerate(probabilities)]
    back = [sum(w2[h][c] * delta[c] for c in range(len(b2))) if hidden[h] > 0 else 0.0 for h in range(HIDDEN)]
    for h in range(HIDDEN):
        for c in range(len(b2)):
            w2[h][c] -= rate * delta[c] * hidden[h]
        b1[h] -= rate * back[h]
    for c in range(len(b2)):
        b2[c] -= rate * delta[c]
    for w in words:
        for h in range(HIDDEN):
            w1[w][h] -= rate * back[h] / len(words)


def write_header(path, net):
    w1, b1, w2, b2 = net
    flat = {"kInput": [x for row in w1 for x in row], "kHiddenBias": b1,
            "kOutput": [x for row in w2 for x in row], "kOutputBias": b2}
    with open(path, "w", encoding="ascii") as out:
        out.write("// Written by train.py; do not edit.\n#pragma once\n\nnamespace batching::weights {\n\n")
        out.write(f"inline constexpr int kBuckets = {BUCKETS};\ninline constexpr int kHidden = {HIDDEN};\n")
        names = ", ".join(f'"{name}"' for name in CLASSES)
        out.write(f"inline constexpr const char* kClasses[] = {{{names}}};\n")
        for name, values in flat.items():
            out.write(f"inline constexpr float {name}[] = {{\n")
            for at in range(0, len(values), 16):
                out.write("    " + " ".join(f"{v:.4g}f," if "." in f"{v:.4g}" or "e" in f"{v:.4g}" else f"{v:.1f}f,"
                                            for v in values[at:at + 16]) + "\n")
            out.write("};\n")
        out.write("\n}  // namespace batching::weights\n")


def main():
    rng = random.Random(20)
    n = len(CLASSES)
    net = ([[rng.gauss(0, 0.5) for _ in range(HIDDEN)] for _ in range(BUCKETS)], [0.0] * HIDDEN,
           [[rng.gauss(0, 0.3) for _ in range(n)] for _ in range(HIDDEN)], [0.0] * n)
    used = set()
    for count in range(12000):
        label = rng.randrange(n)
        words = sentence(rng, label)
        used.update(words)
        step(net, words, label, 0.15 * (1 - count / 12000) + 0.01)
    for w in set(range(BUCKETS)) - used:  # words never seen say nothing
        net[0][w] = [0.0] * HIDDEN
    right = 0
    for _ in range(2000):
        label = rng.randrange(n)
        _, probabilities = forward(net, sentence(rng, label))
        right += max(range(n), key=probabilities.__getitem__) == label
    write_header(os.path.join(os.path.dirname(os.path.abspath(__file__)), "weights.h"), net)
    print(f"accuracy on 2000 unseen sentences: {right / 20:.1f} %")


if __name__ == "__main__":
    main()
