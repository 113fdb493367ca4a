"""What makes two runs the same submission, and what lets them compete."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.cards.other_card import PartSpeed
from harness.gpu.telemetry import GpuSummary
from harness.leaderboard.submissions import asked, judging_of, submission_of, track_of
from harness.records.record import OtherCardPart, PlanPart
from tests.harness.leaderboard.samples import COPIES, judged


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ((), "noise"),
        (("--steps", "auto", "--pda", "1", "--seed", "7", "--epochs", "5", "--data", "/x", "--out", "y"), "noise"),
        (("--set", "b=2", "--set=a=1", "--steps=4"), "noise (a=1, b=2, steps 4)"),
        (("--ipc", "10", "--pda", "5"), "noise (PDA 5, IPC 10)"),
        (("--weights", "/home/me/digits-large.safetensors"), "noise (weights {dataset}-large.safetensors)"),
    ],
)
def test_a_submission_is_a_generator_with_what_was_asked_of_it(options: tuple[str, ...], name: str) -> None:
    assert submission_of(judged(asked=options)) == name


def test_the_same_submission_on_both_data_sets() -> None:
    """Caps, steps and tuned settings are decided for each data set; files are called after theirs."""
    both = [
        judged(
            dataset,
            asked=("--weights", f"w/{dataset.replace('-', '_')}.pt"),
            settings={"ipc_cap": cap, "guidance": guidance},
            plan=PlanPart(steps=steps, batch_size=8, predicted_ipc=None, tuned=True),
        )
        for dataset, cap, guidance, steps in (("cifar100", 100, "1", 4), ("tiny-imagenet", 500, "2", 8))
    ]
    assert {submission_of(record) for record in both} == {"noise (tuned, weights {dataset}.pt)"}


def test_the_default_generators_of_both_data_sets_are_one_submission() -> None:
    def name(*asked: str) -> str:
        command = ["python", "-m", "harness", "--dataset", "all", *asked]
        return submission_of(judged("cifar100", generator="distilled", command=command))

    assert name() == "default" and name("--ipc", "5") == "default (IPC 5)"
    assert name("--generator", "distilled") == "distilled" and name("--weights=w.pt") == "distilled (weights w.pt)"


def test_programs_are_told_apart_by_their_names_else_by_what_they_are() -> None:
    def program(generator: str, **settings: Any) -> str:
        return submission_of(judged(generator=generator, settings=settings))

    assert program("mine", command="python a.py") == program("mine", command="python b.py") == "mine"
    assert program("command", command="python a.py --on digits") == "command (python a.py --on {dataset})"
    assert program("image", image="me/model:1", command="x") == "image (me/model:1)"
    long = [program("command", command="python " + "x" * 300 + end) for end in "ab"]
    assert long[0] != long[1] and max(map(len, long)) < 150


@given(st.lists(st.text()), st.text(min_size=1))
def test_options_are_found_in_any_command(words: list[str], value: str) -> None:
    before = [word for word in words if not word.startswith("--steps")]
    assert list(asked([*before, "--steps", value], "--steps")) == [value]
    assert list(asked([*before, f"--steps={value}"], "--steps")) == [value]


def test_a_track_is_the_clock_the_card_and_the_category() -> None:
    usual = track_of(judged())
    assert usual.words == "a processor, 2 cores, 1 min 00 s from process-start"
    assert usual == track_of(judged(seed=3, rounds=(0.1,)))
    clock = judged().clock
    assert clock is not None
    part = PartSpeed(here=1.0, there=1.0, unit="x", ratio=1.0, low=1.0, high=1.0)
    other = {"as": "rtx4090", "ratio": 0.1, "interval": (0.05, 0.2), "budget": 600.0, "scaled_budget": 60.0}
    others = [
        judged(audits=list(COPIES)),
        judged(budget_s=30.0),
        judged(clock=clock.model_copy(update={"rule": "container-start"})),
        judged(gpu=GpuSummary(name="NVIDIA RTX 4090", count=1)),
        judged(gpu=GpuSummary(name="NVIDIA RTX 4090", count=2)),
        judged(other_card=OtherCardPart.model_validate({**other, "device": "cpu", "parts": {"host": part}})),
    ]
    tracks = [track_of(record) for record in others]
    assert len({usual, *tracks}) == 7
    assert tracks[0].order > usual.order, "what copies comes last"
    assert tracks[5].card == "RTX 4090, estimated" and tracks[5].budget_s == 600.0


@pytest.mark.parametrize(
    ("changes", "full", "words"),
    [
        ({}, True, "full protocol"),
        ({"rounds": (0.5,) * 5}, True, "full protocol"),
        ({"rounds": (0.5,)}, False, "preview: 1 round"),
        ({"epochs": 20}, False, "preview: 20 epochs"),
        ({"epochs": 2000}, False, "2,000 epochs instead of 1,000"),
    ],
)
def test_how_it_was_judged(changes: dict[str, Any], full: bool, words: str) -> None:
    found = judging_of(judged(**changes))
    assert found.full is full and found.words == words
