"""What a run says of its cost before the clock starts."""

from dataclasses import replace

import numpy as np
import pytest

from evaluation.base.images import ImageSet
from evaluation.judge.estimate import Estimate
from harness.report.console import Voice
from harness.run.costs import tell_costs
from harness.run.judging import Judge
from harness.run.options import RunOptions
from harness.run.plan import Plan

PLAN = Plan(budget_s=600, steps=1, batch_size=100, settings={}, pda=1, ipc_cap=64)


def judge(**options: int) -> Judge:
    """A judge that takes half a second for a step and needs no timing."""
    test = ImageSet(np.zeros((10, 3, 32, 32), np.uint8), np.arange(10))
    timed = Estimate(images=256, start_s=2.0, step_s=0.5, last_step_s=0.0, test_s=1.0)
    return replace(Judge.of(RunOptions("cifar100", **options), test, Voice()), _timed=timed)


def test_the_whole_cost_is_said_with_previews_as_they_are_typed(capsys: pytest.CaptureFixture[str]) -> None:
    asked = judge()
    tell_costs(PLAN, asked, has_baseline=True)
    assert asked.has_timed(6400) and not asked.has_timed(6399), "as many images are not announced twice"
    told = capsys.readouterr().out
    assert told.startswith("At most 10 min 00 s to make up to 6,400 images, then about ")
    assert "Judging 6,400 images (1,000 epochs, 3 rounds) takes about 10 h 25 min here; a preview" in told
    assert "(--epochs 100 --rounds 1)" in told
    assert "As many random real images beside them, 1 round: about 3 h 28 min more." in told


def test_a_prediction_below_the_cap_counts(capsys: pytest.CaptureFixture[str]) -> None:
    tell_costs(replace(PLAN, predicted_ipc=10.0), judge(), has_baseline=False)
    told = capsys.readouterr().out
    assert "up to 1,000 images" in told
    assert "random real" not in told


def test_of_a_judgement_of_seconds_nothing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    tell_costs(replace(PLAN, ipc_cap=1), judge(epochs=5, rounds=1), has_baseline=True)
    assert capsys.readouterr().out == ""
