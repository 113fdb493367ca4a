"""The fast engine is step-equal to the reference in float32."""

from __future__ import annotations

import pytest
import torch

from evaluation.augment import KINDS, Draw
from evaluation.draws import draw_pass
from evaluation.fast import FastEngine
from evaluation.protocol import Protocol
from evaluation.reference import ReferenceEngine
from evaluation.resident import resident
from tests.evaluation.small import SMALL, small_train

STEPS = 50
BATCH = 16


@pytest.mark.parametrize("kind", KINDS)
def test_fifty_steps_equal_the_reference(kind: str) -> None:
    """Same initial weights, batches and draws give the same losses, each augmentation on its own.

    Training amplifies rounding, so two things hold: from the reference's own state each step equals its step to
    rounding, and running free the losses stay together.
    """
    train = resident(small_train(40), SMALL, torch.device("cpu"))
    protocol = Protocol(batch_size=BATCH)
    reference = ReferenceEngine(train, 10, protocol)
    free, led = (FastEngine(train, 10, protocol) for _ in range(2))
    for engine in (reference, free, led):
        engine.start(seed=1)
        engine.set_rate(protocol.lr)
    batches = [batch for index in range(20) for batch in draw_pass(1, index, len(train), BATCH).batches()][:STEPS]
    assert {len(index) for index, _ in batches} == {16, 8}
    for index, drawn in batches:
        expected, running, stepped = (
            engine.step(index, Draw(kind, drawn.uniforms)).clone() for engine in (reference, free, led)
        )
        torch.testing.assert_close(stepped, expected, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(running, expected, rtol=2e-2, atol=1e-4)
        for name, tensor in reference.state().items():
            torch.testing.assert_close(led.state()[name], tensor, rtol=1e-3, atol=2e-6)
        led.load(reference.state())
    assert expected < 1.5, "fifty steps learn something, or the test compares nothing"
