"""Both stages over a whole training split."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from evaluation.base.images import ImageSet, random_subset
from evaluation.base.progress_bar import progress_bar
from submission.contract.job import image_seed
from submission.contract.settings import Setting, Settings, integer
from submission.diffusion.noise_model import NoiseModel
from submission.patches.crops import PATCH, Patches, crop_resized, sides_in_pixels
from submission.patches.stage_one import best_regions, difference_maps
from submission.patches.stage_two import block_of, cluster, order_class, patch_features

CANDIDATES = integer("candidates", 100, 1, 100_000, "training images looked at per class, chosen at random")
DRAWS = integer("draws", 4, 1, 1000, "timesteps, each with its own noise, that a loss difference is the mean of")
CLUSTERS = integer("clusters", 10, 1, 1000, "k-means clusters of a class")
BLOCK = Setting[str | None]("block", None, "a block's name", "of the network; its output describes a patch", str)
BATCH = integer("batch", 32, 1, 4096, "images at once; the network sees each twice")


@torch.inference_mode()
def choose(model: NoiseModel, training: ImageSet, settings: Settings, classes: int, seed: int) -> Patches:
    """Stage I's best patch of each candidate, then Stage II's order. Raises ValueError for an unknown block."""
    block = block_of(model, settings[BLOCK])
    candidates = random_subset(training, settings[CANDIDATES], seed)
    sides = sides_in_pixels(settings[PATCH], candidates.images.shape[-1])
    boxes, scores, features = [], [], []
    total = len(candidates)
    with progress_bar("Stage I") as update:
        for part, images_BCHW, labels_B, seeds_B in _batches(candidates, settings[BATCH], seed):
            maps_BHW = difference_maps(model, images_BCHW, labels_B, seeds_B, settings[DRAWS])
            boxes_B3, scores_B = best_regions(maps_BHW, sides)
            boxes.append(boxes_B3)
            scores.append(scores_B)
            update(part.stop / total, f"{part.stop:,} of {total:,} images scored")
    boxes_N3, scores_N = torch.cat(boxes), torch.cat(scores).numpy()
    with progress_bar("Stage II") as update:
        for part, images_BCHW, labels_B, seeds_B in _batches(candidates, settings[BATCH], seed):
            patches_BCHW = crop_resized(images_BCHW, boxes_N3[part])
            features.append(patch_features(model, block, patches_BCHW, labels_B, seeds_B))
            update(part.stop / total, f"{part.stop:,} of {total:,} patches described")
    features_ND = torch.cat(features).numpy()
    order = []
    for label in range(classes):
        members = np.flatnonzero(candidates.labels == label)
        clusters_N, _ = cluster(features_ND[members], settings[CLUSTERS], seed)
        order.append(members[order_class(scores_N[members], clusters_N)])
    return Patches(candidates, boxes_N3.numpy(), order)


def _batches(images: ImageSet, size: int, seed: int) -> Iterator[tuple[slice, Tensor, Tensor, Tensor]]:
    """Position, images, labels and seeds of each batch; an image's seed depends on its place among its class."""
    place_N = np.arange(len(images)) - np.searchsorted(images.labels, images.labels)  # labels are sorted
    seeds = [image_seed(seed, int(label), int(place)) for label, place in zip(images.labels, place_N, strict=True)]
    for start in range(0, len(images), size):
        part = slice(start, min(start + size, len(images)))
        images_BCHW, labels_B = torch.from_numpy(images.images[part]), torch.from_numpy(images.labels[part])
        yield part, images_BCHW, labels_B, torch.tensor(seeds[part])
