"""Whether compiling pays for itself in a budget: from a profile of a generator as it is and one of it compiled."""

from __future__ import annotations

from dataclasses import dataclass

from harness.planning.planner import batch_seconds, predict_ipc
from harness.planning.profile import Profile


@dataclass(frozen=True)
class Gain:
    """What compiling brings in one budget.

    Attributes:
        images: more that are made with it; below 0 where it does not pay.
        share: the same over the images without it.
        start_s: seconds that the start takes longer.
        batch_size: of the compiled network.
        faster: images a second over those without it, once it runs.
        pays_from_s: the budget from which it pays; None where it never does.
    """

    images: int
    share: float
    start_s: float
    batch_size: int
    faster: float
    pays_from_s: float | None


def gain_of(plain: Profile, compiled: Profile, budget_s: float, steps: int | None, ipc_cap: int | None = None) -> Gain:
    """What compiling brings in `budget_s`. The two profiles are of the same generator, settings but for compiling.

    Args:
        steps: None for the generator's own.
        ipc_cap: images per class at which a run stops.
    """
    before, after = (predict_ipc(each, budget_s, steps, None, ipc_cap) for each in (plain, compiled))
    rates = [
        found.batch_size / batch_seconds(each, found.steps, found.batch_size).middle
        for each, found in ((plain, before), (compiled, after))
    ]
    starts = [each.start.seconds for each in (plain, compiled)]
    # where images_a_second x (budget - start) are equal
    cross_s = None
    if rates[1] > rates[0]:
        cross_s = max(starts[1], (rates[1] * starts[1] - rates[0] * starts[0]) / (rates[1] - rates[0]))
    return Gain(
        images=after.images - before.images,
        share=after.images / before.images - 1 if before.images else 0.0,
        start_s=starts[1] - starts[0],
        batch_size=after.batch_size,
        faster=rates[1] / rates[0],
        pays_from_s=cross_s,
    )


def gain_words(gain: Gain, budget_s: float) -> str:
    """`Compiling: 38 s more to start, 1.31 times the images a second; in 600 s 2120 images more: it pays.`"""
    told = f"Compiling: {gain.start_s:.0f} s more to start, {gain.faster:.2f} times the images a second;"
    if gain.images > 0:
        return f"{told} in {budget_s:g} s {gain.images} images more ({gain.share:+.0%}): it pays."
    since = "it never pays" if gain.pays_from_s is None else f"it pays from a budget of {gain.pays_from_s:.0f} s"
    return f"{told} in {budget_s:g} s {-gain.images} images fewer: {since}."
