"""Chosen regions to look at: the first choices of a few classes, each image with its box and the patch below."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from evaluation.base.challenge import Challenge
from submission.contract.exhibit import Exhibit, ExhibitRow
from submission.patches.crops import crop_resized

CLASSES, CHOICES = 4, 8
PICTURE_SIZE = 128  # pixels of an image as it is shown
COLOUR = (255, 72, 32)
LINE = 3  # pixels


def region_exhibit(
    images_NCHW: NDArray[np.uint8],
    boxes_N3: NDArray[np.int64],
    order: Sequence[NDArray[np.int64]],
    challenge: Challenge,
    how: str,
) -> Exhibit:
    """A row for each of the first classes.

    Args:
        boxes_N3: top, left and side in pixels.
        order: of each label, positions among the images, the first choice first.
        how: what chose them, for the caption.
    """
    rows = []
    for label in range(min(CLASSES, challenge.classes)):
        chosen = order[label][:CHOICES]
        patches_NCHW = crop_resized(torch.from_numpy(images_NCHW[chosen]), torch.from_numpy(boxes_N3[chosen])).numpy()
        upper = [boxed(enlarged(images_NCHW[i]), boxes_N3[i], images_NCHW.shape[-1]) for i in chosen]
        lower = [enlarged(patch) for patch in patches_NCHW]
        picture = np.concatenate([np.concatenate(upper, axis=1), np.concatenate(lower, axis=1)])
        rows.append(ExhibitRow(challenge.class_names[label].replace("_", " "), picture))
    caption = f"Real training images with the region that {how} (above), and what was cut out (below)."
    return Exhibit("Chosen patches", caption, tuple(rows))


def enlarged(image_CHW: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(3, H, W) -> (H', W', 3), each pixel a square, about `PICTURE_SIZE` wide."""
    times = max(1, PICTURE_SIZE // image_CHW.shape[-1])
    return image_CHW.transpose(1, 2, 0).repeat(times, axis=0).repeat(times, axis=1)


def boxed(picture_HWC: NDArray[np.uint8], box_3: NDArray[np.int64], size: int) -> NDArray[np.uint8]:
    """The picture of an image `size` pixels wide with the outline of a box in its pixels."""
    top, left, side = (int(value) * (picture_HWC.shape[0] // size) for value in box_3)
    drawn = picture_HWC.copy()
    drawn[top : top + side, left : left + side] = COLOUR
    inner = slice(top + LINE, top + side - LINE), slice(left + LINE, left + side - LINE)
    drawn[inner] = picture_HWC[inner]
    return drawn
