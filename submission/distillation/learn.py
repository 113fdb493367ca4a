"""Learning prototypes within a time: as many experts, targets and steps as fit."""

import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from evaluation.base.challenge import Challenge
from evaluation.base.images import ImageSet
from evaluation.base.progress_bar import progress_bar
from evaluation.judge.streams import synchronise
from submission.distillation.prepare import prepared, shown_order
from submission.distillation.recipe import Recipe

# Of the time: until when experts are trained, and until when they are shown the real images. The rest is for steps.
_EXPERTS_UNTIL, _TARGETS_UNTIL = 0.25, 0.4


def learn(
    train: ImageSet,
    challenge: Challenge,
    recipe: Recipe,
    seed: int,
    device: str,
    seconds: float,
    *,
    all_networks: bool = False,
    all_steps: bool = False,
) -> tuple[Tensor, int]:
    """Prototypes in levels of 255, float32 (C, K, 3, H, W) in the order to show them, and the steps that they had.

    Args:
        recipe: with no steps through the storage, since nothing is stored.
        seconds: for all of it: as many of the recipe's networks and ages as fit, and steps until the time is over, the
            rate falling to 0 at its end. There are an epoch, a target and a step, whatever they take.
        all_networks, all_steps: as many as the recipe says instead; both give the same again on a machine of the kind.

    Raises ValueError if the recipe asks for more than a class has.
    """
    began = time.monotonic()

    def until(fraction: float) -> Callable[[], float]:
        # of no time all is over
        return lambda: 0.0 if all_networks else (time.monotonic() - began) / max(fraction * seconds, 1e-6)

    with TemporaryDirectory(prefix="distilling-") as folder:
        training = prepared(
            train, challenge, recipe, seed, device, Path(folder), until(_EXPERTS_UNTIL), until(_TARGETS_UNTIL)
        )
    first = time.monotonic()
    with progress_bar("Learning prototypes") as update:
        while training.steps_done < training.steps:
            training.step()
            synchronise(torch.device(device))
            if not all_steps:
                now = time.monotonic()
                a_step = (now - first) / training.steps_done
                training.steps = training.steps_done + max(0, int((began + seconds - now) / a_step))
            update(training.steps_done / training.steps, f"step {training.steps_done:,} of {training.steps:,}")
    levels_CK3HW = training.levels()
    order_CK = shown_order(training, levels_CK3HW).to(levels_CK3HW.device)
    training.close()
    return levels_CK3HW.take_along_dim(order_CK[..., None, None, None], 1), training.steps_done
