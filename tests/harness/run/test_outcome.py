import pytest

from harness.records.record import Outcome
from harness.run.generation import Generation
from harness.run.outcome import outcome
from tests.harness.run.generations import generation

DEADLINE = {"reason": "deadline", "returncode": -9, "killed_after_s": 0.01}


@pytest.mark.parametrize(
    ("run", "images", "invalid", "expected", "words"),
    [
        (generation(), 10, None, Outcome.OK, None),
        (generation(stragglers=2), 10, None, Outcome.OK, "left 2 processes behind"),
        (generation(), 0, None, Outcome.NO_IMAGES, "without an image"),
        (generation(**DEADLINE), 10, None, Outcome.DEADLINE_TRUNCATED, None),
        (generation(**DEADLINE), 0, None, Outcome.NO_IMAGES, "nothing whole on disk"),
        (generation(loading=True, **DEADLINE), 0, None, Outcome.NO_IMAGES, "still loading"),
        (generation(returncode=1), 10, None, Outcome.CRASHED, "exit code 1"),
        (generation(returncode=-11), 0, None, Outcome.CRASHED, "signal 11"),
        (generation(returncode=-40), 0, None, Outcome.CRASHED, "signal 40"),
        (generation(returncode=None), 0, None, Outcome.CRASHED, "not known"),
        (generation("crashed", "ValueError: no", returncode=1), 0, None, Outcome.CRASHED, "ValueError: no"),
        (generation("out_of_memory", "big", returncode=1), 5, None, Outcome.OUT_OF_MEMORY, "big"),
        (generation(out_of_memory=True, returncode=-9), 5, None, Outcome.OUT_OF_MEMORY, None),
        (generation(reason="interrupted", returncode=-9), 5, None, Outcome.INTERRUPTED, "not opened"),
        (generation(reason="guard_lost", returncode=None), 5, None, Outcome.CRASHED, "guard"),
        (generation(), 0, "folder banana", Outcome.INVALID_OUTPUT, "banana"),
        (generation(notes=("no mine.pt",)), 0, None, Outcome.NO_IMAGES, "output folder; no mine.pt"),
    ],
)
def test_outcomes(run: Generation, images: int, invalid: str | None, expected: Outcome, words: str | None) -> None:
    how, detail = outcome(run, images, invalid)
    assert how is expected
    assert detail is None if words is None else words in (detail or "")


@pytest.mark.parametrize(
    ("run", "images", "expected"),
    [
        (generation(), 0, Outcome.INVALID_OUTPUT),
        (generation(**DEADLINE), 0, Outcome.INVALID_OUTPUT),
        (generation(), 10, Outcome.OK),
        (generation(**DEADLINE), 10, Outcome.DEADLINE_TRUNCATED),
        (generation(returncode=1), 0, Outcome.CRASHED),
    ],
)
def test_images_outside_class_folders_are_named(run: Generation, images: int, expected: Outcome) -> None:
    how, detail = outcome(run, images, outside=155)
    assert how is expected
    assert detail is not None and "155 images lie outside class folders" in detail
    assert "without an image" not in detail and "nothing whole" not in detail
