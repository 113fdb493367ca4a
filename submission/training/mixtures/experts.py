"""Experts: networks of the judge's kind trained on real images for some epochs, and how they see each class.

Some are fresh and some older, since the judge's network goes through all of these states.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from evaluation.base.challenge import Challenge
from evaluation.base.images import ImageSet, content_hash
from evaluation.judge.draws import derived_seed, draw_pass
from evaluation.judge.engine import put_on_device
from evaluation.judge.fast_engine import FastEngine, features
from evaluation.judge.parallel import workers_for
from evaluation.judge.protocol import Protocol
from submission.distillation.targets import summed
from submission.training.common.checkpoint import load_checkpoint, save_checkpoint

_CHUNK = 500  # real images looked at at once


@dataclass(frozen=True)
class Expert:
    """One network at one age.

    Attributes:
        weights: by their names in `ConvNet`, float32.
        means_CF: mean features of the real images of each class.
        spread: mean squared distance of the classes' means from the mean of all, to compare experts by.
    """

    weights: Mapping[str, Tensor]
    means_CF: Tensor
    spread: float


def experts_for(
    train: ImageSet,
    challenge: Challenge,
    count: int,
    ages: tuple[int, ...],
    mirrored: bool,
    seed: int,
    device: str,
    cache: Path,
    on_progress: Callable[[float], None] = lambda fraction: None,
) -> list[Expert]:
    """`count` networks at each of `ages` (epochs of training on `train`), kept in `cache` as soon as each is done.

    `mirrored`: whether a mirror image shows the same class. `on_progress` gets the fraction done.
    Raises ValueError if the cache is damaged.
    """
    identity = {"images": content_hash(train), "count": count, "ages": list(ages), "mirrored": mirrored, "seed": seed}
    experts = _cached(cache, identity, device)
    if len(experts) == count * len(ages):
        return experts
    first = len(experts) // len(ages)
    for expert in _trained(train, challenge, range(first, count), ages, mirrored, seed, device):
        experts.append(expert)
        on_progress(len(experts) / (count * len(ages)))
        if len(experts) % len(ages) == 0:
            entries: list[dict[str, Any]] = [
                {"weights": dict(each.weights), "means_CF": each.means_CF, "spread": each.spread} for each in experts
            ]
            cache.parent.mkdir(parents=True, exist_ok=True)
            save_checkpoint(cache, {"identity": identity, "experts": entries})
    return experts


def _cached(cache: Path, identity: dict[str, Any], device: str) -> list[Expert]:
    """The experts in `cache`, all ages of each network; none where they are others. Raises ValueError for damage."""
    content = load_checkpoint(cache, device) if cache.exists() else None
    return [Expert(**expert) for expert in content["experts"]] if content and content["identity"] == identity else []


def _trained(
    train: ImageSet, challenge: Challenge, numbers: range, ages: tuple[int, ...], mirrored: bool, seed: int, device: str
) -> Iterator[Expert]:
    protocol = Protocol()
    torch_device = torch.device(device)
    data = put_on_device(train, challenge, torch_device)
    steps = len(numbers) * max(ages) * protocol.steps_per_pass(len(data))
    with workers_for(torch_device) as workers:
        engine = FastEngine(data, challenge.classes, protocol, expected_steps=steps, workers=workers)
        for number in numbers:
            network_seed = derived_seed(seed, "expert", number)
            engine.start(network_seed)
            engine.set_rate(protocol.lr)
            for age in range(max(ages) + 1):
                if age in ages:
                    yield _seen_by(engine, mirrored)
                if age < max(ages):
                    draws = draw_pass(network_seed, age, len(data), protocol.batch_size).to(data.device)
                    engine.steps(draws)


@torch.no_grad()
def _seen_by(engine: FastEngine, mirrored: bool) -> Expert:
    """The engine's network as it is now, and what it sees of its training images, if `mirrored` half of them so."""
    data, dtype = engine.train, engine.dtype
    weights = {name: weight.detach().clone() for name, weight in engine.weights.items()}

    def sums(start: int) -> Tensor:
        part = slice(start, start + _CHUNK)
        x_BCHW, labels_B = data.normalised(part), data.labels[part]
        if mirrored:
            x_BCHW[::2] = x_BCHW[::2].flip(3)
        features_BF = features(x_BCHW, weights, dtype, engine.norm_relu_pool)
        return summed(features_BF, labels_B, engine.classes)

    total_CF = torch.stack(list(engine.map(sums, range(0, len(data), _CHUNK)))).sum(0)
    means_CF = total_CF / data.labels.bincount(minlength=engine.classes)[:, None]
    spread = float((means_CF - means_CF.mean(0)).square().sum(1).mean())
    return Expert(weights, means_CF, spread)
