"""`--keep`: more images than wanted are made, and the least class-likely of each block are dropped, on the clock.

A block is a few consecutive images of one class. Blocks come round after round over the classes, so that classes are
balanced to one block wherever a run is cut, and what a block keeps depends on its own images alone: a timed run is a
prefix of a longer one. The pacer counts images made, of which each gives one file at most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from evaluation.base.challenge import Challenge
    from submission.contract.job import Job
    from submission.patches.scorer import Scorer

MOST_MADE = 20  # images of a block

Places = Sequence[tuple[int, int]]  # (label, index) of images


@dataclass(frozen=True)
class Block:
    """Of every `made` images of a class the `kept` likeliest are kept."""

    made: int
    kept: int

    @property
    def share(self) -> float:
        """Of the images made that are kept."""
        return self.kept / self.made

    def to_make(self, ipc: int | None) -> int | None:
        """Images of a class, in whole blocks, that give `ipc` at least; None for no end."""
        return None if ipc is None else -(-ipc // self.kept) * self.made

    def whole(self, images: int) -> int:
        """As many of `images` as whole blocks take."""
        return images - images % self.made


def check_keep(share: float) -> None:
    """Raises ValueError for a share that cannot be kept."""
    if not 0 < share <= 1:
        raise ValueError(f"--keep must be above 0 and at most 1 (which drops nothing), not {share:g}")


def block_of(share: float) -> Block:
    """The block of at most MOST_MADE images that keeps the share nearest to `share`; below 1 it drops one at least."""
    if share == 1:
        return Block(1, 1)
    nearest = Fraction(share).limit_denominator(MOST_MADE)
    nearest = min(max(nearest, Fraction(1, MOST_MADE)), Fraction(MOST_MADE - 1, MOST_MADE))
    return Block(nearest.denominator, nearest.numerator)


def load_keeper(job: Job, challenge: Challenge) -> Keeper | None:
    """What drops images in `job`; None where all are kept."""
    if job.keep == 1:
        return None
    from submission.patches.scorer import load_scorer
    from submission.worker.pda import images_to_generate

    return Keeper(block_of(job.keep), load_scorer(challenge, job.device), images_to_generate(job.ipc, job.pda))


class Keeper:
    """Takes images block after block, in batches of any size, and gives those that are kept.

    Attributes:
        dropped: images so far, of whole blocks.
    """

    def __init__(self, block: Block, scorer: Scorer, ipc: int | None) -> None:
        """`ipc` is where to stop, though a block would give more."""
        self._block, self._scorer, self._ipc = block, scorer, ipc
        self._places: Places = []
        self._images_BCHW: Tensor | None = None
        self._scores_B: Tensor | None = None
        self.dropped = 0

    def sift(self, images_BCHW: Tensor, places: Places) -> tuple[Tensor, Places]:
        """Score a batch; the kept images of the blocks that it completes, in their order, with their new places.

        Args:
            images_BCHW: uint8 at the challenge's size, in the order of `schedule.interleaved` by blocks.
            places: what was made, one (label, index) an image.
        """
        import torch

        labels_B = torch.tensor([label for label, _ in places], device=images_BCHW.device)
        scores_B = self._scorer.score(images_BCHW, labels_B).cpu()
        if self._images_BCHW is not None and self._scores_B is not None:
            images_BCHW = torch.cat([self._images_BCHW, images_BCHW])
            scores_B = torch.cat([self._scores_B, scores_B])
        places = [*self._places, *places]
        whole = self._block.whole(len(places))
        self._images_BCHW, self._scores_B, self._places = images_BCHW[whole:], scores_B[whole:], places[whole:]
        kept = chosen(scores_B[:whole], places[:whole], self._block)
        self.dropped += whole - len(kept)
        wanted = [(i, place) for i, place in kept if self._ipc is None or place[1] < self._ipc]
        index = torch.tensor([i for i, _ in wanted], dtype=torch.int64, device=images_BCHW.device)
        return images_BCHW[index], [place for _, place in wanted]


def chosen(scores_B: Tensor, places: Places, block: Block) -> list[tuple[int, tuple[int, int]]]:
    """Of whole blocks: which images are kept, in their order, each with the place that leaves no gap.

    Args:
        scores_B: the higher ones are kept; of equals the earlier one.
    """
    order_RM = scores_B.view(-1, block.made).sort(dim=1, descending=True, stable=True).indices
    kept = []
    for number, within in enumerate(order_RM[:, : block.kept].sort(dim=1).values.tolist()):
        label, first = places[number * block.made]
        for rank, place in enumerate(within):
            kept.append((number * block.made + place, (label, first // block.made * block.kept + rank)))
    return kept
