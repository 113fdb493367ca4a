"""Moving prototypes until they look to experts as the real images of their class and group do.

The mean features of a class's prototypes are drawn to those of its real images, as are the means of the prototypes of
each group (distribution matching: Zhao and Bilen, 2023), and with experts that have learned the prototypes to where
these tell their class. All is done on normalised pixels; the last steps look at the prototypes as they come back from
storage, so that what is shipped is what was optimised.
"""

from collections.abc import Callable, Iterator, Sequence
from math import cos, pi
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from evaluation.base.challenge import Challenge
from evaluation.judge.draws import derived_seed
from evaluation.judge.fast_engine import features
from evaluation.judge.norm_relu_pool import choose_norm_relu_pool
from evaluation.judge.parallel import Workers
from submission.contract.precision import fastest_precision
from submission.distillation.recipe import Recipe
from submission.distillation.stored import StoredPrototypes, step_for
from submission.distillation.targets import Target

# images of 32x32 pixels that are looked at together: what fits in a core's cache, and in 10 GB of a card's memory
_IMAGES_ON_A_CORE, _IMAGES_ON_A_CARD = 64, 4096
_MOMENTS = (0.9, 0.99)


class Optimisation:
    """A `session.Training` that moves the pixels of the prototypes.

    Attributes:
        mean, std: of pixel values in [0, 1], (3, 1, 1), as the judge normalises.
    """

    def __init__(
        self,
        start_CK3HW: Tensor,
        group_CK: Tensor,
        targets: Sequence[Target],
        recipe: Recipe,
        challenge: Challenge,
        seed: int,
        device: str,
    ) -> None:
        """The prototypes begin at `start_CK3HW`, in [0, 1]; `group_CK` (int64) are their groups, those of `targets`."""
        self.challenge, self.seed, self.device = challenge, seed, torch.device(device)
        self.targets, self.recipe, self.steps = targets, recipe, recipe.steps
        self.mean = torch.tensor(challenge.mean, device=device).view(3, 1, 1)
        self.std = torch.tensor(challenge.std, device=device).view(3, 1, 1)
        self.x_CK3HW = ((start_CK3HW.to(device) - self.mean) / self.std).requires_grad_()
        self.optimiser = torch.optim.Adam([self.x_CK3HW], recipe.rate, _MOMENTS)
        self.steps_done = 0
        self.dtype = fastest_precision(self.device.type)
        self.norm_relu_pool = choose_norm_relu_pool(self.device, recipe.steps * (challenge.size / 32) ** 2)
        self._workers = Workers() if self.device.type == "cpu" else None
        self._map = self._workers.map if self._workers else map
        groups = targets[0].group_means_CGF.shape[1]
        self.member_CGK = F.one_hot(group_CK.to(self.device), groups).transpose(1, 2).float()
        self.storage_step: float | None = None  # once steps go through the storage
        self._measured: list[Tensor] = []

    @property
    def batch(self) -> int:
        return self.x_CK3HW.shape[0] * self.x_CK3HW.shape[1]

    @property
    def images(self) -> int:
        return self.steps_done * self.batch

    @property
    def total(self) -> int:
        return self.steps * self.batch

    @property
    def rate(self) -> float:
        return self.recipe.rate * (1 + cos(pi * self.steps_done / self.steps)) / 2

    def measured(self) -> dict[str, float]:
        """Distance of the means from the real ones, in that of the classes (groups) from each other."""
        values = torch.stack(self._measured).mean(0).tolist() if self._measured else []
        self._measured.clear()
        return dict(zip(("apart", "groups_apart"), values, strict=False))

    def step(self) -> Tensor:
        """One step of all prototypes with one target; the loss, a scalar."""
        draws = torch.Generator().manual_seed(derived_seed(self.seed, "target", self.steps_done))
        target = self.targets[int(torch.randint(len(self.targets), (), generator=draws))]
        if self.storage_step is None and self.steps_done >= self.steps - self.recipe.stored_steps:
            self.storage_step = step_for(self._levels(), self.recipe.stored_bytes)
        shown_CK3HW = (self.levels() / 255 - self.mean) / self.std
        classes = len(shown_CK3HW)
        losses, measured, gradients = self._map_parts(lambda part: self._part_gradient(part, shown_CK3HW, target))
        self._descend(torch.cat(gradients) / classes)  # through the storage as if it changed nothing
        with torch.no_grad():
            self.x_CK3HW.clamp_(-self.mean / self.std, (1 - self.mean) / self.std)
        self._measured.append(torch.stack(measured).sum(0) / classes)
        return torch.stack(losses).sum() / classes

    def stored(self) -> StoredPrototypes:
        """The prototypes as they are now, for a weights file."""
        levels_CK3HW = self._levels()
        step = self.storage_step or step_for(levels_CK3HW, self.recipe.stored_bytes)
        return StoredPrototypes.nearest(levels_CK3HW, step)

    def levels(self) -> Tensor:
        """The prototypes in levels of 255, (C, K, 3, H, W): as they come back from storage once steps go through it."""
        levels_CK3HW = self._levels()
        return levels_CK3HW if self.storage_step is None else self.stored().decode().clamp(0, 255)

    def _levels(self) -> Tensor:
        return 255 * (self.x_CK3HW.detach() * self.std + self.mean)

    def _part_gradient(self, part: slice, shown_CK3HW: Tensor, target: Target) -> tuple[Tensor, Tensor, Tensor]:
        """The loss of some classes, how far their means and groups are apart, both summed, and the gradient."""
        weights, recipe = target.expert.weights, self.recipe
        x_cK3HW = shown_CK3HW[part].clone().requires_grad_()
        classes, count = x_cK3HW.shape[:2]
        x_B3HW = target.view(x_cK3HW.flatten(0, 1))
        seen_cKF = features(x_B3HW, weights, self.dtype, self.norm_relu_pool)
        seen_cKF = seen_cKF.view(classes, count, -1)
        apart = (seen_cKF.mean(1) - target.class_means_CF[part]).square().sum() / target.class_spread
        groups_apart, matched = torch.zeros_like(apart), apart
        if recipe.group_weight and self.member_CGK.shape[1] > 1:
            member_cGK = self.member_CGK[part]
            size_cG = member_cGK.sum(2)
            means_cGF = member_cGK @ seen_cKF / size_cG.clamp_min(1)[..., None]
            squared_cG = (means_cGF - target.group_means_CGF[part].float()).square().sum(2)
            groups_apart = (squared_cG * size_cG / count).sum() / target.group_spread
            matched = (1 - recipe.group_weight) * apart + recipe.group_weight * groups_apart
        loss = matched
        if recipe.label_weight and target.expert.age >= recipe.label_age:
            labels_B = torch.arange(len(shown_CK3HW), device=self.device)[part].repeat_interleave(count)
            logits_BC = F.linear(seen_cKF.flatten(0, 1), weights["head.weight"], weights["head.bias"])
            loss = loss + recipe.label_weight * F.cross_entropy(logits_BC, labels_B, reduction="sum") / count
        (gradient_cK3HW,) = torch.autograd.grad(loss, x_cK3HW)
        return loss.detach(), torch.stack([apart.detach(), groups_apart.detach()]), gradient_cK3HW

    def _map_parts(self, gradient: Callable[[slice], tuple[Tensor, Tensor, Tensor]]) -> Iterator[tuple[Tensor, ...]]:
        """`gradient` of whole classes, as many as a core or a card takes at once. Each of its results by itself."""
        most = _IMAGES_ON_A_CORE if self._workers else _IMAGES_ON_A_CARD
        images = max(most * 32**2 // self.challenge.size**2, 1)
        each = max(images // self.x_CK3HW.shape[1], 1)
        parts = (slice(start, start + each) for start in range(0, len(self.x_CK3HW), each))
        return zip(*self._map(gradient, parts), strict=True)

    def _descend(self, gradient: Tensor) -> None:
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate
        self.x_CK3HW.grad = gradient
        self.optimiser.step()
        self.steps_done += 1

    def state(self) -> dict[str, Any]:
        """For a checkpoint: with the same arguments and this, the next step is the same."""
        return {
            "prototypes": self.x_CK3HW.detach(),
            "optimiser": self.optimiser.state_dict(),
            "steps_done": self.steps_done,
            "storage_step": self.storage_step,
        }

    @torch.no_grad()
    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.x_CK3HW.copy_(state["prototypes"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.steps_done = state["steps_done"]
        self.storage_step = state["storage_step"]

    def close(self) -> None:
        """Give the cores back."""
        if self._workers:
            self._workers.close()
