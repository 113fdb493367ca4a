"""Patches: square regions of images, cut out and resized to the size of an image."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from evaluation.base.challenge import Challenge
from evaluation.base.images import ImageSet
from submission.contract.exhibit import Exhibit, ExhibitRow
from submission.contract.generator import Selector
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
    """Regions of square images, uint8, enlarged to the images' own size by bicubic interpolation.

    Boxes are int64 (B, 3): top, left and side in pixels, within the image; one as large as the image changes nothing.
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


@dataclass(frozen=True)
class Patches:
    """Patches of real images, in the order of choice.

    Attributes:
        images: the images that they are from.
        boxes_N3: int64, top, left and side in pixels of the patch of each.
        order: of each label, positions in `images`, the first choice first.
    """

    images: ImageSet
    boxes_N3: NDArray[np.int64]
    order: Sequence[NDArray[np.int64]]

    def cut_out(self, places_N: NDArray[np.int64]) -> Tensor:
        """The patches of the images at `places_N`, uint8 (N, 3, size, size)."""
        return crop_resized(torch.from_numpy(self.images.images[places_N]), torch.from_numpy(self.boxes_N3[places_N]))


class PatchSelector(Selector):
    """Gives patches of real training images, chosen when it was loaded. A subclass says `how` they were chosen."""

    how: ClassVar[str]  # ends the sentence "the region that ..."

    def __init__(self, patches: Patches, challenge: Challenge) -> None:
        self.patches = patches
        self.challenge = challenge

    def available(self) -> int:
        return min(map(len, self.patches.order))

    def select(self, labels_B: Tensor, indices_B: Tensor) -> Tensor:
        pairs = zip(labels_B.tolist(), indices_B.tolist(), strict=True)
        return self.patches.cut_out(np.array([self.patches.order[label][index] for label, index in pairs]))

    def exhibit(self) -> Exhibit:
        """The first choices of the first classes, a row for each: image with region above, patch below."""
        patches, rows = self.patches, []
        for label in range(min(CLASSES, self.challenge.classes)):
            chosen = patches.order[label][:CHOICES]
            upper = [_picture(patches.images.images[i], patches.boxes_N3[i]) for i in chosen]
            lower = [_picture(patch_CHW) for patch_CHW in patches.cut_out(chosen).numpy()]
            picture = np.concatenate([np.concatenate(upper, axis=1), np.concatenate(lower, axis=1)])
            rows.append(ExhibitRow(self.challenge.class_names[label].replace("_", " "), picture))
        caption = f"Real training images with the region that {self.how} (above), and what was cut out (below)."
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
