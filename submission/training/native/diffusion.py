"""Diffusion training, step by step. Step k depends on the state after step k - 1 and on (seed, k), on nothing else."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from evaluation.base.images import ImageSet
from submission.diffusion.networks.denoiser import Denoiser, Loss
from submission.diffusion.networks.unet import UNet, fold, renormalise
from submission.training.native.recipes import HALF_LIVES, Recipe

CLIP = 1.0  # largest norm of the gradient


@dataclass(frozen=True)
class DeviceData:
    """A whole training set on the device: uint8 (N, 3, H, W) and int64 (N,)."""

    images: Tensor
    labels: Tensor

    @classmethod
    def put(cls, images: ImageSet, device: str) -> DeviceData:
        return cls(torch.from_numpy(images.images).to(device), torch.from_numpy(images.labels).to(device))

    def floats(self, index_B: Tensor) -> Tensor:
        """Images in [-1, 1], fp32 (B, 3, H, W)."""
        return self.images[index_B].float() / 127.5 - 1


class DiffusionTraining:
    """A network in training with its optimiser and the averages of its weights.

    `evaluations`: cost of training on an image, in evaluations of the network; one backwards counts twice.
    """

    evaluations = 3

    def __init__(
        self, network: UNet, recipe: Recipe, data: DeviceData, seed: int, dtype: torch.dtype, images_seen: int = 0
    ) -> None:
        """`network` is on the device of `data`; `images_seen` is what its weights have seen already."""
        self.network = network.train()
        self.recipe = recipe
        self.data = data
        self.seed = seed
        self.images = images_seen
        self.loss = Loss(*recipe.noise)
        self.denoiser = Denoiser(network, dtype=dtype)
        renormalise(network)
        self.parameters: list[Tensor] = list(network.parameters())
        self.optimiser = self.build_optimiser()
        self.averages = [[p.detach().clone() for p in self.parameters] for _ in HALF_LIVES]

    @property
    def total(self) -> int:
        return self.recipe.images

    @property
    def batch(self) -> int:
        return self.recipe.batch

    @property
    def rate(self) -> float:
        return self.recipe.rate_at(self.images)

    def build_optimiser(self) -> torch.optim.Optimizer:
        """Its rate is set before each step."""
        return torch.optim.Adam(self.parameters, betas=(0.9, 0.99), fused=True)

    def losses(self, images_B3HW: Tensor, labels_B: Tensor, augment_BA: Tensor | None) -> Tensor:
        """Loss of each image of a batch, fp32 (B,)."""
        return self.loss(self.denoiser, images_B3HW, labels_B, augment_BA)

    def step(self) -> Tensor:
        """Train on one batch; returns its mean loss, a scalar on the device."""
        recipe = self.recipe
        torch.manual_seed(step_seed(self.seed, self.images))
        index_B = torch.randint(len(self.data.labels), (recipe.batch,), device=self.data.labels.device)
        images_B3HW = self.data.floats(index_B)
        if recipe.flip:
            images_B3HW = flip_half(images_B3HW)
        augment_BA = None
        if recipe.augment:
            images_B3HW, augment_BA = warp(images_B3HW, recipe.augment)
        loss = self.losses(images_B3HW, self.data.labels[index_B], augment_BA).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, CLIP)
        self.images += recipe.batch
        for group in self.optimiser.param_groups:
            group["lr"] = recipe.rate_at(self.images)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        renormalise(self.network)
        with torch.no_grad():
            for half_life, average in zip(HALF_LIVES, self.averages, strict=True):
                keep = 0.5 ** (recipe.batch / (half_life * self.images))
                torch._foreach_lerp_(average, self.parameters, 1 - keep)
        return loss.detach()

    def measured(self) -> dict[str, float]:
        return {}

    def averaged(self, which: int) -> UNet:
        """A folded fp32 copy of the network with average `which` of `HALF_LIVES`, for inference."""
        network = copy.deepcopy(self.network)
        with torch.no_grad():
            for parameter, average in zip(network.parameters(), self.averages[which], strict=True):
                parameter.copy_(average)
        return fold(network)

    def half_life(self, which: int) -> int:
        """Of average `which`, in images."""
        return round(HALF_LIVES[which] * self.images)

    def state(self) -> dict[str, Any]:
        """All that the next step depends on."""
        return {
            "images": self.images,
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "averages": self.averages,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.images = state["images"]
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        for mine, saved in zip(self.averages, state["averages"], strict=True):
            torch._foreach_copy_(mine, saved)


def step_seed(seed: int, images: int) -> int:
    """The seed of everything random in the step that begins after `images` images."""
    return int.from_bytes(blake2b(f"{seed}/{images}".encode(), digest_size=8).digest(), "big") >> 1


def flip_half(images_B3HW: Tensor) -> Tensor:
    """Each image mirrored left to right or not, evenly: no condition, since mirrored images are as real."""
    mirrored_B = torch.rand(len(images_B3HW), device=images_B3HW.device) < 0.5
    return torch.where(mirrored_B[:, None, None, None], images_B3HW.flip(3), images_B3HW)


def warp(images_B3HW: Tensor, probability: float) -> tuple[Tensor, Tensor]:
    """Shift, scale, stretch and turn images, fp32 in [-1, 1], each drawn for each image with `probability`.

    Idea and strength are those of EDM (arXiv 2206.00364, appendix F.2): the network knows what was done to an image, so
    that nothing of it shows in samples, which have a condition of zeros. Pixels from outside are mirrored in. Draws
    from torch's default generators.

    Returns:
        Images, and the condition, fp32 (B, AUGMENT_CONDITION), zero where nothing was done: shift along x and y, log
        scale, log aspect, cosine - 1 and sine of the turn.
    """
    B = len(images_B3HW)

    def drawn(std: float) -> Tensor:
        chosen_B = torch.rand(B, device=images_B3HW.device) < probability
        return torch.randn(B, device=images_B3HW.device) * std * chosen_B

    shift_x, shift_y = drawn(0.125), drawn(0.125)  # of the image's width
    scale, aspect = drawn(0.2 * math.log(2)), drawn(0.2 * math.log(2))
    turn = drawn(0.125 * math.pi)
    # Where each output pixel comes from, so scales divide.
    along, across = torch.exp(-(scale + aspect)), torch.exp(-(scale - aspect))
    theta_B23 = torch.stack(
        [
            torch.stack([along * turn.cos(), along * turn.sin(), -2 * shift_x], dim=1),
            torch.stack([-across * turn.sin(), across * turn.cos(), -2 * shift_y], dim=1),
        ],
        dim=1,
    )
    grid_BHW2 = F.affine_grid(theta_B23, list(images_B3HW.shape), align_corners=False)
    warped = F.grid_sample(images_B3HW, grid_BHW2, mode="bilinear", padding_mode="reflection", align_corners=False)
    condition_BA = torch.stack([shift_x * 8, shift_y * 8, scale, aspect, turn.cos() - 1, turn.sin()], dim=1)
    return warped, condition_BA
