"""PDA: copies depend on image, seed and number alone, are the paper's, stand where they should, and cost no waiting."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from evaluation.audits.duplicates import audit_duplicates
from evaluation.base.challenge import get_challenge
from evaluation.base.images import ImageSet, first_of_each
from evaluation.data.datasets import load_split
from submission.worker.pda import (
    Augmenter,
    PdaWriter,
    check_pda,
    copy_seed,
    file_index,
    generated_images,
    images_to_generate,
)
from tests.submission.worker.test_worker import work, written

DIGITS = get_challenge("digits")


@pytest.fixture(scope="module")
def augment() -> Augmenter:
    return Augmenter(32)


@pytest.fixture(scope="module")
def picture() -> NDArray[np.uint8]:
    """Smooth, with another colour in each corner."""
    ramp = np.linspace(40, 200, 32)
    channels = np.broadcast_to(ramp, (32, 32)), np.broadcast_to(ramp[:, None], (32, 32)), np.full((32, 32), 90.0)
    return np.stack(channels, axis=-1).astype(np.uint8)


def test_a_copy_depends_on_image_and_seed_alone(augment: Augmenter, picture: NDArray[np.uint8]) -> None:
    alone = [augment(picture, seed) for seed in range(40)]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda seed: augment(picture, seed), reversed(range(40))))
    assert all(np.array_equal(a, b) for a, b in zip(alone, reversed(together), strict=True))
    assert np.array_equal(Augmenter(32)(picture, 7), alone[7])
    assert len({copy.tobytes() for copy in alone}) > 35
    assert all(copy.shape == (32, 32, 3) and copy.dtype == np.uint8 for copy in alone)


def test_the_transforms_draw_apart_from_each_other(augment: Augmenter, picture: NDArray[np.uint8]) -> None:
    """Where one seed is given to every transform the two flips always come together: 0.8 of the time, not 0.64."""
    signs = []
    for seed in range(400):
        copy = augment(picture, seed).astype(int)
        signs.append((copy[16, 22, 0] < copy[16, 10, 0], copy[22, 16, 1] < copy[10, 16, 1]))
    flipped = np.array(signs)
    assert np.abs(flipped.mean(0) - 0.8).max() < 0.07
    assert abs(flipped.all(1).mean() - 0.64) < 0.08


def test_corners_are_filled_with_the_picture(augment: Augmenter) -> None:
    """As the library's version at the time of the paper did; since 2.0 they would be black."""
    grey = np.full((32, 32, 3), 128, np.uint8)
    copies = [augment(grey, seed) for seed in range(50)]
    assert all(len(np.unique(copy)) == 1 for copy in copies)
    assert len({int(copy[0, 0, 0]) for copy in copies}) > 5  # brightness, contrast and gamma are at work


def test_a_copy_is_known_again_by_the_audit(augment: Augmenter) -> None:
    train = load_split(DIGITS, "train", None)
    assert isinstance(train, ImageSet)
    few = first_of_each(train, 4)
    copies = [
        np.stack([augment(image.transpose(1, 2, 0), copy_seed(0, int(label), i, copy)) for i, (image, label) in pairs])
        for copy in range(1, 5)
        for pairs in [list(enumerate(zip(few.images, few.labels, strict=True)))]
    ]
    images = np.concatenate([few.images, *(each.transpose(0, 3, 1, 2) for each in copies)])
    audit = audit_duplicates(ImageSet(np.ascontiguousarray(images), np.tile(few.labels, 5)), DIGITS)
    assert 4 <= audit.numbers["distinct_ipc"] <= 6  # type: ignore[operator]


@given(ipc=st.integers(1, 500), pda=st.integers(1, 9))
def test_places_of_copies(ipc: int, pda: int) -> None:
    count = images_to_generate(ipc, pda)
    assert count is not None
    places = [file_index(i, copy, pda) for i in range(count) for copy in range(pda)]
    assert places == list(range(count * pda))
    assert (count - 1) * pda < ipc <= count * pda
    assert generated_images([f"000-0/{place:06d}.png" for place in places[:ipc]], pda) == count


