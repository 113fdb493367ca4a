"""What is there before the first step: experts, groups, targets, where prototypes begin; after the last: an order."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from evaluation.base.challenge import Challenge
from evaluation.base.images import ImageSet, content_hash
from evaluation.base.progress_bar import progress_bar
from evaluation.judge.fast_engine import features
from evaluation.judge.parallel import workers_for
from submission.distillation.experts import Expert, experts_for
from submission.distillation.groups import feature_groups, start_means
from submission.distillation.herding import herded
from submission.distillation.optimise import Optimisation
from submission.distillation.recipe import Recipe
from submission.distillation.targets import digest, kept, targets_for
from submission.distillation.views import View, views_for

Spent = Callable[[], float]
_GROUPING_NETWORKS = 2  # whose oldest experts say which images resemble each other


def prepared(
    train: ImageSet,
    challenge: Challenge,
    recipe: Recipe,
    seed: int,
    device: str,
    folder: Path,
    spent_on_experts: Spent = lambda: 0.0,
    spent_on_targets: Spent = lambda: 0.0,
) -> Optimisation:
    """The optimisation before its first step; the experts, groups and targets that `folder` has are not made again.

    Args:
        spent_on_experts: the fraction of the time for experts that is over, asked after every epoch; from 1 on there
            are those of the ages reached by then.
        spent_on_targets: the same of the time until all targets must be there, asked before each but the first, the
            oldest expert's; from 1 on the others are left out.

    Raises ValueError if a file in `folder` is damaged, or the recipe asks for more than a class has.
    """
    with progress_bar("Training experts") as update:
        cache = folder / "experts"
        experts = experts_for(
            train, challenge, recipe.networks, recipe.ages, seed, device, cache, update, spent_on_experts
        )
    eldest = max(expert.age for expert in experts)
    oldest = [e for e in experts if e.age == eldest and e.network < _GROUPING_NETWORKS]
    identity = {
        "images": content_hash(train),
        "experts": digest(weight for expert in oldest for weight in expert.weights.values()),
        "groups": [recipe.groups, recipe.group_images, recipe.mirrored, seed],
    }
    of = (train, challenge, oldest, recipe.groups, recipe.group_images, recipe.mirrored, seed, device)
    group_N: Tensor = kept(folder / f"groups-{recipe.groups}.pt", identity, "cpu", lambda: feature_groups(*of))
    with progress_bar("Measuring features of real images") as update:
        cache = folder / f"targets-{recipe.groups}"

        def views(expert: Expert) -> list[View]:
            return views_for(expert, recipe.views, seed)

        targets = targets_for(train, challenge, experts, group_N, views, device, cache, update, spent_on_targets)
    start_CK3HW, group_CK = start_means(train, group_N, recipe.prototypes, recipe.start_images, seed, device)
    return Optimisation(start_CK3HW, group_CK, targets, recipe, challenge, seed, device)


def shown_order(training: Optimisation, levels_CK3HW: Tensor) -> Tensor:
    """The order in which a run shows the prototypes of each class, int64 (C, K): herded in what the oldest experts see.

    `levels_CK3HW` are the prototypes as they are shown, in levels of 255.
    """
    experts = {target.expert.network: target.expert for target in training.targets}  # the oldest of each is the last

    @torch.no_grad()  # which holds in the thread that it is said in
    def of_class(levels_K3HW: Tensor) -> Tensor:
        x_K3HW = (levels_K3HW / 255 - training.mean) / training.std
        views = (features(x_K3HW, e.weights, training.dtype, training.norm_relu_pool) for e in experts.values())
        return herded(torch.cat(list(views), 1))

    with workers_for(training.device) as workers:
        levels = levels_CK3HW.clamp(0, 255)
        return torch.stack(list(workers.map(of_class, levels) if workers else map(of_class, levels)))
