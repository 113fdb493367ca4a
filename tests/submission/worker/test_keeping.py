"""Dropping the least class-likely: blocks, what they keep, and the same images however the batches fall."""

from __future__ import annotations

import subprocess
import sys
import time
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from evaluation.base.challenge import get_challenge
from evaluation.data.datasets import load_split
from submission.contract.job import Job
from submission.worker.events import read_events
from submission.worker.keeping import MOST_MADE, Block, Keeper, block_of, check_keep, chosen
from submission.worker.schedule import interleaved

ROOT = Path(__file__).parents[3]
BLOCKS = st.sampled_from([Block(2, 1), Block(4, 3), Block(5, 2), Block(10, 9)])


class BrightnessScorer:
    """The brighter the likelier, as far as this test is concerned."""

    def score(self, images_BCHW: Tensor, labels_B: Tensor) -> Tensor:
        return images_BCHW.float().mean(dim=(1, 2, 3))


def image_of(label: int, index: int) -> int:
    """Any mixing will do: the brightness of an image."""
    return (97 * label + 61 * index * index + 31 * index) % 251


def sifted(block: Block, places: list[tuple[int, int]], sizes: list[int], ipc: int | None = None) -> list[Any]:
    """(place, brightness) of what is kept of `places`, given in batches of `sizes`, then one by one."""
    keeper: Any = Keeper(block, BrightnessScorer(), ipc)  # type: ignore[arg-type]
    left, found = iter(places), []
    for size in [*sizes, *[1] * len(places)]:
        if batch := list(islice(left, size)):
            pixels = torch.tensor([image_of(*place) for place in batch], dtype=torch.uint8)
            images, kept = keeper.sift(pixels.view(-1, 1, 1, 1).expand(-1, 3, 2, 2), batch)
            assert len(images) == len(kept)
            found += list(zip(kept, images[:, 0, 0, 0].tolist(), strict=True))
    return found


@given(share=st.floats(0.01, 1.0))
def test_a_block_keeps_nearly_the_share_and_below_one_drops_some(share: float) -> None:
    block = block_of(share)
    assert 1 <= block.kept <= block.made <= MOST_MADE
    assert abs(block.share - share) <= 0.05
    assert (block.kept == block.made) == (share == 1)


def test_blocks_of_round_shares() -> None:
    assert [block_of(share) for share in (1, 0.9, 0.75, 0.5)] == [Block(1, 1), Block(10, 9), Block(4, 3), Block(2, 1)]


@pytest.mark.parametrize("share", [0.0, -0.5, 1.01, float("nan")])
def test_a_share_that_cannot_be_kept_is_told(share: float) -> None:
    with pytest.raises(ValueError, match="--keep must be above 0 and at most 1"):
        check_keep(share)


@given(block=BLOCKS, classes=st.integers(1, 4), sizes=st.lists(st.integers(1, 23), max_size=8), cut=st.integers(0, 80))
def test_what_is_kept_does_not_depend_on_the_batches_and_a_cut_run_is_a_prefix(
    block: Block, classes: int, sizes: list[int], cut: int
) -> None:
    places = list(interleaved(classes, 4 * block.made, block.made))
    whole = sifted(block, places, [len(places)])
    assert sifted(block, places, sizes) == whole
    part = sifted(block, places[:cut], sizes)
    assert part == whole[: len(part)]
    counts = [sum(label == one for (label, _), _ in part) for one in range(classes)]
    assert max(counts) - min(counts) <= block.kept


@given(block=BLOCKS)
def test_the_likeliest_of_each_block_are_kept_in_their_order_without_a_gap(block: Block) -> None:
    found = sifted(block, list(interleaved(3, 3 * block.made, block.made)), [7, 7])
    for label in range(3):
        mine = [(index, brightness) for (other, index), brightness in found if other == label]
        assert [index for index, _ in mine] == list(range(3 * block.kept))
        for number in range(3):
            made = [image_of(label, number * block.made + i) for i in range(block.made)]
            kept = [brightness for _, brightness in mine[number * block.kept : (number + 1) * block.kept]]
            assert sorted(kept) == sorted(made)[-block.kept :]
            assert kept == [b for b in made if b in kept]


def test_of_equals_the_earlier_ones_are_kept() -> None:
    places = [(0, i) for i in range(4)]
    assert chosen(torch.zeros(4), places, Block(4, 3)) == [(0, (0, 0)), (1, (0, 1)), (2, (0, 2))]


def test_no_more_than_asked_for_is_given_and_dropped_images_are_counted() -> None:
    block = Block(4, 3)
    assert block.to_make(5) == 8 and block.to_make(6) == 8 and block.to_make(None) is None and block.whole(11) == 8
    found = sifted(block, list(interleaved(2, 8, 4)), [16], ipc=5)
    assert sorted(place for place, _ in found) == [(label, index) for label in range(2) for index in range(5)]
    keeper: Any = Keeper(block, BrightnessScorer(), None)  # type: ignore[arg-type]
    keeper.sift(torch.zeros(11, 3, 2, 2, dtype=torch.uint8), list(interleaved(1, 12, 4))[:11])
    assert keeper.dropped == 2


def work(folder: Path, generator: str, **changes: Any) -> list[dict[str, Any]]:
    """A worker in a process of its own."""
    folder.mkdir()
    job = Job("digits", generator, str(folder / "images"), str(folder / "events"), time.monotonic() + 300, **changes)
    job.save(folder / "job.json")
    subprocess.run(
        [sys.executable, "-m", "submission.worker.worker", folder / "job.json"], cwd=ROOT, check=True, timeout=300
    )
    return read_events(folder / "events")


def written(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted((folder / "images").rglob("*.png"))}


def test_a_worker_drops_a_quarter_of_what_it_makes(tmp_path: Path) -> None:
    events = work(tmp_path / "some", "noise", keep=0.75, ipc=4)
    assert events[-1]["end"] == "ipc" and events[-1]["images"] == 40 and events[-1]["dropped"] == 20
    assert "dropped" not in work(tmp_path / "all", "noise", ipc=8)[-1]
    some, everything = written(tmp_path / "some"), written(tmp_path / "all")
    assert [sum(f"/00000{i}.png" in name for name in some) for i in range(4)] == [10] * 4
    order = list(everything.values())
    places = [order.index(image) for image in some.values()]
    assert places == sorted(places)  # in the order in which they were made
    first = [place for place in places if place % 8 < 4]
    assert len(first) == 30  # three of the four of each class's first block


def test_a_selector_gives_whole_blocks_of_what_it_has(tmp_path: Path) -> None:
    train = load_split(get_challenge("digits"), "train", None)
    few = np.concatenate([np.flatnonzero(train.labels == label)[:11] for label in range(10)])
    np.savez(tmp_path / "few.npz", images=train.images[few], labels=train.labels[few])
    end = work(tmp_path / "run", "real", keep=0.75, training_images=str(tmp_path / "few.npz"))[-1]
    assert (end["end"], end["images"], end["dropped"]) == ("exhausted", 60, 20)
