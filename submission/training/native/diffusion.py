"""Diffusion training, step by step. Step k depends on the state after step k - 1 and on (seed, k), on nothing else."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import torch
from torch import Tensor

from evaluation.base.images import ImageSet
from submission.diffusion.networks.denoiser import Denoiser, Loss
from submission.diffusion.networks.unet import UNet, fold, renormalise
from submission.training.native.augment import flip_half, warp
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

    Attributes:
        evaluations: what training on an image costs, in evaluations of the network; one backwards counts twice.
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
        """Images to see in all."""
        return self.recipe.images

    @property
    def batch(self) -> int:
        """Images a step."""
        return self.recipe.batch

    @property
    def rate(self) -> float:
        """The learning rate of the last step."""
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
        """Nothing beside the loss."""
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
        """Go on from `state`."""
        self.images = state["images"]
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        for mine, saved in zip(self.averages, state["averages"], strict=True):
            torch._foreach_copy_(mine, saved)


def step_seed(seed: int, images: int) -> int:
    """The seed of everything random in the step that begins after `images` images."""
    return int.from_bytes(blake2b(f"{seed}/{images}".encode(), digest_size=8).digest(), "big") >> 1
