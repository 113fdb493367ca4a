"""`rded`: crops of real images of which a classifier is most sure, in the manner of RDED (CVPR 2024, arXiv 2312.03526).

Of each image the crop with the lowest loss on its label, of each class the crops with the lowest losses. It writes what
is in the training split, cut out and resized, so its runs are in the `copying` category.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from evaluation.base.challenge import Challenge
from evaluation.base.images import ImageSet, random_subset
from evaluation.base.progress_bar import progress_bar
from submission.contract.generator import GeneratorInfo, LoadContext
from submission.contract.pixels import resize_uint8
from submission.contract.settings import Settings, integer
from submission.patches.classifier import Classifier, train_on
from submission.patches.crops import PATCH, Patches, PatchSelector, crop_resized, random_boxes, sides_in_pixels

BATCH = 256

CANDIDATES = integer("candidates", 300, 1, 100_000, "training images looked at per class, chosen at random")
CROPS = integer("crops", 5, 1, 1000, "random crops scored of each")
FACTOR = integer("factor", 1, 1, 2, "2 puts 2x2 crops of half the size into one image")
EPOCHS = integer("epochs", 5, 1, 1000, "of the classifier, over all training images")


class Rded(PatchSelector):
    """Classifier and choice are made in `load`, on the clock."""

    info = GeneratorInfo(
        name="rded",
        summary="crops of real training images that a classifier, trained on the clock, is most confident of (RDED)",
        default_batch=256,
        needs_training_images=True,
        copies=True,
        licence="that of the data set",
        settings=(CANDIDATES, CROPS, PATCH, FACTOR, EPOCHS),
    )

    how = "a classifier recognises most confidently"

    def __init__(self, patches: Patches, challenge: Challenge, factor: int) -> None:
        super().__init__(patches, challenge)
        self.factor = factor

    @classmethod
    def load(cls, context: LoadContext) -> Rded:
        settings, challenge = cls.resolve_settings(context.settings), context.challenge
        training = context.read_training_images()
        classifier = train_on(training, challenge, context.device, settings[EPOCHS], context.seed)
        candidates = random_subset(training, settings[CANDIDATES], context.seed)
        boxes_N3, losses_N = lowest_loss_crops(classifier, candidates, settings, context.device, context.seed)
        members = [np.flatnonzero(candidates.labels == label) for label in range(challenge.classes)]
        order = [of_class[np.argsort(losses_N[of_class], kind="stable")] for of_class in members]
        return cls(Patches(candidates, boxes_N3, order), challenge, settings[FACTOR])

    def available(self) -> int:
        return super().available() // self.factor**2

    def select(self, labels_B: Tensor, indices_B: Tensor) -> Tensor:
        tiles = self.factor**2
        indices_BT = indices_B[:, None] * tiles + torch.arange(tiles)
        return stitched(super().select(labels_B.repeat_interleave(tiles), indices_BT.flatten()), self.factor)


@torch.inference_mode()
def lowest_loss_crops(
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
    best_N, every_N = losses_NK.argmin(1), np.arange(len(images))
    return boxes_NK3[every_N, best_N], losses_NK[every_N, best_N]


def stitched(images_NCHW: Tensor, factor: int) -> Tensor:
    """Each `factor**2` images in a row as one of the same size, row by row."""
    size = images_NCHW.shape[-1]
    small = resize_uint8(images_NCHW, size // factor).unflatten(0, (-1, factor, factor))
    return small.permute(0, 3, 1, 4, 2, 5).reshape(-1, 3, size, size)
