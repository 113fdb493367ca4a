"""Regions of images: where they lie and what is cut out."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from submission.patches.crops import PATCH, crop_resized, random_boxes, sides_in_pixels


def test_the_whole_image_is_itself() -> None:
    for size in (32, 64):
        images = torch.randint(0, 256, (4, 3, size, size), dtype=torch.uint8)
        assert torch.equal(crop_resized(images, torch.tensor([[0, 0, size]] * 4)), images)


def test_a_box_cuts_out_its_own_pixels() -> None:
    """A white square on black; the box is exactly the square in the first image, and beside it in the second."""
    images = torch.zeros(2, 3, 32, 32, dtype=torch.uint8)
    images[:, :, 4:20, 10:26] = 255
    cut = crop_resized(images, torch.tensor([[4, 10, 16], [22, 0, 10]]))
    assert (cut[0, :, 2:-2, 2:-2] == 255).all() and (cut[1] == 0).all()


def test_rows_are_rows() -> None:
    images = torch.arange(32, dtype=torch.uint8).mul(8).view(1, 1, 32, 1).expand(1, 3, 32, 32)
    cut = crop_resized(images, torch.tensor([[0, 16, 16]]))[0, 0].float()
    assert (cut.diff(dim=0) >= 0).all() and (cut[:, 0] == cut[:, -1]).all()
    assert cut[0, 0] < 8 and 110 < cut[-1, 0] < 130


@given(st.integers(0, 1000), st.sampled_from([(32,), (19, 26, 32), (8, 64)]))
def test_random_boxes_lie_within(seed: int, sides: tuple[int, ...]) -> None:
    boxes = random_boxes(50, 64, sides, np.random.default_rng(seed))
    assert set(boxes[:, 2]) <= set(sides)
    assert (boxes[:, :2] >= 0).all() and (boxes[:, :2] + boxes[:, 2:] <= 64).all()


def test_random_boxes_reach_every_edge() -> None:
    boxes = random_boxes(2000, 32, (26,), np.random.default_rng(0))
    assert set(boxes[:, 0]) == set(boxes[:, 1]) == set(range(7))


def test_sides() -> None:
    assert sides_in_pixels(PATCH.parse("0.6,1,0.8"), 32) == (32, 26, 19)
