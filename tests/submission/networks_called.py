"""Whether what a generator says can be compiled is what it calls."""

from __future__ import annotations

from torch import Tensor

from submission.contract.generator import Generator


def all_are_called(generator: Generator, labels_B: Tensor, seeds_B: Tensor, steps: int) -> bool:
    """Whether every network of `generator` is called, as a module, while it makes these images."""
    called = set()
    networks = list(generator.networks())
    for number, network in enumerate(networks):
        network.register_forward_hook(lambda *_, number=number: called.add(number))
    generator.generate(labels_B, seeds_B, steps)
    return len(networks) > 0 and called == set(range(len(networks)))
