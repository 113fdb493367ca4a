"""The order of a job's images."""

from __future__ import annotations

import time
from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from evaluation.base.challenge import get_challenge
from submission.contract.generator import LoadContext
from submission.contract.job import Job
from submission.generators.noise import Noise
from submission.generators.real import Real
from submission.worker.source import Source, as_asked, interleaved, load_generator


@given(classes=st.integers(1, 50), cut=st.integers(0, 500))
def test_a_cut_leaves_classes_within_one_image(classes: int, cut: int) -> None:
    counts = [0] * classes
    for label, index in islice(interleaved(classes, None), cut):
        assert index == counts[label]
        counts[label] += 1
    assert max(counts) - min(counts) <= 1


def test_it_stops_at_the_cap() -> None:
    assert list(interleaved(2, 2)) == [(0, 0), (1, 0), (0, 1), (1, 1)]


@pytest.mark.parametrize(
    ("ipc", "pda", "end", "generated"),
    [
        (None, 1, "exhausted", 30),
        (4, 1, "exhausted", 30),
        (3, 1, "ipc", 30),
        (2, 1, "ipc", 20),
        (6, 2, "ipc", 30),
        (7, 2, "exhausted", 30),
    ],
)
def test_a_selector_is_exhausted_only_where_it_has_fewer_choices_than_the_cap(
    ipc: int | None, pda: int, end: str, generated: int
) -> None:
    selector = Real(np.zeros((3, 3, 32, 32), np.uint8), [np.arange(3)] * 10)
    source = Source(selector, Job("digits", "real", "", "", 0.0, ipc=ipc, pda=pda), get_challenge("digits"))
    assert (len(source.take(1000)), source.end) == (generated, end)


@pytest.mark.parametrize(
    ("made", "came"),
    [
        (torch.rand(4, 3, 8, 8), r"float32 \(4, 3, 8, 8\)"),
        (torch.zeros(4, 8, 8, 3, dtype=torch.uint8), r"uint8 \(4, 8, 8, 3\)"),
        (torch.zeros(3, 3, 8, 8, dtype=torch.uint8), r"uint8 \(3, 3, 8, 8\)"),
        (torch.zeros(4, 1, 8, 8, dtype=torch.uint8), r"uint8 \(4, 1, 8, 8\)"),
        (torch.zeros(4, 3, 0, 8, dtype=torch.uint8), r"uint8 \(4, 3, 0, 8\)"),
        (np.zeros((4, 3, 8, 8), np.uint8), "numpy.ndarray"),
        (None, "builtins.NoneType"),
    ],
)
def test_what_a_generator_gives_must_be_what_was_asked_for(made: object, came: str) -> None:
    with pytest.raises(ValueError, match=rf"gave {came} for 4 labels; it must give a torch tensor of uint8"):
        as_asked(made, 4)
    good = torch.zeros(4, 3, 8, 8, dtype=torch.uint8)
    assert as_asked(good, 4) is good


def test_a_generator_is_told_how_much_time_is_left_as_it_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    contexts: list[LoadContext] = []
    monkeypatch.setattr(Noise, "load", classmethod(lambda cls, context: contexts.append(context)))
    load_generator(Job("digits", "noise", "", "", time.monotonic() + 100), get_challenge("digits"))
    assert 90 < contexts[0].seconds_left <= 100
