"""Train the probe that the audits use: `python -m evaluation.audits.train_probe --dataset cifar100 --data DIR`.

Minutes on a CPU. Nine tenths of the training split train it, the last tenth gives the class profiles and the accuracy;
the test split is never read.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from evaluation.audits.diversity import spread
from evaluation.audits.probe import Facts, ProbeNetwork, network_logits, probe_input, probe_path, save_probe
from evaluation.base.challenge import Challenge, challenges, get_challenge
from evaluation.base.images import ImageSet
from evaluation.base.progress_bar import progress_bar
from evaluation.base.train_classifier import shift_and_mirror, train_classifier
from evaluation.data.datasets import data_folder, load_split

_BATCH = 256
_PEAK_LR = 0.2
_SHIFT = 4  # pixels


def split_off(images: ImageSet, seed: int) -> tuple[ImageSet, ImageSet]:
    """A random nine tenths of each class to train on, and the rest."""
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(np.flatnonzero(images.labels == label)) for label in np.unique(images.labels)]
    train, held = ([order[len(order) // 10 :] for order in orders], [order[: len(order) // 10] for order in orders])
    return images.take(np.concatenate(train)), images.take(np.concatenate(held))


def train_probe(images: ImageSet, challenge: Challenge, epochs: int, seed: int) -> ProbeNetwork:
    """Train on shifted and (but for digits) mirrored images; a quarter is blurred, since generated ones often are."""
    torch.manual_seed(seed)
    rng, labels_N = np.random.default_rng(seed), torch.from_numpy(images.labels)
    network = ProbeNetwork(challenge.classes).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def batch_of(index_B: Tensor) -> tuple[Tensor, Tensor]:
        x_BCHW = probe_input(images.images[index_B.numpy()], challenge)
        x_BCHW = shift_and_mirror(x_BCHW, _SHIFT, challenge.name != "digits", rng)
        if rng.random() < 0.25:
            x_BCHW = F.interpolate(F.avg_pool2d(x_BCHW, 2), scale_factor=2, mode="bilinear", align_corners=False)
        return x_BCHW.contiguous(memory_format=torch.channels_last), labels_N[index_B]

    steps = epochs * (len(images) // _BATCH)
    with progress_bar("Training the probe") as update:
        train_classifier(
            network,
            len(images),
            batch_of,
            rng,
            epochs=epochs,
            batch_size=_BATCH,
            peak_lr=_PEAK_LR,
            warm_up=0.2,
            dtype=torch.bfloat16,
            on_step=lambda done, loss: update(done / steps, f"loss {float(loss):.3f}"),
        )
    return network


def facts_of(network: ProbeNetwork, held: ImageSet, images: ImageSet, challenge: Challenge) -> tuple[Facts, float]:
    """What the audits need to know of real images, and the probe's accuracy on `held`, which it was not trained on."""
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
