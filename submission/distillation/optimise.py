"""Moving prototypes until they look to experts as the real images of their class and group do.

The mean features of a class's prototypes are drawn to those of its real images, as are the means of the prototypes of
each group (distribution matching: Zhao and Bilen, 2023), and with experts that have learned the prototypes to where
these tell their class. All is done on normalised pixels; the last steps look at the prototypes as they come back from
storage, so that what is shipped is what was optimised.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from evaluation.base.challenge import Challenge
from evaluation.judge.draws import derived_seed
from evaluation.judge.fast_engine import features
from submission.distillation.matching import ClassMatching
from submission.distillation.quantise import Quantiser
from submission.distillation.recipe import Recipe
from submission.distillation.stored import StoredPrototypes
from submission.distillation.targets import Target


class Optimisation(ClassMatching):
    """Moves the pixels of the prototypes."""

    key = "prototypes"

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
        mean, std = (torch.tensor(values, device=device).view(3, 1, 1) for values in (challenge.mean, challenge.std))
        start_CK3HW = (start_CK3HW.to(device) - mean) / std
        super().__init__(start_CK3HW, recipe.steps, recipe.rate, challenge, seed, device)
        self.x_CK3HW = self.points
        self.targets, self.recipe = targets, recipe
        groups = targets[0].group_means_CGF.shape[1]
        self.member_CGK = F.one_hot(group_CK.to(self.device), groups).transpose(1, 2).float()
        self.quantiser: Quantiser | None = None
        self._measured: list[Tensor] = []

    def measured(self) -> dict[str, float]:
        """Distance of the means from the real ones, in that of the classes (groups) from each other."""
        values = torch.stack(self._measured).mean(0).tolist() if self._measured else []
        self._measured.clear()
        return dict(zip(("apart", "groups_apart"), values, strict=False))

    def step(self) -> Tensor:
        """One step of all prototypes with one target; the loss, a scalar."""
        draws = torch.Generator().manual_seed(derived_seed(self.seed, "target", self.steps_done))
        target = self.targets[int(torch.randint(len(self.targets), (), generator=draws))]
        if self.quantiser is None and self.steps_done >= self.steps - self.recipe.stored_steps:
            self.quantiser = Quantiser.fit(self._levels(), self.recipe.components)
        shown_CK3HW = (self.levels() / 255 - self.mean) / self.std
        classes = len(shown_CK3HW)
        losses, measured, gradients = self._map_parts(lambda part: self._part_gradient(part, shown_CK3HW, target))
        gradient_CK3HW = torch.cat(gradients) / classes
        if self.quantiser:
            gradient_CK3HW = self.quantiser.gradient(gradient_CK3HW / self.std) * self.std
        self._descend(gradient_CK3HW)
        with torch.no_grad():
            self.x_CK3HW.clamp_(-self.mean / self.std, (1 - self.mean) / self.std)
        self._measured.append(torch.stack(measured).sum(0) / classes)
        return torch.stack(losses).sum() / classes

    def stored(self) -> StoredPrototypes:
        """The prototypes as they are now, for a weights file."""
        quantiser = self.quantiser or Quantiser.fit(self._levels(), self.recipe.components)
        return quantiser.stored(self._levels())

    def levels(self) -> Tensor:
        """The prototypes in levels of 255, (C, K, 3, H, W): as they come back from storage once steps go through it."""
        levels_CK3HW = self._levels()
        return levels_CK3HW if self.quantiser is None else self.quantiser.stored(levels_CK3HW).decode().clamp(0, 255)

    def _levels(self) -> Tensor:
        return 255 * (self.x_CK3HW.detach() * self.std + self.mean)

    def _part_gradient(self, part: slice, shown_CK3HW: Tensor, target: Target) -> tuple[Tensor, Tensor, Tensor]:
        """The loss of some classes, how far their means and groups are apart, both summed, and the gradient."""
        weights, recipe = target.expert.weights, self.recipe
        x_cK3HW = shown_CK3HW[part].clone().requires_grad_()
        classes, count = x_cK3HW.shape[:2]
        seen_cKF = features(
            self.viewed(x_cK3HW.flatten(0, 1), target.mirrored), weights, self.dtype, self.norm_relu_pool
        )
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

    def viewed(self, x_B3HW: Tensor, mirrored: bool) -> Tensor:
        """Prototypes at the challenge's size, their mirror images if `mirrored`."""
        if x_B3HW.shape[-1] != self.challenge.size:
            size = (self.challenge.size, self.challenge.size)
            x_B3HW = F.interpolate(x_B3HW, size, mode="bicubic", antialias=True)
        return x_B3HW.flip(3) if mirrored else x_B3HW

    def state(self) -> dict[str, Any]:
        return {**super().state(), "quantiser": self.quantiser and self.quantiser.state()}

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self.quantiser = Quantiser(**state["quantiser"]) if state["quantiser"] else None
