"""`selection`: diffusion-driven selection (Zhong et al.), patches of real images that a diffusion model finds typical.

It writes what is in the training split, cut out and enlarged, so its runs are in the `copying` league.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from evaluation.base.challenge import Challenge
from submission.contract.exhibit import Exhibit
from submission.contract.generator import GeneratorInfo, LoadContext, Selector
from submission.contract.precision import PRECISION, dtype_of
from submission.diffusion.noise_model import PRETRAINED, WEIGHTS_FROM, find_noise_model, load_noise_model
from submission.patches.crops import PATCH, crop_resized, region_exhibit
from submission.patches.select import BATCH, BLOCK, CANDIDATES, CLUSTERS, DRAWS, Chosen, choose


class Selection(Selector):
    """All of the choosing is done in `load`, on the clock: Stage I, Stage II, one order for every IPC."""

    info = GeneratorInfo(
        name="selection",
        summary="patches of real training images, chosen by a diffusion model (diffusion-driven selection)",
        default_batch=256,
        pretrained=PRETRAINED,
        weights_from=WEIGHTS_FROM,
        licence="that of the data set; of the weights, theirs",
        needs_training_images=True,
        copies=True,
        settings=(CANDIDATES, DRAWS, PATCH, CLUSTERS, BLOCK, BATCH, PRECISION),
    )

    def __init__(self, chosen: Chosen, challenge: Challenge) -> None:
        self._chosen = chosen
        self._challenge = challenge

    @classmethod
    def find_weights(cls, challenge: Challenge, source: str | None) -> Path:
        return find_noise_model(challenge, source)

    @classmethod
    def load(cls, context: LoadContext) -> Selection:
        challenge = context.challenge
        path = context.weights or cls.find_weights(challenge, None)
        settings = cls.resolve_settings(context.settings, path)
        model = load_noise_model(path, challenge, context.device, dtype_of(settings, context.device))
        chosen = choose(model, context.read_training_images(), settings, challenge.classes, context.seed)
        return cls(chosen, challenge)

    def available(self) -> int:
        return min(map(len, self._chosen.order))

    def select(self, labels_B: Tensor, indices_B: Tensor) -> Tensor:
        pairs = zip(labels_B.tolist(), indices_B.tolist(), strict=True)
        places = np.array([self._chosen.order[label][index] for label, index in pairs])
        images_BCHW = torch.from_numpy(self._chosen.images.images[places])
        return crop_resized(images_BCHW, torch.from_numpy(self._chosen.boxes_N3[places]))

    def exhibit(self) -> Exhibit:
        chosen = self._chosen
        how = "the diffusion model predicts better when it knows the class"
        return region_exhibit(chosen.images.images, chosen.boxes_N3, chosen.order, self._challenge, how)
