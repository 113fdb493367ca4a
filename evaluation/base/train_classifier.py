"""Train a small image classifier: SGD with one cycle of the learning rate, on shifted and mirrored images."""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn


def train_classifier(
    network: nn.Module,
    images: int,
    batch_of: Callable[[Tensor], tuple[Tensor, Tensor]],
    rng: np.random.Generator,
    *,
    epochs: int,
    batch_size: int,
    peak_lr: float,
    warm_up: float = 0.3,
    dtype: torch.dtype = torch.float32,
    on_step: Callable[[int, Tensor], None],
) -> None:
    """Train `network` with Nesterov momentum and leave it in evaluation mode.

    Args:
        images: number of training images; at least a batch.
        batch_of: gives inputs and labels int64 (B,), on the network's device, of the images at int64 (B,) on the CPU.
        rng: shuffles each epoch; `batch_of` may draw its augmentation from it too.
        batch_size: images per step; what is left at the end of an epoch is dropped.
        warm_up: fraction of the steps in which the learning rate rises to `peak_lr`.
        dtype: of the forward pass, by autocast.
        on_step: called after each step with the steps done and the loss.
    """
    optimiser = torch.optim.SGD(network.parameters(), peak_lr, momentum=0.9, nesterov=True, weight_decay=5e-4)
    steps = epochs * (images // batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, peak_lr, total_steps=steps + 1, pct_start=warm_up)
    network.train()
    done = 0
    for _ in range(epochs):
        order_N = torch.from_numpy(rng.permutation(images))
        for index_B in order_N[: steps // epochs * batch_size].split(batch_size):
            x_BCHW, labels_B = batch_of(index_B)
            with torch.autocast(x_BCHW.device.type, dtype, enabled=dtype != torch.float32):
                logits_BC = network(x_BCHW)
            loss = F.cross_entropy(logits_BC.float(), labels_B)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            done += 1
            on_step(done, loss.detach())
    network.eval()


def shift_and_mirror(x_BCHW: Tensor, reach: int, mirror: bool, rng: np.random.Generator) -> Tensor:
    """Shift a batch by up to `reach` pixels along both axes, zero fill, and mirror each image with probability 0.5."""
    height, width = x_BCHW.shape[2:]
    down, right = rng.integers(0, 2 * reach + 1, 2)
    x_BCHW = F.pad(x_BCHW, (reach,) * 4)[..., down : down + height, right : right + width]
    if not mirror:
        return x_BCHW
    mirrored_B = torch.from_numpy(rng.random(len(x_BCHW)) < 0.5).to(x_BCHW.device)
    return torch.where(mirrored_B.view(-1, 1, 1, 1), x_BCHW.flip(3), x_BCHW)
