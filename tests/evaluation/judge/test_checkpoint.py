"""A judgement that was interrupted ends as if it had not been."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from evaluation.base.images import ImageSet
from evaluation.judge import checkpoint as checkpoint_module
from evaluation.judge.checkpoint import join_checkpoints
from evaluation.judge.protocol import Progress
from evaluation.judge.rounds import ENGINES
from evaluation.judge.score import Score, judge, train_some
from tests.evaluation.small import SMALL, small_test, small_train


class InterruptedJudgementError(Exception):
    pass


def judged(checkpoint: Path | None, engine: str = "fast", rounds: int = 2, stop_at: int | None = None) -> Score:
    """Two rounds of four passes; interrupted by its own progress report after `stop_at` of the eight."""

    def stop(progress: Progress) -> None:
        if stop_at and progress.passes_done >= stop_at:
            raise InterruptedJudgementError

    return judge(
        small_train(100),
        small_test(),
        SMALL,
        engine=engine,
        rounds=rounds,
        epochs=3,
        checkpoint=checkpoint,
        on_progress=stop,
    )


@pytest.fixture
def saving_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint_module, "SAVE_EVERY_S", 0.0)
    monkeypatch.setattr(checkpoint_module, "REPORT_EVERY_S", 0.0)


@pytest.mark.usefixtures("saving_every_step")
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("stop_at", [1, 3, 6])
def test_resumed_equals_uninterrupted(tmp_path: Path, engine: str, stop_at: int) -> None:
    file = tmp_path / "judge.checkpoint"
    with pytest.raises(InterruptedJudgementError):
        judged(file, engine, stop_at=stop_at)
    assert file.exists()
    assert replace(judged(file, engine), seconds=0) == replace(judged(None, engine), seconds=0)
    assert [path.name for path in tmp_path.iterdir()] == ["judge.checkpoint"]


def test_finished_rounds_are_not_trained_again(tmp_path: Path) -> None:
    file = tmp_path / "judge.checkpoint"
    first = judged(file)
    assert judged(file) == first
    assert judged(file, rounds=1).rounds == first.rounds[:1]
    assert judged(file, rounds=3).rounds[:2] == first.rounds


def some_rounds(indices: list[int], checkpoint: Path, epochs: int = 3) -> None:
    how = {"engine": "fast", "rounds": 3, "epochs": epochs, "judge_seed": 0, "device": "cpu"}
    train_some(small_train(100), small_test(), SMALL, indices, **how, checkpoint=checkpoint)  # type: ignore[arg-type]


def test_rounds_trained_apart_are_those_of_one_judgement(tmp_path: Path) -> None:
    parts, whole = [tmp_path / f"part-{number}" for number in range(2)], tmp_path / "whole"
    some_rounds([2, 0], parts[0])
    some_rounds([1], parts[1])
    join_checkpoints(parts, whole)
    assert not any(part.exists() for part in parts)
    finished = whole.read_bytes()
    apart, together = judged(whole, rounds=3), judged(None, rounds=3)
    assert replace(apart, seconds=0) == replace(together, seconds=0)
    assert whole.read_bytes() == finished, "nothing was left to train"


def test_parts_of_two_judgements_are_not_joined(tmp_path: Path) -> None:
    parts, whole = [tmp_path / "a", tmp_path / "b"], tmp_path / "whole"
    some_rounds([0], parts[0], epochs=1)
    some_rounds([1], parts[1], epochs=2)
    with pytest.raises(ValueError, match="not of one judgement"):
        join_checkpoints(parts, whole)
    join_checkpoints([], whole)
    assert not whole.exists()


def test_a_checkpoint_of_another_judgement_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "judge.checkpoint"
    judged(file)
    train = small_train(100)
    other = train.images.copy()
    other[50, 0, 0, 0] ^= 1
    for images, settings in ((other, {}), (train.images, {"epochs": 2}), (train.images, {"judge_seed": 1})):
        with pytest.raises(ValueError, match="checkpoint of another judgement"):
            judge(
                ImageSet(images, train.labels),
                small_test(),
                SMALL,
                checkpoint=file,
                **{"rounds": 2, "epochs": 3, **settings},  # type: ignore[arg-type]
            )
    with pytest.raises(ValueError, match="checkpoint of another judgement"):
        judged(file, engine="reference")


def test_a_checkpoint_of_other_labels_or_other_test_images_is_refused(tmp_path: Path) -> None:
    file, train, test = tmp_path / "judge.checkpoint", small_train(100), small_test()
    judged(file)
    inverted = ImageSet(255 - test.images, test.labels)
    for others in ((renamed(train), test), (train, inverted), (train, renamed(test))):
        with pytest.raises(ValueError, match="checkpoint of another judgement"):
            judge(*others, SMALL, rounds=2, epochs=3, checkpoint=file)


def renamed(images: ImageSet) -> ImageSet:
    """The same images, one of them with another label."""
    labels = images.labels.copy()
    labels[7] = (labels[7] + 1) % 10
    return ImageSet(images.images, labels)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", json.dumps({"a": 1}).encode()])
def test_a_broken_checkpoint_is_refused_with_what_to_do(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "judge.checkpoint"
    file.write_bytes(content)
    with pytest.raises(ValueError, match="delete it to start over"):
        judged(file)


_KILLED = """
import sys
from pathlib import Path
from evaluation.judge import checkpoint
from tests.evaluation.judge.test_checkpoint import judged
checkpoint.SAVE_EVERY_S = 0.0
judged(Path(sys.argv[1]))
"""


def test_a_killed_judgement_resumes(tmp_path: Path) -> None:
    file = tmp_path / "judge.checkpoint"
    process = subprocess.Popen([sys.executable, "-c", _KILLED, str(file)], env={**os.environ, "OMP_NUM_THREADS": "1"})
    while not file.exists() and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -signal.SIGKILL, "it was killed in the middle, not finished"
    assert replace(judged(file), seconds=0) == replace(judged(None), seconds=0)
    assert [path.name for path in tmp_path.iterdir()] == ["judge.checkpoint"]
