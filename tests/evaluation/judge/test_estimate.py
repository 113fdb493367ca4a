"""The estimate adds up, and is of the size of what it estimates."""

from __future__ import annotations

import pytest
from torch import Tensor

from evaluation.judge.dsa import Draw
from evaluation.judge.estimate import Estimate, curve_seconds, estimate
from evaluation.judge.fast_engine import FastEngine
from evaluation.judge.score import judge
from tests.evaluation.small import SMALL, small_test, small_train


def test_seconds_count_every_step() -> None:
    timed = Estimate(images=600, start_s=2.0, step_s=0.5, last_step_s=0.25, test_s=3.0)
    assert timed.seconds(epochs=1000, rounds=3) == 2.0 + 3 * (1001 * (2 * 0.5 + 0.25) + 3.0)
    assert timed.seconds(epochs=20, rounds=1) == 2.0 + 21 * 1.25 + 3.0


def test_a_curve_costs_a_round_for_each_set() -> None:
    timed = Estimate(images=512, start_s=2.0, step_s=0.5, last_step_s=0.0, test_s=3.0)
    assert curve_seconds(timed, [512, 256], epochs=9) == 10 * (1.0 + 0.5) + 2 * (2.0 + 3.0)


def test_sentence_offers_previews_that_are_cheaper() -> None:
    timed = Estimate(images=600, start_s=2.0, step_s=0.5, last_step_s=0.25, test_s=3.0)
    assert timed.sentence() == (
        "Judging 600 images (1,000 epochs, 3 rounds) takes about 1 h 02 min here; a preview 2 min 11 s "
        "(--epochs 100 --rounds 1) or 31 s (--epochs 20 --rounds 1)."
    )
    assert "preview" not in timed.sentence(epochs=10, rounds=1)


def test_what_was_timed_says_how_long_another_number_of_images_takes() -> None:
    timed = Estimate(images=512, start_s=2.0, step_s=0.5, last_step_s=0.0, test_s=3.0)
    assert timed.of(640).pass_s == pytest.approx(1.25)
    assert timed.of(128).pass_s == pytest.approx(0.25)
    few = Estimate(images=64, start_s=2.0, step_s=0.0, last_step_s=0.125, test_s=3.0)
    assert few.of(640).pass_s == pytest.approx(1.25)


@pytest.mark.parametrize("images", [100, 256, 300])
def test_measures_the_steps_that_there_are(images: int) -> None:
    timed = estimate(images, SMALL, engine="fast", rounds=1, epochs=1, test_images=300)
    assert timed.images == images
    assert (timed.step_s > 0) == (images >= 256)
    assert (timed.last_step_s > 0) == (images % 256 > 0)
    assert timed.start_s > 0
    assert timed.test_s > 0


@pytest.mark.parametrize(("epochs", "most"), [(1, 10), (30, 40)])
def test_no_more_is_timed_than_a_short_judgement_takes(epochs: int, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    step, made = FastEngine.step, []

    def counted(self: FastEngine, index_B: Tensor, drawn: Draw) -> Tensor:
        made.append(index_B)
        return step(self, index_B, drawn)

    monkeypatch.setattr(FastEngine, "step", counted)
    estimate(4, SMALL, rounds=1, epochs=epochs, test_images=300)
    assert 0 < len(made) <= most


def test_is_of_the_right_size() -> None:
    """Within a factor that a busy machine does not break."""
    timed = estimate(200, SMALL, rounds=1, epochs=10, test_images=300)
    took = judge(small_train(200), small_test(300), SMALL, rounds=1, epochs=10).seconds
    assert took / 10 < timed.seconds(epochs=10, rounds=1) < took * 10 + 10


def test_refuses_what_cannot_be() -> None:
    with pytest.raises(ValueError, match="at least 1 image"):
        estimate(0, SMALL)
    with pytest.raises(ValueError, match="choose one of"):
        estimate(10, SMALL, engine="turbo")
