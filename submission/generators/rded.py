"""`rded`: crops of real images that a classifier is surest of, in the manner of RDED (CVPR 2024, arXiv 2312.03526).

Of each image the crop with the lowest loss on its label, of each class the crops with the lowest losses. It writes what
is in the training split, cut out and resized, so its runs are in the `copying` league.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from evaluation.base.challenge import Challenge
from evaluation.base.images import ImageSet
from evaluation.base.progress_bar import progress_bar
from evaluation.data.subset import random_subset
from submission.contract.exhibit import Exhibit
from submission.contract.generator import GeneratorInfo, LoadContext, Selector
from submission.contract.pixels import resize_uint8
from submission.contract.settings import Settings, integer
from submission.patches.classifier import Classifier, train_on
from submission.patches.crops import PATCH, crop_resized, random_boxes, region_exhibit, sides_in_pixels

BATCH = 256


CANDIDATES = integer("candidates", 300, 1, 100_000, "training images looked at per class, chosen at random")
CROPS = integer("crops", 5, 1, 1000, "random crops scored of each")
FACTOR = integer("factor", 1, 1, 2, "2 puts 2x2 crops of half the size into one image")
EPOCHS = integer("epochs", 5, 1, 1000, "of the classifier, over all training images")


class Rded(Selector):
    """Classifier and choice are made in `load`, on the clock."""

    info = GeneratorInfo(
        name="rded",
        summary="crops of real training images that a classifier, trained on the clock, is surest of (RDED)",
        default_batch=256,
        needs_training_images=True,
        copies=True,
        licence="that of the data set",
        settings=(CANDIDATES, CROPS, PATCH, FACTOR, EPOCHS),
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
    def load(cls, context: LoadContext) -> Rded:
        settings, challenge = cls.resolve_settings(context.settings), context.challenge
        training = context.read_training_images()
        classifier = train_on(training, challenge, context.device, settings[EPOCHS], context.seed)
        candidates = random_subset(training, settings[CANDIDATES], context.seed)
        boxes_N3, losses_N = surest_crops(classifier, candidates, settings, context.device, context.seed)
        members = [np.flatnonzero(candidates.labels == label) for label in range(challenge.classes)]
        order = [of_class[np.argsort(losses_N[of_class], kind="stable")] for of_class in members]
        return cls(candidates, boxes_N3, order, challenge, settings[FACTOR])

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
    classifier: Classifier, images: ImageSet, settings: Settings, device: str, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Of each image the random crop with the lowest loss on its label: boxes int64 (N, 3), losses float32 (N,)."""
    size, rng = images.images.shape[-1], np.random.default_rng(seed)
    sides = sides_in_pixels(settings[PATCH], size)
    boxes_NK3 = random_boxes(len(images) * settings[CROPS], size, sides, rng).reshape(len(images), settings[CROPS], 3)
    losses_NK = np.empty(boxes_NK3.shape[:2], np.float32)
    with progress_bar("Crops") as update:
        for start in range(0, len(images), BATCH):
            part = slice(start, min(start + BATCH, len(images)))
            images_BCHW, labels_B = (torch.from_numpy(of[part]).to(device) for of in (images.images, images.labels))
            for crop in range(settings[CROPS]):
                crops_BCHW = crop_resized(images_BCHW, torch.from_numpy(boxes_NK3[part, crop]))
                loss_B = F.cross_entropy(classifier(crops_BCHW), labels_B, reduction="none")
                losses_NK[part, crop] = loss_B.cpu().numpy()
            update(part.stop / len(images), f"{part.stop:,} of {len(images):,} images scored")
    surest_N = losses_NK.argmin(1)
    everyone_N = np.arange(len(images))
    return boxes_NK3[everyone_N, surest_N], losses_NK[everyone_N, surest_N]


def stitched(images_NCHW: Tensor, factor: int) -> Tensor:
    """Each `factor**2` images in a row as one of the same size, row by row."""
    size = images_NCHW.shape[-1]
    small = resize_uint8(images_NCHW, size // factor).unflatten(0, (-1, factor, factor))
    return small.permute(0, 3, 1, 4, 2, 5).reshape(-1, 3, size, size)
