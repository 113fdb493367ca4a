"""`python -m submission.training scorer`: train the small classifier that `--keep` asks, in minutes on a CPU."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from evaluation.base.challenge import get_challenge
from evaluation.data.datasets import data_folder, load_split
from submission.contract.precision import fastest_precision
from submission.contract.weights import WeightsHeader, save_weights
from submission.patches.scorer import Scorer, ScorerNetwork, scorer_input, scorer_path
from submission.training.common.held_out import hold_out
from submission.training.common.progress import Progress
from submission.training.native.augment import flip_half, warp
from submission.training.native.diffusion import DeviceData
from submission.training.native.recipes import RECIPES

WIDTHS = {"digits": (24, 48, 96)}
WIDTHS_OF_PHOTOGRAPHS = (48, 96, 160, 192)
EPOCHS = {"digits": 40}
EPOCHS_OF_PHOTOGRAPHS = 20
BATCH = 128
RATE = 0.004
WARP = 0.5  # probability of each change of an image


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dataset", required=True, help="name of the challenge to train for")
    parser.add_argument("--data", type=Path, help="folder of the real data sets; default: SUBMISSION_DATA, the cache")
    parser.add_argument("--out", type=Path, help="file to write; default: the one that --keep reads")
    parser.add_argument("--epochs", type=int, help="default: 40 for digits, else 20")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="default: %(default)s")


def run(args: argparse.Namespace) -> int:
    """Train on nine tenths of the training split and write the file. Returns the exit code 0.

    Raises:
        ValueError: options or data do not fit.
    """
    challenge = get_challenge(args.dataset)
    epochs = EPOCHS.get(challenge.name, EPOCHS_OF_PHOTOGRAPHS) if args.epochs is None else args.epochs
    if epochs < 1:
        raise ValueError(f"--epochs must be at least 1, not {epochs}")
    widths = WIDTHS.get(challenge.name, WIDTHS_OF_PHOTOGRAPHS)
    train, held_out = hold_out(load_split(challenge, "train", data_folder(args.data)))
    flip = any(recipe.flip for preset, recipe in RECIPES.items() if preset.startswith(challenge.name))
    began = time.monotonic()
    torch.manual_seed(args.seed)
    network = ScorerNetwork(challenge.classes, widths, norm=True)
    data = DeviceData.put(train, args.device)
    scorer = Scorer(fold_norms(train_scorer(network.to(args.device), data, epochs, flip)))
    accuracy = accuracy_of(scorer, DeviceData.put(held_out, args.device))
    header = WeightsHeader(
        generator="scorer",
        challenge=challenge.name,
        class_names=challenge.class_names,
        data=f"{len(train):,} images of the training split of {challenge.title}, nothing else",
        licence="Apache-2.0",
        seed=args.seed,
        model={"widths": widths, "epochs": epochs, "held_out_accuracy": accuracy},
    )
    path = args.out or scorer_path(challenge)
    save_weights(path, scorer.network.state_dict(), header)
    told = f"{path.stat().st_size / 1e3:.0f} kB, labels {accuracy:.1%} of held-out training images right"
    print(f"{path}: {told}, {time.monotonic() - began:.0f} s")
    return 0


def train_scorer(network: ScorerNetwork, data: DeviceData, epochs: int, flip: bool) -> ScorerNetwork:
    """Train `network` on the device of `data` with AdamW and one cycle of the rate; draws from torch's default seed."""
    device = data.labels.device
    network = network.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    steps = epochs * (len(data.labels) // BATCH)
    optimiser = torch.optim.AdamW(network.parameters(), RATE, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, steps, pct_start=0.2)
    dtype = fastest_precision(device.type)
    done = 0
    with Progress("training the scorer") as progress:
        for _ in range(epochs):
            order_N = torch.randperm(len(data.labels), device=device)
            for index_B in order_N[: steps // epochs * BATCH].split(BATCH):
                x_B3HW = augmented(data.images[index_B], flip)
                with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
                    logits_BC = network(x_B3HW)
                loss = F.cross_entropy(logits_BC.float(), data.labels[index_B], label_smoothing=0.1)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                schedule.step()
                done += 1
            progress.show(done / steps, f"loss {float(loss.detach()):.3f}")
    return network.eval()


def augmented(images_B3HW: Tensor, flip: bool) -> Tensor:
    """uint8 images, some mirrored, shifted, scaled, stretched or turned, as `scorer_input` gives them."""
    x_B3HW = scorer_input(images_B3HW)
    x_B3HW = warp(flip_half(x_B3HW) if flip else x_B3HW, WARP)[0]
    return x_B3HW.contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def fold_norms(network: ScorerNetwork) -> ScorerNetwork:
    """The same function without batch norm."""
    folded = ScorerNetwork(network.head.out_features, [norm.num_features for norm in _norms(network)])
    for i, (convolution, norm) in enumerate(zip(network.convolutions, _norms(network), strict=True)):
        assert isinstance(convolution, nn.Conv2d)
        folded.convolutions[i] = fuse_conv_bn_eval(convolution, norm)
    folded.head = network.head
    return folded.eval()


def accuracy_of(scorer: Scorer, data: DeviceData) -> float:
    """Share of the images that it gives their own label."""
    with torch.inference_mode():
        right = [
            scorer.network(scorer_input(images)).argmax(1) == labels
            for images, labels in zip(data.images.split(1000), data.labels.split(1000), strict=True)
        ]
    return float(torch.cat(right).float().mean())


def _norms(network: ScorerNetwork) -> list[nn.BatchNorm2d]:
    return [norm for norm in network.norms if isinstance(norm, nn.BatchNorm2d)]
