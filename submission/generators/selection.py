"""`selection`: diffusion-driven selection (Zhong et al.), patches of real images that a diffusion model finds typical.

It writes what is in the training split, cut out and enlarged, so its runs are in the `copying` category.
"""

from __future__ import annotations

from pathlib import Path

from evaluation.base.challenge import Challenge
from submission.contract.generator import GeneratorInfo, LoadContext
from submission.contract.precision import PRECISION, dtype_of
from submission.diffusion.noise_model import PRETRAINED, WEIGHTS_FROM, find_noise_model, load_noise_model
from submission.patches.crops import PATCH, PatchSelector
from submission.patches.select import BATCH, BLOCK, CANDIDATES, CLUSTERS, DRAWS, choose


class Selection(PatchSelector):
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

    how = "the diffusion model predicts better when it knows the class"

    @classmethod
    def find_weights(cls, challenge: Challenge, source: str | None) -> Path:
        return find_noise_model(challenge, source)

    @classmethod
    def load(cls, context: LoadContext) -> Selection:
        challenge = context.challenge
        path = context.weights or cls.find_weights(challenge, None)
        settings = cls.resolve_settings(context.settings, path)
        model = load_noise_model(path, challenge, context.device, dtype_of(settings, context.device))
        training = context.read_training_images()
        return cls(choose(model, training, settings, challenge.classes, context.seed), challenge)
