"""Targets: what every expert sees of real images, averaged over each group of each class; kept in a file each."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from evaluation.base.challenge import Challenge
from evaluation.base.images import ImageSet, content_hash
from evaluation.base.progress_bar import Update
from evaluation.judge.engine import DeviceSet, put_on_device
from evaluation.judge.fast_engine import features
from evaluation.judge.norm_relu_pool import choose_norm_relu_pool
from evaluation.judge.parallel import workers_for
from submission.contract.precision import fastest_precision
from submission.distillation.experts import Expert
from submission.distillation.groups import CHUNK
from submission.distillation.views import View
from submission.training.common.checkpoint import load_checkpoint, save_checkpoint

CHUNKS_AT_ONCE = 50  # by a worker, before its sums are added to the others'


@dataclass(frozen=True)
class Target:
    """What one expert sees of all real images in one view.

    Attributes:
        view: how the images, and so the prototypes that are held against them, are shown.
        class_means_CF: mean features of each class, float32.
        class_spread: mean squared distance of the classes' means from the mean of all, to compare experts by.
        group_means_CGF: mean features of each group, bfloat16; 0 where a class has fewer groups.
        group_spread: the same of the groups' means, weighted by their images.
    """

    expert: Expert
    view: View
    class_means_CF: Tensor
    class_spread: float
    group_means_CGF: Tensor
    group_spread: float


def targets_for(
    train: ImageSet,
    challenge: Challenge,
    experts: Sequence[Expert],
    group_N: Tensor,
    views: Callable[[Expert], Sequence[View]],
    device: str,
    folder: Path,
    on_progress: Update = lambda fraction, text: None,
    spent: Callable[[], float] = lambda: 0.0,
) -> list[Target]:
    """A target of each expert in each of its `views`, in the order of `experts`.

    What `folder` has of the same experts, images and groups is read, the rest is measured and written.

    Args:
        views: of an expert, the most important first.
        spent: the fraction of the time for it that is over, asked before each but the first that is made, from the
            oldest expert on, all first views before any second; from 1 on the rest is left out.

    Raises ValueError if a file is damaged.
    """
    groups = int(group_N.max()) + 1
    position_N = torch.from_numpy(train.labels) * groups + group_N
    counts_CG = position_N.bincount(minlength=challenge.classes * groups).view(challenge.classes, groups).to(device)
    images = content_hash(train)
    data = put_on_device(train, challenge, torch.device(device))
    asked = [(expert, place, view) for expert in experts for place, view in enumerate(views(expert))]
    targets: dict[int, Target] = {}

    def measured(expert: Expert, view: View) -> Tensor:
        on_progress(max(len(targets) / len(asked), spent()), f"network {expert.network + 1}, {expert.age} epochs")
        return _group_means(data, expert, position_N.to(device), counts_CG, view)

    for number in sorted(range(len(asked)), key=lambda number: (asked[number][1], -asked[number][0].age)):
        if targets and spent() >= 1:
            break
        expert, place, view = asked[number]
        seen = {"images": images, "groups": digest([group_N]), "weights": digest(expert.weights.values())}
        name = f"network-{expert.network:02d}-epoch-{expert.age:02d}-view-{place}.pt"
        means_CGF = kept(folder / name, seen | {"view": asdict(view)}, device, partial(measured, expert, view))
        targets[number] = _target(expert, view, means_CGF, counts_CG)
    return [targets[number] for number in sorted(targets)]


def _group_means(data: DeviceSet, expert: Expert, position_N: Tensor, counts_CG: Tensor, view: View) -> Tensor:
    """The mean features of each group, bfloat16 (C, G, F); `position_N` counts the groups over all classes."""
    norm_relu_pool = choose_norm_relu_pool(data.device, len(data) / 256)
    dtype = fastest_precision(data.device.type)

    @torch.no_grad()
    def sums(start: int) -> Tensor:
        total_PF = torch.zeros(counts_CG.numel(), expert.weights["head.weight"].shape[1], device=data.device)
        for first in range(start, min(start + CHUNKS_AT_ONCE * CHUNK, len(data)), CHUNK):
            x_BCHW = view(data.normalised(slice(first, first + CHUNK)))
            seen_BF = features(x_BCHW, expert.weights, dtype, norm_relu_pool)
            total_PF += summed(seen_BF, position_N[first : first + CHUNK], len(total_PF))
        return total_PF

    with workers_for(data.device) as workers:
        parts = range(0, len(data), CHUNKS_AT_ONCE * CHUNK)
        total_PF = torch.stack(list(workers.map(sums, parts) if workers else map(sums, parts))).sum(0)
    return (total_PF.view(*counts_CG.shape, -1) / counts_CG.clamp_min(1)[..., None]).to(torch.bfloat16)


def summed(seen_BF: Tensor, group_B: Tensor, groups: int) -> Tensor:
    """The sum over each group, (groups, F); `group_B` int64 in [0, groups).

    As a product of matrices: on a card `index_add_` adds in another order each time.
    """
    member_GB = torch.arange(groups, device=group_B.device)[:, None] == group_B
    return member_GB.to(seen_BF.dtype) @ seen_BF


def _target(expert: Expert, view: View, group_means_CGF: Tensor, counts_CG: Tensor) -> Target:
    means_CGF = group_means_CGF.float()
    fraction_CG1 = (counts_CG / counts_CG.sum(1, keepdim=True))[..., None]
    class_means_CF = (means_CGF * fraction_CG1).sum(1)
    middle_F = class_means_CF.mean(0)
    class_spread = float((class_means_CF - middle_F).square().sum(1).mean())
    group_spread = float(((means_CGF - middle_F).square() * fraction_CG1).sum((1, 2)).mean())
    return Target(expert, view, class_means_CF, class_spread, group_means_CGF, group_spread)


def kept(path: Path, identity: dict[str, Any], device: str, make: Callable[[], Any]) -> Any:
    """What `path` holds for `identity`; where it holds none, what `make` gives, written to `path` for the next time.

    Raises ValueError if the file is damaged.
    """
    saved = load_checkpoint(path, device) if path.exists() else None
    if not saved or saved["identity"] != identity:
        saved = {"identity": identity, "kept": make()}
        path.parent.mkdir(parents=True, exist_ok=True)
        save_checkpoint(path, saved)
    return saved["kept"]


def digest(tensors: Iterable[Tensor]) -> str:
    """A hash of the values of tensors, in their order."""
    hashed = blake2b(digest_size=16)
    for tensor in tensors:
        hashed.update(tensor.detach().cpu().contiguous().numpy().data)
    return hashed.hexdigest()