def test_seeds_of_copies_differ() -> None:
    assert len({copy_seed(s, a, i, c) for s in range(3) for a in range(3) for i in range(3) for c in range(3)}) == 81


def test_what_cannot_be_had_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="--pda must be at least 1"):
        check_pda(0)
    check_pda(5)
    monkeypatch.setitem(sys.modules, "albumentations", None)
    check_pda(1)
    with pytest.raises(ValueError, match="--pda needs albumentations, which is not installed: pip install"):
        check_pda(5)


def test_nothing_waits_for_copies(tmp_path: Path) -> None:
    go_on = Event()

    def slow(image: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
        assert go_on.wait(30)
        return image

    writer = PdaWriter(tmp_path, DIGITS, slow, 5, seed=0, ipc=None)
    images = np.zeros((20, 32, 32, 3), np.uint8)
    assert writer.write(images, [0] * 20, range(20)) == 100
    assert writer.pending >= 18 and not writer.full(20)
    go_on.set()
    writer.close()
    assert writer.pending == 0 and len(list(tmp_path.rglob("*.png"))) == 100


def test_no_batch_is_larger_than_the_queue(tmp_path: Path) -> None:
    """What is left to write near the deadline then stays as little as without copies."""
    writer = PdaWriter(tmp_path, DIGITS, lambda image, seed: image, 5, seed=0, ipc=None, queue=100)
    assert (writer.trusted(1000), writer.trusted(7)) == (20, 7)
    writer.write(np.zeros((1, 32, 32, 3), np.uint8), [0], [0])
    writer.drain()
    assert writer.trusted(1000) == 16  # for 16 times the 5 files written the disk's speed is believed


def test_a_copy_that_fails_is_told(tmp_path: Path) -> None:
    def broken(image: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
        raise RuntimeError("no copy today")

    writer = PdaWriter(tmp_path, DIGITS, broken, 2, seed=0, ipc=None)
    with pytest.raises(RuntimeError, match="no copy today"):
        writer.write(np.zeros((4, 32, 32, 3), np.uint8), [0] * 4, range(4))
        writer.close()


def files(folder: Path) -> dict[str, bytes]:
    return {f"{path.parent.name}/{path.name}": path.read_bytes() for path in (folder / "images").rglob("*.png")}


def test_a_job_with_copies(tmp_path: Path) -> None:
    """The same at any batch size; a shorter job is the beginning of a longer one; the cap counts copies."""
    for name in ("plain", "short", "long", "batches"):
        (tmp_path / name).mkdir()
    work(tmp_path / "plain", "noise", ipc=4)
    events = work(tmp_path / "short", "noise", ipc=7, pda=3, batch_size=8)
    work(tmp_path / "long", "noise", ipc=12, pda=3, batch_size=100)
    work(tmp_path / "batches", "noise", ipc=12, pda=3, batch_size=7)
    assert written(tmp_path / "short") == [7] * 10 and events[-1]["images"] == 70 and events[-1]["end"] == "ipc"
    plain, short, long = (files(tmp_path / name) for name in ("plain", "short", "long"))
    assert files(tmp_path / "batches") == long
    assert short == {name: long[name] for name in short}
    for label in range(10):
        for index in range(4):
            folder = f"{label:03d}-{label}"
            original = plain[f"{folder}/{index:06d}.png"]
            assert [long[f"{folder}/{3 * index + copy:06d}.png"] == original for copy in range(3)] == [
                True,
                False,
                False,
            ]


@pytest.mark.parametrize("run_seed", [0, 7])
def test_copies_are_made_from_the_runs_seed_and_their_own_place(tmp_path: Path, run_seed: int) -> None:
    asked: list[int] = []

    def note(image: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
        asked.append(seed)
        return image

    writer = PdaWriter(tmp_path, DIGITS, note, 3, seed=run_seed, ipc=None)
    writer.write(np.zeros((2, 32, 32, 3), np.uint8), [4, 5], [0, 6])
    writer.close()
    places = [(4, 0, 1), (4, 0, 2), (5, 6, 1), (5, 6, 2)]  # label, index, copy
    assert sorted(asked) == sorted(copy_seed(run_seed, *place) for place in places)
