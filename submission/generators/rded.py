"""`rded`: crops of real images that a classifier is surest of, in the manner of RDED (CVPR 2024, arXiv 2312.03526).

Of each image the crop with the lowest loss on its label, of each class the crops with the lowest losses. It writes what
is in the training split, cut out and resized, so its runs are in the `copying` league.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from evaluation.base.challenge import Challenge
from evaluation.base.images import ImageSet
from evaluation.data.subset import random_subset
from submission.contract.exhibit import Exhibit
from submission.contract.generator import GeneratorInfo, LoadContext, Selector
from submission.contract.pixels import resize_uint8
from submission.contract.progress_lines import ProgressLines
from submission.contract.settings import whole_number
from submission.contract.training_images import read_training_images
from submission.patches.classifier import Classifier, train_on
from submission.patches.crops import DEFAULT_SIDES, crop_resized, parse_sides, random_boxes, sides_in_pixels
from submission.patches.region_exhibit import region_exhibit

BATCH = 256


@dataclass(frozen=True)
class RdedSettings:
    """What `--set` can change.

    Attributes:
        candidates: training images looked at per class, chosen at random.
        crops: random crops scored of each.
        sides: side lengths that a crop may have, as shares of the image's.
        factor: 1, or 2 to put 2x2 crops of half the size into one image.
        epochs: of the classifier, over all training images.
    """

    candidates: int
    crops: int
    sides: tuple[float, ...]
    factor: int
    epochs: int

    @classmethod
    def parse(cls, settings: Mapping[str, str]) -> RdedSettings:
        """Raises ValueError for a value that a setting cannot take."""
        return cls(
            candidates=whole_number(settings, "candidates", 300, 1, 100_000),
            crops=whole_number(settings, "crops", 5, 1, 1000),
            sides=parse_sides(settings.get("patch", DEFAULT_SIDES)),
            factor=whole_number(settings, "factor", 1, 1, 2),
            epochs=whole_number(settings, "epochs", 5, 1, 1000),
        )


class Rded(Selector):
    """Classifier and choice are made in `load`, on the clock."""

    info = GeneratorInfo(
        name="rded",
        summary="crops of real training images that a classifier, trained on the clock, is surest of (RDED)",
        default_batch=256,
        needs_training_images=True,
        copies=True,
        licence="that of the data set",
        settings=("candidates", "crops", "patch", "factor", "epochs"),
    )

    def __init__(
        self,
        images: ImageSet,
        boxes_N3: NDArray[np.int64],
        order: list[NDArray[np.int64]],
        challenge: Challenge,
        factor: int,
    ) -> None:
        """`order` holds, of each label, positions in `images`, the one with the lowest loss first."""
        self._images = images
        self._boxes_N3 = boxes_N3
        self._order = order
        self._challenge = challenge
        self._factor = factor

    @classmethod
    def check_settings(cls, settings: Mapping[str, str]) -> None:
        super().check_settings(settings)
        RdedSettings.parse(settings)

    @classmethod
    def load(cls, context: LoadContext) -> Rded:
        settings, challenge = RdedSettings.parse(context.settings), context.challenge
        training = read_training_images(context)
        classifier = train_on(training, challenge, context.device, settings.epochs, context.seed)
        candidates = random_subset(training, settings.candidates, context.seed)
        boxes_N3, losses_N = surest_crops(classifier, candidates, settings, context.device, context.seed)
        members = [np.flatnonzero(candidates.labels == label) for label in range(challenge.classes)]
        order = [of_class[np.argsort(losses_N[of_class], kind="stable")] for of_class in members]
        return cls(candidates, boxes_N3, order, challenge, settings.factor)

    def available(self) -> int:
        return min(map(len, self._order)) // self._factor**2

    def select(self, labels_B: Tensor, indices_B: Tensor) -> Tensor:
        tiles = self._factor**2
        pairs = zip(labels_B.tolist(), indices_B.tolist(), strict=True)
        places = np.concatenate([self._order[label][index * tiles : (index + 1) * tiles] for label, index in pairs])
        crops_NCHW = crop_resized(
            torch.from_numpy(self._images.images[places]), torch.from_numpy(self._boxes_N3[places])
        )
        return crops_NCHW if self._factor == 1 else stitched(crops_NCHW, self._factor)

    def exhibit(self) -> Exhibit:
        how = "a classifier recognises most surely"
        return region_exhibit(self._images.images, self._boxes_N3, self._order, self._challenge, how)


@torch.inference_mode()
def surest_crops(
    classifier: Classifier, images: ImageSet, settings: RdedSettings, device: str, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Of each image the random crop with the lowest loss on its label: boxes int64 (N, 3), losses float32 (N,)."""
    size, rng = images.images.shape[-1], np.random.default_rng(seed)
    sides = sides_in_pixels(settings.sides, size)
    boxes_NK3 = random_boxes(len(images) * settings.crops, size, sides, rng).reshape(len(images), settings.crops, 3)
    losses_NK = np.empty(boxes_NK3.shape[:2], np.float32)
    progress = ProgressLines("Crops scored, images", len(images))
    for start in range(0, len(images), BATCH):
        part = slice(start, min(start + BATCH, len(images)))
        images_BCHW, labels_B = (torch.from_numpy(of[part]).to(device) for of in (images.images, images.labels))
        for crop in range(settings.crops):
            crops_BCHW = crop_resized(images_BCHW, torch.from_numpy(boxes_NK3[part, crop]))
            loss_B = F.cross_entropy(classifier(crops_BCHW), labels_B, reduction="none")
            losses_NK[part, crop] = loss_B.cpu().numpy()
        progress.show(part.stop)
    surest_N = losses_NK.argmin(1)
    everyone_N = np.arange(len(images))
    return boxes_NK3[everyone_N, surest_N], losses_NK[everyone_N, surest_N]


def stitched(images_NCHW: Tensor, factor: int) -> Tensor:
    """Each `factor**2` images in a row as one of the same size, row by row."""
    size = images_NCHW.shape[-1]
    small = resize_uint8(images_NCHW, size // factor).unflatten(0, (-1, factor, factor))
    return small.permute(0, 3, 1, 4, 2, 5).reshape(-1, 3, size, size)
