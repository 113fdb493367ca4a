"""Square regions of images: cut out, resized to the size of an image, and shown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from evaluation.base.challenge import Challenge
from submission.contract.exhibit import Exhibit, ExhibitRow
from submission.contract.settings import numbers

# of an exhibit
CLASSES, CHOICES = 4, 8
PICTURE_SIZE = 128  # pixels of an image as it is shown
COLOUR = (255, 72, 32)
LINE_WIDTH = 3  # pixels

PATCH = numbers("patch", (1.0, 0.8), 0.25, 1.0, "sides that a patch may have, as fractions of the image's")


def sides_in_pixels(sides: tuple[float, ...], size: int) -> tuple[int, ...]:
    """Side lengths in pixels of an image `size` pixels wide, the largest first, of fractions of it."""
    return tuple(max(1, round(side * size)) for side in sorted(set(sides), reverse=True))


def crop_resized(images_BCHW: Tensor, boxes_B3: Tensor) -> Tensor:
    """The regions `boxes_B3` of `images_BCHW`, enlarged to the images' own size by bicubic interpolation.

    Args:
        images_BCHW: uint8, height and width the same.
        boxes_B3: int64 (B, 3): top, left and side in pixels, within the image. A box as large as the image gives it
            unchanged.

    Returns:
        uint8, the shape of `images_BCHW`.
    """
    size = images_BCHW.shape[-1]
    top_B, left_B, side_B = boxes_B3.to(images_BCHW.device).double().unbind(1)
    middles_S = (torch.arange(size, device=images_BCHW.device, dtype=torch.float64) + 0.5) / size
    # grid_sample counts from -1 at one edge of the image to 1 at the other
    y_BS, x_BS = (
        (2 * (start_B[:, None] + side_B[:, None] * middles_S) / size - 1).float() for start_B in (top_B, left_B)
    )
    grid_BHW2 = torch.stack(torch.broadcast_tensors(x_BS[:, None, :], y_BS[:, :, None]), dim=-1)
    resized = F.grid_sample(images_BCHW.float(), grid_BHW2, "bicubic", "border", align_corners=False)
    return resized.round_().clamp_(0, 255).to(torch.uint8)


def random_boxes(count: int, size: int, sides: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.int64]:
    """`count` boxes at random places, int64 (count, 3): top, left, side; each side of `sides` as likely."""
    side_N = rng.choice(np.array(sides), count)
    corners_N2 = rng.integers(0, (size - side_N + 1)[:, None], (count, 2))
    return np.column_stack([corners_N2, side_N]).astype(np.int64)


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
        upper = [_picture(images_NCHW[i], boxes_N3[i]) for i in chosen]
        lower = [_picture(patch_CHW) for patch_CHW in patches_NCHW]
        picture = np.concatenate([np.concatenate(upper, axis=1), np.concatenate(lower, axis=1)])
        rows.append(ExhibitRow(challenge.class_names[label].replace("_", " "), picture))
    caption = f"Real training images with the region that {how} (above), and what was cut out (below)."
    return Exhibit("Chosen patches", caption, tuple(rows))


def _picture(image_CHW: NDArray[np.uint8], box_3: NDArray[np.int64] | None = None) -> NDArray[np.uint8]:
    """(3, H, W) -> (H', W', 3), each pixel a square, about `PICTURE_SIZE` wide, with the outline of a box in it."""
    from PIL import Image, ImageDraw

    scale = max(1, PICTURE_SIZE // image_CHW.shape[-1])
    picture = Image.fromarray(image_CHW.transpose(1, 2, 0).repeat(scale, axis=0).repeat(scale, axis=1))
    if box_3 is not None:
        top, left, side = (int(value) * scale for value in box_3)
        corners = (left, top, left + side - 1, top + side - 1)
        ImageDraw.Draw(picture).rectangle(corners, outline=COLOUR, width=LINE_WIDTH)
    return np.asarray(picture)
