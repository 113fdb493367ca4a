"""Views: ways in which experts are shown all images alike, by the augmentations that the judge trains with.

What an expert sees of shifted or stretched real images it is to see of prototypes too: matched as they are alone, they
look to networks like the real ones only as long as they are shown as they are (`docs/generators/distilled.md`).
"""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from evaluation.judge.draws import derived_seed
from evaluation.judge.dsa import KINDS, UNIFORMS, Draw, augment
from submission.distillation.experts import Expert

PLAIN = "plain"
_MIRROR = "flip"
_KINDS = tuple(kind for kind in KINDS if kind != _MIRROR)  # mirrored, prototypes look as plain ones do without a target
_SAMPLED = ("scale", "rotate")


@dataclass(frozen=True)
class View:
    """One augmentation with the same parameters for every image (as in Zhao and Bilen, 2021, for real and made ones).

    Attributes:
        kind: of `dsa.KINDS`, or `PLAIN` for the images as they are.
        uniforms: what `dsa.Draw` has for an image, in [0, 1).
    """

    kind: str = PLAIN
    uniforms: tuple[float, ...] = (0.0,) * UNIFORMS

    def __call__(self, x_BCHW: Tensor) -> Tensor:
        """Normalised images, seen so; the gradient goes back through it."""
        if self.kind == PLAIN:
            return x_BCHW
        if self.kind in _SAMPLED:  # as a product of matrices: on a card the gradient of sampling repeats to no bit
            return (x_BCHW.flatten(2) @ _sampling(self, x_BCHW.shape[-1], x_BCHW.device)).view_as(x_BCHW)
        return self._augmented(x_BCHW).contiguous()

    def _augmented(self, x_BCHW: Tensor) -> Tensor:
        uniforms_31 = torch.tensor(self.uniforms, device=x_BCHW.device)[:, None]
        return augment(x_BCHW, Draw(self.kind, uniforms_31.expand(-1, len(x_BCHW))))


PLAIN_VIEW = View()


@lru_cache(maxsize=2)  # a step has one view, and of large images a matrix has 64 MB
def _sampling(view: View, size: int, device: torch.device) -> Tensor:
    """The matrix (P, P) from the pixels of an image to those of the view, by what it makes of each single one."""
    pixels_P1HW = torch.eye(size**2, device=device).view(-1, 1, size, size)
    return view._augmented(pixels_P1HW).flatten(1)


def views_for(expert: Expert, count: int, seed: int) -> list[View]:
    """The plain view, and `count` drawn for this expert: each kind once before any is drawn again."""
    draws = torch.Generator().manual_seed(derived_seed(seed, "views", expert.network, expert.age))
    views = [PLAIN_VIEW]
    while len(views) <= count:
        for place in torch.randperm(len(_KINDS), generator=draws)[: count + 1 - len(views)].tolist():
            views.append(drawn(_KINDS[place], draws))
    return views


def drawn(kind: str, draws: torch.Generator) -> View:
    """A view of one of `dsa.KINDS` with parameters from `draws`; that of mirror images is always of them."""
    uniforms = tuple(torch.rand(UNIFORMS, generator=draws).tolist())
    return View(kind) if kind == _MIRROR else View(kind, uniforms)
