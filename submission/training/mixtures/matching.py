"""Moving the clusters of a mixture until its samples look to experts as the real images of their class do.

The mean features of a class's samples, one per cluster, are drawn to those of its real images (distribution matching:
Zhao and Bilen, 2023), and the samples to where the expert tells their class. Distances between clusters are free.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from evaluation.base.challenge import Challenge
from evaluation.base.images import ImageSet
from evaluation.judge.draws import derived_seed
from evaluation.judge.fast_engine import features
from submission.distillation.matching import ClassMatching
from submission.generators.gaussian import Mixture
from submission.training.common.options import check_ranges, option
from submission.training.mixtures.experts import Expert
from submission.training.mixtures.gaussian import GaussianSettings, fit


@dataclass(frozen=True)
class MatchRecipe:
    """What is matched and for how long; the mixture that it begins with is as in `GaussianSettings`.

    Attributes:
        experts: networks, each at all `ages`, the epochs that it has learned.
        steps: one expert and one sample of every cluster each.
        rate: of Adam, on coordinates of principal components of images in [0, 1]; it falls to 0 along a cosine.
        label_weight: of the cross-entropy of the expert's labels, where the distance of the means weighs 1.
    """

    components: int
    clusters: int = field(metadata=option("clusters per class", above=0))
    mirrored: bool
    spread: float = field(metadata=option("scale of the images' standard deviations", at_least=0))
    experts: int = field(metadata=option("networks to match, each at several ages", above=0))
    ages: tuple[int, ...]
    steps: int = field(metadata=option("steps in all", above=0))
    rate: float = field(default=0.02, metadata=option("highest learning rate", above=0))
    label_weight: float = field(default=0.3, metadata=option("of the experts' labels in the loss", at_least=0))

    def __post_init__(self) -> None:
        check_ranges(self)


class Matching(ClassMatching):
    """Moves the means of the clusters of `mixture`, all of them in use."""

    key = "centres"

    def __init__(
        self,
        mixture: Mixture,
        size: int,
        experts: Sequence[Expert],
        recipe: MatchRecipe,
        challenge: Challenge,
        seed: int,
        device: str,
    ) -> None:
        super().__init__(mixture.centres_CKP.clone(), recipe.steps, recipe.rate, challenge, seed, device)
        self.mixture, self.size, self.experts, self.recipe = mixture, size, experts, recipe
        self.centres_CKP = self.points
        self._apart: list[Tensor] = []

    def measured(self) -> dict[str, float]:
        """`apart`: distance of the means from the real ones, in that of the classes from each other."""
        apart = float(torch.stack(self._apart).mean()) if self._apart else float("nan")
        self._apart.clear()
        return {"apart": apart}

    def step(self) -> Tensor:
        """One step with one expert; the loss, a scalar."""
        classes, clusters, components = self.centres_CKP.shape
        draws = torch.Generator().manual_seed(derived_seed(self.seed, "match", self.steps_done))
        expert = self.experts[int(torch.randint(len(self.experts), (), generator=draws))]
        z_CKP = torch.randn(classes, clusters, components, generator=draws).to(self.device)
        mirrored_CK = torch.rand(classes, clusters, generator=draws).to(self.device) < 0.5
        losses, apart, gradients = self._map_parts(
            lambda part: self._part_gradient(part, expert, z_CKP[part], mirrored_CK[part])
        )
        self._descend(torch.cat(gradients) / classes)
        self._apart.append(torch.stack(apart).sum() / classes)
        return torch.stack(losses).sum() / classes

    def _part_gradient(
        self, part: slice, expert: Expert, z_cKP: Tensor, mirrored_cK: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The loss of some classes, how far their means are apart, both summed, and the gradient for their clusters."""
        centres_cKP = self.centres_CKP[part].detach().requires_grad_()
        x_BCHW = self._samples(part, centres_cKP, z_cKP)
        if self.recipe.mirrored:
            x_BCHW = torch.where(mirrored_cK.reshape(-1, 1, 1, 1), x_BCHW.flip(3), x_BCHW)
        seen_BF = features((x_BCHW - self.mean) / self.std, expert.weights, self.dtype, self.norm_relu_pool)
        means_cF = seen_BF.view(*centres_cKP.shape[:2], -1).mean(1)
        apart = (means_cF - expert.means_CF[part]).square().sum() / expert.spread
        labels_B = torch.arange(self.centres_CKP.shape[0], device=self.device)[part].repeat_interleave(z_cKP.shape[1])
        logits_BC = F.linear(seen_BF, expert.weights["head.weight"], expert.weights["head.bias"])
        label_loss = F.cross_entropy(logits_BC, labels_B, reduction="sum") / z_cKP.shape[1]
        loss = apart + self.recipe.label_weight * label_loss
        return loss.detach(), apart.detach(), torch.autograd.grad(loss, centres_cKP)[0]

    def _samples(self, part: slice, centres_cKP: Tensor, z_cKP: Tensor) -> Tensor:
        """One image of each cluster, in [0, 1] at the challenge's size: what `Gaussian` draws, before rounding."""
        m = self.mixture
        deviation_cKP = self.recipe.spread * (z_cKP * m.scales_CP[part][:, None]) @ m.factor_PP.t()
        x_BD = m.mean_D + (centres_cKP + deviation_cKP).flatten(0, 1) @ m.basis_PD
        x_BCHW = x_BD.view(-1, 3, self.size, self.size)
        if self.size != self.challenge.size:
            size = (self.challenge.size, self.challenge.size)
            x_BCHW = F.interpolate(x_BCHW, size, mode="bicubic", antialias=True)
        return x_BCHW.clamp(0, 1)

    def matched(self) -> Mixture:
        """The mixture as it is now."""
        return replace(self.mixture, centres_CKP=self.centres_CKP.detach().clone())


def fitted(train: ImageSet, recipe: MatchRecipe, seed: int, device: str) -> Mixture:
    """What the matching begins with: a fit as that of `gaussian`, with all its clusters."""
    settings = GaussianSettings(recipe.components, recipe.clusters, "scaled", recipe.mirrored, recipe.spread, seed=seed)
    return with_all_clusters(fit(train, settings, device), recipe.spread, seed)


def with_all_clusters(mixture: Mixture, spread: float, seed: int) -> Mixture:
    """`mixture` with clusters that are equally likely within a class; empty ones begin between two others."""
    draws = torch.Generator().manual_seed(seed)
    centres_CKP, shares_CK = mixture.centres_CKP.clone(), mixture.shares_CK.cpu()
    for label, shares_K in enumerate(shares_CK):
        empty = (shares_K == 0).nonzero().flatten()
        if len(empty):
            first, second = (torch.multinomial(shares_K, len(empty), True, generator=draws) for _ in range(2))
            z_EP = torch.randn(len(empty), centres_CKP.shape[2], generator=draws).to(centres_CKP.device)
            deviation_EP = spread * (z_EP * mixture.scales_CP[label]) @ mixture.factor_PP.t()
            middle_EP = (centres_CKP[label, first] + centres_CKP[label, second]) / 2
            centres_CKP[label, empty] = middle_EP + deviation_EP
    return replace(mixture, centres_CKP=centres_CKP, shares_CK=torch.full_like(shares_CK, 1 / shares_CK.shape[1]))
