"""Train the probe that the audits use: `python -m evaluation.audits.train_probe --dataset cifar100 --data DIR`.

Minutes on a CPU. Nine tenths of the training split train it, the last tenth gives the class profiles and the accuracy;
the test split is never read.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from evaluation.audits.diversity import spread
from evaluation.audits.probe import Facts, ProbeNetwork, network_logits, probe_input, probe_path, save_probe
from evaluation.base.challenge import Challenge, challenges, get_challenge
from evaluation.base.images import ImageSet
from evaluation.data.datasets import data_folder, load_split

_BATCH = 256
_PEAK_RATE = 0.2
_SHIFT = 4  # pixels


def split_off(images: ImageSet, seed: int) -> tuple[ImageSet, ImageSet]:
    """A random nine tenths of each class to train on and the rest to look at."""
    draw = np.random.default_rng(seed)
    train, held = [], []
    for label in np.unique(images.labels):
        order = draw.permutation(np.flatnonzero(images.labels == label))
        held.append(order[: len(order) // 10])
        train.append(order[len(order) // 10 :])
    return images.take(np.concatenate(train)), images.take(np.concatenate(held))


def augment(x_BCHW: Tensor, challenge: Challenge, draw: np.random.Generator) -> Tensor:
    """Shift and (but for digits) mirror a batch; one in four is blurred, since generated images often are."""
    height, width = x_BCHW.shape[2:]
    down, right = draw.integers(0, 2 * _SHIFT + 1, 2)
    x_BCHW = F.pad(x_BCHW, (_SHIFT,) * 4)[..., down : down + height, right : right + width]
    if challenge.name != "digits":
        mirrored = torch.from_numpy(draw.random(len(x_BCHW)) < 0.5).view(-1, 1, 1, 1)
        x_BCHW = torch.where(mirrored, x_BCHW.flip(3), x_BCHW)
    if draw.random() < 0.25:
        small = F.avg_pool2d(x_BCHW, 2)
        x_BCHW = F.interpolate(small, scale_factor=2, mode="bilinear", align_corners=False)
    return x_BCHW


def train_probe(images: ImageSet, challenge: Challenge, epochs: int, seed: int) -> ProbeNetwork:
    """Train on `images` with SGD, Nesterov momentum and one cycle of the rate."""
    torch.manual_seed(seed)
    draw = np.random.default_rng(seed)
    network = ProbeNetwork(challenge.classes).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.SGD(network.parameters(), _PEAK_RATE, momentum=0.9, nesterov=True, weight_decay=5e-4)
    steps = len(images) // _BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _PEAK_RATE, epochs * steps, pct_start=0.2)
    for epoch in range(epochs):
        began, losses = time.monotonic(), []
        for batch in draw.permutation(len(images))[: steps * _BATCH].reshape(steps, _BATCH):
            x_BCHW = augment(probe_input(images.images[batch], challenge), challenge, draw).contiguous(
                memory_format=torch.channels_last
            )
            with torch.autocast("cpu", torch.bfloat16):
                loss = F.cross_entropy(network(x_BCHW).float(), torch.from_numpy(images.labels[batch]))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            losses.append(float(loss.detach()))
        print(
            f"epoch {epoch + 1} of {epochs}: loss {np.mean(losses):.3f}, {time.monotonic() - began:.0f} s", flush=True
        )
    return network.eval()


def facts_of(network: ProbeNetwork, held: ImageSet, images: ImageSet, challenge: Challenge) -> tuple[Facts, float]:
    """What the audits need to know of real images, and the probe's accuracy on `held`, which it never saw."""
    logits = network_logits(network, held.images, challenge)
    of_class = [images.images[images.labels == label] for label in range(challenge.classes)]
    facts = Facts(
        profiles=np.stack([logits[held.labels == label].mean(0) for label in range(challenge.classes)]),
        colours=np.stack([real.mean((0, 2, 3)) / 255 for real in of_class]).astype(np.float32),
        spreads=np.array([spread(real) for real in of_class], np.float32),
    )
    return facts, float((logits.argmax(1) == held.labels).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", choices=list(challenges()), required=True)
    parser.add_argument("--data", type=Path, help="the folder that holds the real data sets")
    parser.add_argument("--out", type=Path, help="default: the file that the audits read")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    challenge = get_challenge(arguments.dataset)
    images = load_split(challenge, "train", data_folder(arguments.data))
    train, held = split_off(images, arguments.seed)
    network = train_probe(train, challenge, arguments.epochs, arguments.seed)
    facts, accuracy = facts_of(network, held, images, challenge)
    path = arguments.out or probe_path(challenge)
    save_probe(path, network, facts, accuracy)
    print(f"{path}: {path.stat().st_size / 2**20:.2f} MB, labels {accuracy:.1%} of held-out real images right")


if __name__ == "__main__":
    main()
