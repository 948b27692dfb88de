#!/usr/bin/env python3
"""make_weights.py OUT [SEED]: the classifier's weights, the same for a seed wherever they are made."""
import sys

import torch

import model


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    generator = torch.Generator().manual_seed(int(sys.argv[2]) if len(sys.argv) == 3 else 20)
    state = model.build().state_dict()
    for name in sorted(state):
        # As wide as the layer's input asks for, so that activations keep their size.
        width = state[name][0].numel() if state[name].dim() > 1 else state[name].numel()
        state[name] = torch.randn(state[name].shape, generator=generator) * (2.0 / max(width, 1)) ** 0.5
    torch.save(state, sys.argv[1])


if __name__ == "__main__":
    main()
